"""Days of gold or of published forecasts, and the links, as Parquet files for other tools.

    OUT/gold/dataset=its/day=2024-05-01/data.parquet
    OUT/forecast/dataset=its/day=2024-05-01/data.parquet
    OUT/links/dataset=its/valid_from=2024-01-01/data.parquet     (GeoParquet)

The folders are those of Hive: readers get `dataset` and `day` as columns.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from luigi_traffic.commands.export import files, geo, tables
from luigi_traffic.commands.output import Row, size, table, text
from luigi_traffic.commands.warehouse import existing_reader
from luigi_traffic.errors import DataError, SettingsError
from luigi_traffic.project import Project

if TYPE_CHECKING:
    from rich.console import Console

    from luigi_traffic.warehouse.connection import Warehouse

logger = logging.getLogger("luigi_traffic")

GOLD, FORECAST, LINKS = "gold", "forecast", "links"
WHAT = (GOLD, FORECAST, LINKS)
WRITTEN, THERE = "written", "already there"


@dataclass(frozen=True)
class Request:
    """What to export. `first` and `last`: None is the first and the last day that there is."""

    dataset: str
    what: str
    out: Path
    first: date | None = None
    last: date | None = None

    def __post_init__(self) -> None:
        if self.what not in WHAT:
            raise SettingsError(f"--what {self.what}: expected one of {', '.join(WHAT)}")
        if self.first and self.last and self.first > self.last:
            raise SettingsError(f"--from {self.first} is after --to {self.last}")


def run(project: Project, request: Request) -> list[Row]:
    """Write the files; a row each: dataset, what, part, state, rows, bytes, path, partition_id.

    A file is written whole or not at all, and stays as it is if it was made of the same partition.
    Memory is that of some thousand rows. Raises `DataError` if there is nothing to export,
    `DamageError` if a day does not have the rows that were committed, `SettingsError` if a file
    cannot be written.
    """
    name = project.plugins.dataset(request.dataset).name
    sources = _sources(existing_reader(project), name, request)
    if not sources:
        raise DataError(
            f"there is nothing of {request.what} of {name} in this range. `luigi-traffic status "
            f"--dataset {name}` shows what there is"
        )
    made = []
    for number, source in enumerate(sources, 1):
        path = files.place(request.out, request.what, name, source.key, source.part)
        known = files.partition_of(path)
        there = known is not None and known == source.partition_id
        if not there:
            files.write(path, source)
        rows, length = files.measured(path)
        made.append({
            "dataset": name, "what": request.what, "part": source.part,
            "state": THERE if there else WRITTEN, "rows": rows, "bytes": length,
            "path": str(path), "partition_id": source.partition_id,
        })  # fmt: skip
        logger.info(
            "export %s %s: %s, %d of %d", request.what, name, source.part, number, len(sources)
        )
    return made


def _sources(warehouse: Warehouse, name: str, request: Request) -> Sequence[files.Source]:
    first, last = request.first, request.last
    if request.what == LINKS:
        return geo.versions(warehouse, name, first, last)
    return tables.days(warehouse, name, request.what, first, last)


def draw(rows: Sequence[Row], console: Console) -> None:
    """A table, and how to read the files."""
    shown = table("part", "state", "rows", "size", "file", right=("rows", "size"))
    for row in rows:
        cells = (row["part"], row["state"], f"{row['rows']:,}", size(row["bytes"]), row["path"])
        shown.add_row(*(text(cell) for cell in cells))
    console.print(shown)
