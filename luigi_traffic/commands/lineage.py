"""`luigi-traffic lineage`: from a model or a partition back to the raw archives."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from functools import cached_property
from typing import TYPE_CHECKING, Any

from luigi_traffic.commands.output import Row, size, text
from luigi_traffic.commands.warehouse import existing_warehouse
from luigi_traffic.errors import DataError, did_you_mean
from luigi_traffic.lake.catalog import Catalog
from luigi_traffic.lake.entries import ROOT, Entry, parse
from luigi_traffic.project import Project
from luigi_traffic.recipe import Input

if TYPE_CHECKING:
    from rich.console import Console
    from rich.tree import Tree

    from luigi_traffic.warehouse.connection import Warehouse

SHORTEST_PREFIX = 6


def rows(
    project: Project, model: str | None, partition: str | None, dataset: str | None
) -> list[Row]:
    """One row a partition or archive, inputs below what was made of them (`depth`, `of`).

    stage, dataset, part, id, state (live, superseded, committed, missing), rows, checksum,
    committed_at; of a model also name and version; of an archive (stage "source") url,
    sha256 and bytes. What is an input twice is walked the first time only (`repeated`).
    Without `model` and `partition`: the newest model. Raises `DataError` for one that is
    not there, or if more than one fits, `SettingsError` if no run was ever made here.
    """
    if model and partition:
        raise DataError("--model and a partition id cannot be used together: give one of them")
    warehouse = existing_warehouse(project)
    known = Known(warehouse, project.catalog)
    start = known.resolve(partition, dataset) if partition else _model_id(warehouse, model, dataset)
    return list(_Walk(known).below(start, None, 0))


def _model_id(warehouse: Warehouse, version: str | None, dataset: str | None) -> str:
    with warehouse.connect() as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT partition_id, dataset, details->>'version' FROM meta.ledger"
            " WHERE stage = 'model' AND (%(dataset)s::text IS NULL OR dataset = %(dataset)s)"
            " ORDER BY seq DESC",
            {"dataset": dataset},
        )
        known = cursor.fetchall()
    of = f" of {dataset}" if dataset else ""
    if not known:
        raise DataError(f"there is no model{of} yet. See `luigi-traffic status`.")
    if version is None:
        return str(known[0][0])
    found = {i: d for i, d, v in known if v == version}
    if not found:
        versions = {v for _, _, v in known}
        raise DataError(f"there is no version {version!r}{of}.{did_you_mean(version, versions)}")
    if len(found) > 1:
        raise DataError(
            f"version {version} is a model of {', '.join(sorted(found.values()))}: choose one "
            "with --dataset"
        )
    return str(next(iter(found)))


class Known:
    """All partitions by their ids, of the ledger and among the manifests."""

    def __init__(self, warehouse: Warehouse, catalog: Catalog) -> None:
        self._warehouse = warehouse
        self._catalog = catalog

    @cached_property
    def _ledger(self) -> dict[str, tuple[Any, ...]]:
        """Id → row of the ledger, a live one before the latest superseded one."""
        with self._warehouse.connect() as connection, connection.cursor() as cursor:
            cursor.execute(
                "SELECT DISTINCT ON (partition_id) partition_id, stage, dataset, part, inputs,"
                " rows, checksum, committed_at, details, superseded_at IS NULL FROM meta.ledger"
                " ORDER BY partition_id, superseded_at IS NULL DESC, seq DESC"
            )
            return {row[0]: row[1:] for row in cursor.fetchall()}

    @property
    def ids(self) -> list[str]:
        """Of all of them."""
        return [*self._ledger, *(i for i in self.lake if i not in self._ledger)]

    @cached_property
    def lake(self) -> dict[str, Entry]:
        """Id → the commit that counts, or counted last, from one listing.

        All manifests are read: those of this machine's index without a request.
        """
        entries = (parse(info) for info in self._catalog.store.list(f"{ROOT}/"))
        commits = [e for e in entries if e and e.kind == "commit"]
        commits.sort(key=lambda e: e.generation)
        read = self._catalog.manifests(commits)
        return {m.partition_id: e for e, m in zip(commits, read, strict=True)}

    def resolve(self, prefix: str, dataset: str | None) -> str:
        """The one id that begins so."""
        prefix = prefix.lower()
        if len(prefix) < SHORTEST_PREFIX:
            raise DataError(f"{prefix!r}: give at least {SHORTEST_PREFIX} digits of a partition id")
        ids = {i for i, row in self._ledger.items() if dataset in (None, row[1])}
        ids |= {i for i, e in self.lake.items() if dataset in (None, e.dataset)}
        found = sorted(i for i in ids if i.startswith(prefix))
        if not found:
            raise DataError(
                f"no partition has the id {prefix}{f' in {dataset}' if dataset else ''}. "
                "`luigi-traffic status --json` lists ids."
            )
        if len(found) > 1:
            raise DataError(
                f"{prefix} is the beginning of {len(found)} ids: {', '.join(found[:5])}"
            )
        return found[0]

    def read(
        self, partition_id: str, hint: Mapping[str, str]
    ) -> tuple[Row, Sequence[Input], Sequence[Mapping[str, Any]]]:
        """Its row, what it was made of, and its archives. `hint` is what is known of a lost one."""
        if partition_id in self._ledger:
            stage, dataset, part, inputs, count, checksum, at, details, live = self._ledger[
                partition_id
            ]
            state = "live" if live else "superseded"
            row = _row(stage, dataset, part, partition_id, state, count, checksum, at)
            if stage == "model":
                row |= {"name": details["name"], "version": details["version"]}
            return row, [Input(**one) for one in inputs], ()
        if partition_id in self.lake:
            manifest = self._catalog.manifest(self.lake[partition_id])
            row = _row(
                manifest.stage, manifest.dataset, manifest.day, partition_id, "committed",
                manifest.rows_out, manifest.checksum, manifest.committed_at,
            )  # fmt: skip
            return row, manifest.inputs, manifest.details.get("archives", ())
        known = (hint.get("stage"), hint.get("dataset"), hint.get("part"))
        return _row(*known, partition_id, "missing", None, None, None), (), ()


class _Walk:
    """From a partition to what it was made of."""

    def __init__(self, known: Known) -> None:
        self._known = known
        self._seen: set[str] = set()

    def below(self, partition_id: str, of: str | None, depth: int, **hint: str) -> Iterator[Row]:
        """The partition and all it was made of. `hint` is what is known of one that is gone."""
        row, inputs, archives = self._known.read(partition_id, hint)
        repeated = partition_id in self._seen
        self._seen.add(partition_id)
        yield {"depth": depth, "of": of, **row, "repeated": repeated}
        if repeated:
            return
        for archive in archives:
            shown = source_row(archive, row["dataset"])
            yield {"depth": depth + 1, "of": partition_id, **shown, "repeated": False}
        for made_of in inputs:
            if made_of.stage != "source":
                yield from self.below(
                    made_of.id, partition_id, depth + 1,
                    stage=made_of.stage, part=made_of.part, dataset=row["dataset"],
                )  # fmt: skip


def source_row(archive: Mapping[str, Any], dataset: str | None) -> Row:
    """An archive as a row, from what the manifest of a raw partition says of it."""
    return {
        "stage": "source", "dataset": dataset, "part": archive["name"],
        "id": f"sha256:{archive['sha256']}", "state": "fetched",
        "url": archive["origin"] or archive["name"], "sha256": archive["sha256"],
        "bytes": archive["bytes"],
    }  # fmt: skip


def _row(
    stage: str | None, dataset: str | None, part: date | str | None, partition_id: str,
    state: str, count: int | None, checksum: str | None, at: Any,
) -> Row:  # fmt: skip
    return {
        "stage": stage, "dataset": dataset, "part": part, "id": partition_id, "state": state,
        "rows": count, "checksum": checksum, "committed_at": at,
    }  # fmt: skip


def draw(rows: Sequence[Row], console: Console) -> None:
    """A tree, the model (or partition) at its root. An id's first 12 digits find it again."""
    from rich.tree import Tree

    branches: list[Tree] = []
    for row in rows:
        label = text(_label(row), "red" if row["state"] == "missing" else "")
        del branches[row["depth"] :]
        branches.append(branches[-1].add(label) if branches else Tree(label))
        root = branches[0]
    # Never broken over lines: a checksum is there to be copied.
    lines = ((row["depth"], line) for row in rows for line in _label(row).splitlines())
    console.width = max(console.width, *(4 * depth + len(line) for depth, line in lines))
    console.print(root, crop=False)


def _label(row: Row) -> str:
    if row["stage"] == "source":
        return f"{row['url']} ({size(row['bytes'])})\nsha256 {row['sha256']}"
    if row["stage"] == "model":
        what = f"model {row['name']} version {row['version']}"
    else:
        what = f"{row['stage']} {row['dataset']} {row['part']}"
    rest = [row["id"][:12]]
    if row["rows"] and row["stage"] != "model":
        rest.append(f"{row['rows']:,} rows")
    if row["state"] in ("superseded", "missing"):
        rest.append(row["state"])
    if row["repeated"]:
        rest.append("see above")
    return f"{what}  {', '.join(rest)}"
