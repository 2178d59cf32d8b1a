"""`luigi-traffic query`: one read-only statement on the warehouse."""

from __future__ import annotations

import csv
import sys
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from luigi_traffic.commands.output import Row, table, text
from luigi_traffic.commands.warehouse import existing_reader
from luigi_traffic.project import Project

if TYPE_CHECKING:
    from rich.console import Console


def rows(project: Project, sql: str, limit: int | None) -> tuple[list[str], list[Row], bool]:
    """Column names, the first `limit` rows (None: all), and whether there are more.

    A name that comes twice gets a number: `speed`, `speed_2`. Raises `DataError` with the
    server's words for a statement that is wrong or would write.
    """
    names, found = existing_reader(project).query(sql, None if limit is None else limit + 1)
    names = _unique(names)
    more = limit is not None and len(found) > limit
    return names, [dict(zip(names, row, strict=True)) for row in found[:limit]], more


def draw(names: Sequence[str], rows: Sequence[Row], more: bool, console: Console) -> None:
    """A table."""
    figures = [n for n in names if all(isinstance(r[n], int | float | None) for r in rows)]
    shown = table(*names, right=figures if rows else ())
    for row in rows:
        shown.add_row(*(text(_cell(row[name])) for name in names))
    console.print(shown)
    count = f"{len(rows)} row{'' if len(rows) == 1 else 's'}"
    console.print(f"only the first {count}; a larger --limit shows more" if more else count)


def write_csv(names: Sequence[str], rows: Sequence[Row]) -> None:
    """RFC 4180 with a header line, on standard output; NULL is an empty field."""
    out = csv.writer(sys.stdout, lineterminator="\r\n" if sys.platform == "win32" else "\n")
    out.writerow(names)
    for row in rows:
        out.writerow("" if row[name] is None else _cell(row[name]) for name in names)


def _unique(names: Sequence[str]) -> list[str]:
    made: list[str] = []
    for name in names:
        unique, number = name, 1
        while unique in made or (number > 1 and unique in names):
            number += 1
            unique = f"{name}_{number}"
        made.append(unique)
    return made


def _cell(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat(sep=" ")
    return "NULL" if value is None else value
