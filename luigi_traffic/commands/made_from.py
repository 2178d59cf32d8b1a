"""`luigi-traffic lineage --made-from`: from an archive, a day or a partition to all made of it."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING

from luigi_traffic.api.stages import STAGES
from luigi_traffic.commands import lineage
from luigi_traffic.commands.lineage import Known, source_row
from luigi_traffic.commands.output import Row, text
from luigi_traffic.commands.warehouse import existing_warehouse
from luigi_traffic.errors import DataError, SettingsError
from luigi_traffic.project import Project

if TYPE_CHECKING:
    from rich.console import Console

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_SHA256 = "sha256:"


def rows(project: Project, what: str, dataset: str | None) -> list[Row]:
    """One row a partition, those that were made of it below it (`depth`, `of`).

    `what` is a day (of `dataset`: all raw partitions that it ever had), `sha256:` and the first
    digits of an archive's, or the first digits of a partition's id. The columns are those of
    `lineage.rows`. What is made of two of them is walked the first time only (`repeated`). Raises
    `DataError` if there is no such thing, `SettingsError` if no run was ever made here.
    """
    known = Known(existing_warehouse(project), project.catalog)
    walk = _Walk(known)
    found: list[Row] = []
    for start in _starts(project, known, walk, what, dataset):
        found += walk.above(start, None, 0)
    return found


def _starts(
    project: Project, known: Known, walk: _Walk, what: str, dataset: str | None
) -> list[str]:
    if _DAY.fullmatch(what):
        name = dataset or project.settings.pipeline.dataset
        project.plugins.dataset(name)
        try:
            day = date.fromisoformat(what)
        except ValueError:
            raise SettingsError(f"--made-from {what}: it is not a day of the calendar") from None
        raw = [
            partition_id for partition_id, entry in known.lake.items()
            if (entry.stage, entry.dataset, entry.day) == ("raw", name, day)
        ]  # fmt: skip
        if not raw:
            raise DataError(f"{name} has, and had, no raw partition of {day}")
        return sorted(raw)
    if what.lower().startswith(_SHA256):
        digits = what.lower()
        if len(digits) < len(_SHA256) + lineage.SHORTEST_PREFIX:
            raise DataError(f"{what}: give at least {lineage.SHORTEST_PREFIX} digits")
        archives = [one for one in walk.archives if one.startswith(digits)]
        if len(archives) != 1:
            raise DataError(f"{what} is the beginning of {len(archives) or 'no'} archives' sha256")
        return archives
    return [known.resolve(what, dataset)]


def _by_stage(stage: str) -> tuple[int, str]:
    """Those of a day in their order, then all others."""
    return (STAGES.index(stage) if stage in STAGES else len(STAGES)), stage


class _Walk:
    """From inputs to what was made of them."""

    def __init__(self, known: Known) -> None:
        self._known = known
        self._seen: set[str] = set()
        self.archives: dict[str, Row] = {}
        self._rows: dict[str, Row] = {}
        self._made: Mapping[str, list[str]] = self._reversed()

    def _reversed(self) -> Mapping[str, list[str]]:
        """Id → the ids of what was made of it, in the order of stages and parts."""
        made: dict[str, dict[str, None]] = defaultdict(dict)
        for partition_id in self._known.ids:
            row, inputs, archives = self._known.read(partition_id, {})
            self._rows[partition_id] = row
            for archive in archives:
                shown = source_row(archive, row["dataset"])
                self.archives.setdefault(shown["id"], shown)
                made[shown["id"]][partition_id] = None
            for one in inputs:
                if one.stage != "source":
                    made[one.id][partition_id] = None
        return {made_of: sorted(ids, key=self._order) for made_of, ids in made.items()}

    def _order(self, partition_id: str) -> tuple[str, str]:
        return str(self._rows[partition_id]["part"]), partition_id

    def above(self, made_of: str, of: str | None, depth: int) -> Iterator[Row]:
        """The partition or archive, and all that was made of it."""
        row = self.archives.get(made_of) or self._rows[made_of]
        repeated = made_of in self._seen
        self._seen.add(made_of)
        yield {**row, "depth": depth, "of": of, "repeated": repeated}
        if not repeated:
            for partition_id in self._made.get(made_of, ()):
                yield from self.above(partition_id, made_of, depth + 1)


def draw(rows: Sequence[Row], console: Console) -> None:
    """A tree for each start, and how much of each stage there is."""
    begins = [at for at, row in enumerate(rows) if row["depth"] == 0]
    for begin, end in zip(begins, [*begins[1:], len(rows)], strict=True):
        lineage.draw(rows[begin:end], console)
    count = Counter(row["stage"] for row in rows if not row["repeated"] and row["depth"])
    said = ", ".join(f"{stage} {count[stage]}" for stage in sorted(count, key=_by_stage))
    console.print(text(f"made of it: {said or 'nothing'}", "bold"))
