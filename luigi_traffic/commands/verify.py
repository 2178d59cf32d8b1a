"""`luigi-traffic verify`: is everything there as it was committed?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from luigi_traffic.commands.output import Row, table, text
from luigi_traffic.commands.verify_models import model_damage
from luigi_traffic.commands.verify_tables import SCHEMA, table_damage
from luigi_traffic.commands.warehouse import is_new
from luigi_traffic.lake.attempt import Attempt
from luigi_traffic.lake.catalog import Catalog
from luigi_traffic.lake.damage import file_damage
from luigi_traffic.lake.entries import ROOT, Entry, by_day
from luigi_traffic.lake.manifest import Manifest
from luigi_traffic.project import Project
from luigi_traffic.warehouse import ledger
from luigi_traffic.warehouse.ledger import LedgerRow

if TYPE_CHECKING:
    from rich.console import Console

    from luigi_traffic.warehouse.connection import Warehouse

T = TypeVar("T")


@dataclass(frozen=True)
class Verified:
    """What was looked at, and one row a damaged partition: stage, dataset, part, id, damage,
    marked."""

    looked_at: int
    rows: list[Row]


def verify(project: Project, dataset: str | None, *, deep: bool, mark: bool) -> Verified:
    """Compare all that is committed, of one dataset or of all, with what is there.

    Sizes of files, numbers of rows, the presence of models; `deep`: the hashes of all files, rows
    and models. `mark`: what is damaged counts as missing from now on.
    """
    if is_new(project):
        return Verified(0, [])
    warehouse, catalog = project.warehouse, project.catalog
    lake = _Lake(catalog, dataset)
    looked_at, damaged = 0, []
    for entry, manifest in _shown(lake.commits, "files"):
        looked_at += 1
        if damage := file_damage(catalog.store, manifest, deep=deep, sizes=lake.sizes):
            row = _row(entry.stage, entry.dataset, entry.day.isoformat(), manifest, damage)
            damaged.append(row)
            if mark:
                catalog.void(entry, row["damage"])
    for (stage, name), live in _shown(_live(warehouse, dataset), "tables and models"):
        looked_at += len(live)
        found = (
            model_damage(project.settings, live, deep)
            if stage == "model"
            else table_damage(warehouse, stage, name, live, deep)
        )
        damaged += [
            _row(stage, name, part, live[part], said) for part, said in sorted(found.items())
        ]
        if mark:
            with warehouse.connect() as connection:
                for part, said in found.items():
                    why = "; ".join(said)
                    ledger.void(connection, stage, name, part, why, live[part].partition_id)
    return Verified(looked_at, [{**row, "marked": mark} for row in damaged])


def _live(
    warehouse: Warehouse, dataset: str | None
) -> list[tuple[tuple[str, str], dict[str, LedgerRow]]]:
    """(stage, dataset) and part → row of all that counts in the warehouse."""
    with warehouse.connect() as connection:
        names = ledger.datasets(connection) if dataset is None else [dataset]
        return [
            ((stage, name), ledger.current(connection, stage, name))
            for name in names
            for stage in (*SCHEMA, "model")  # of the others all there is is in the ledger
        ]


class _Lake:
    """The commits of the lake that count, and the sizes of what they name, from listings."""

    def __init__(self, catalog: Catalog, dataset: str | None) -> None:
        self._catalog = catalog
        self._dataset = dataset

    @cached_property
    def commits(self) -> list[tuple[Entry, Manifest]]:
        infos = list(self._catalog.store.list(f"{ROOT}/"))
        places: dict[str, list[Any]] = {}
        for info in infos:
            places.setdefault("/".join(info.key.split("/")[:3]), []).append(info)
        entries = [
            entry
            for listed in places.values()
            for day in by_day(listed).values()
            for entry in day.commits
            if self._dataset in (None, entry.dataset)
        ]
        return list(zip(entries, self._catalog.manifests(entries), strict=True))

    @cached_property
    def sizes(self) -> dict[str, int]:
        """Key → bytes: one listing a stage of a dataset."""
        prefixes = {m.prefix for _, m in self.commits if m.files}
        folders = {"/".join(Attempt(p).prefix.split("/")[:-3]) for p in prefixes}
        return {
            i.key: i.size
            for place in sorted(folders)
            for i in self._catalog.store.list(f"{place}/")
        }


def _row(
    stage: str, dataset: str, part: str, committed: Manifest | LedgerRow, damage: Sequence[str]
) -> Row:
    return {
        "stage": stage, "dataset": dataset, "part": part, "id": committed.partition_id,
        "damage": "; ".join(damage),
    }  # fmt: skip


def _shown(work: Iterable[T], what: str) -> Iterator[T]:
    """The work, with a bar on standard error for those who watch."""
    from rich.console import Console
    from rich.progress import track

    on = Console(stderr=True)
    return iter(
        track(
            list(work), f"verifying {what}", console=on, transient=True, disable=not on.is_terminal
        )
    )


def draw(found: Verified, console: Console) -> None:
    """What is damaged, and what to do."""
    if not found.looked_at:
        console.print("nothing is committed yet")
        return
    if not found.rows:
        console.print(f"all {found.looked_at:,} partitions are as they were committed")
        return
    shown = table("stage", "dataset", "part", "damage")
    for row in found.rows:
        shown.add_row(*(text(row[name]) for name in ("stage", "dataset", "part", "damage")))
    console.print(shown)
    console.print(f"{len(found.rows):,} of {found.looked_at:,} partitions are damaged")
    if not all(row["marked"] for row in found.rows):
        console.print(
            "To let the next run make them again: luigi-traffic verify --mark, or one by one: "
            "luigi-traffic invalidate STAGE DATASET PART"
        )
