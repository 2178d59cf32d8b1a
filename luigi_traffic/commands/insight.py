"""`luigi-traffic insight`: what `Insight` has computed from speeds."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from luigi_traffic.commands.output import Row, table, text
from luigi_traffic.commands.warehouse import existing_reader
from luigi_traffic.errors import DamageError, DataError, SettingsError, did_you_mean
from luigi_traffic.project import Project
from luigi_traffic.warehouse.sql_names import literal, quote

if TYPE_CHECKING:
    from rich.console import Console

    from luigi_traffic.warehouse.connection import Warehouse

#: What is shown → the kind of row, the worst first, and the columns: head and format.
SHOWN: dict[str, tuple[str, dict[str, tuple[str, str]]]] = {
    "period": (
        "planning_time_index DESC NULLS LAST",
        {
            "period": ("period", ""),
            "travel_time_index": ("TTI", ".2f"), "planning_time_index": ("PTI", ".2f"),
            "buffer_index": ("buffer", ".0%"), "lottr": ("LOTTR", ".2f"),
            "congested": ("congested", ".0%"), "delay_per_km": ("delay, s/km", ".0f"),
            "level_of_service": ("LOS", ""), "mean_speed": ("mean", ".1f"),
            "free_flow": ("free flow", ".1f"), "coverage": ("coverage", ".0%"),
            "days": ("days", "d"), "reason": ("reason", ""),
        },
    ),
    "health": (
        "greatest(silent, stuck, implausible) DESC",
        {
            "state": ("state", ""), "silent": ("silent", ",d"),
            "longest_silence_hours": ("longest, h", ".1f"), "stuck": ("stuck", ",d"),
            "implausible": ("implausible", ",d"), "intervals": ("intervals", ",d"),
            "feed_down": ("feed down", ",d"),
        },
    ),
    "bottleneck": (
        "persistence DESC, activations DESC",
        {
            "persistence": ("of days", ".0%"), "active_days": ("active days", "d"),
            "days": ("days", "d"), "activations": ("activations", "d"),
            "mean_minutes": ("mean, min", ".0f"),
        },
    ),
}  # fmt: skip
_WORDS = ("period", "level_of_service", "reason", "state")


@dataclass(frozen=True)
class Window:
    """A partition of `insight.<dataset>` that is as it was committed."""

    warehouse: Warehouse
    dataset: str
    day: date
    recipe: dict[str, Any]
    details: dict[str, Any]

    @classmethod
    def of(cls, project: Project, dataset: str, day: date | None) -> Window:
        """The one that ends on `day`; None: the newest.

        Raises `DataError` if there is none, `DamageError` if it has lost or won rows.
        """
        name = project.plugins.dataset(dataset).name
        warehouse = existing_reader(project)
        where = f"stage = 'insight' AND dataset = {literal(name)} AND superseded_at IS NULL"
        where += f" AND part = '{day}'" if day else ""
        found = warehouse.query(
            f"SELECT part, rows, recipe, details FROM meta.ledger WHERE {where} ORDER BY part DESC",  # noqa: S608
            1,
        )[1]
        if not found:
            raise DataError(
                f"nothing is computed from the speeds of {name}{f' to {day}' if day else ''}. "
                f"Compute it: luigi --module luigi_traffic.run Insight --dataset {name} --date "
                f"{day or 'YYYY-MM-DD'}"
            )
        ((part, rows, recipe, details),) = found
        window = cls(warehouse, name, date.fromisoformat(part), recipe, details)
        there = window.rows("count(*)")[0][0]
        if there != rows:
            raise DamageError(
                f"insight.{name} of {part} has {there:,} rows of the {rows:,} that were committed. "
                f"Let it be made again: luigi-traffic invalidate insight {name} {part}"
            )
        return window

    def rows(self, columns: str, more: str = "", limit: int | None = None) -> list[Any]:
        """Rows of the partition; `more` is SQL that follows the condition on the day."""
        return self.warehouse.query(
            f"SELECT {columns} FROM insight.{quote(self.dataset)}"  # noqa: S608
            f" WHERE day = '{self.day}'{more}",
            limit,
        )[1]


def rows(window: Window, what: str, period: str | None, limit: int | None) -> list[Row]:
    """Rows of links, the worst first: link_id, and the columns of their kind.

    `what` is "period", "health" or "bottleneck"; `period` chooses one of the first; None: all.
    Raises `SettingsError` for what is not there.
    """
    if what not in SHOWN:
        raise SettingsError(f"--what {what!r} is not shown.{did_you_mean(what, SHOWN)}")
    order, columns = SHOWN[what]
    where = f" AND kind = '{what}'"
    if period is not None:
        if what != "period":
            raise SettingsError(f"--period {period!r} is for --what period, not {what}")
        _expect(window, period)
        where += f" AND period = {literal(period)}"
    names = ["link_id", *columns]
    found = window.rows(", ".join(names), f"{where} ORDER BY {order}, link_id, period", limit)
    return [dict(zip(names, row, strict=True)) for row in found]


def _expect(window: Window, period: str) -> None:
    known = sorted(window.recipe["settings"]["periods"])
    if period not in known:
        raise SettingsError(f"--period {period!r} is not computed.{did_you_mean(period, known)}")


def draw(window: Window, what: str, rows: Sequence[Row], console: Console) -> None:
    """A table; columns that no row has are left out."""
    names = [name for name in SHOWN[what][1] if any(row[name] is not None for row in rows)]
    right = [name for name in names if name not in _WORDS]
    shown = table("link", *heads(what, names), right=heads(what, right))
    for row in rows:
        shown.add_row(text(row["link_id"]), *(text(cell) for cell in cells(what, row, names)))
    console.print(shown)
    first, last = window.recipe["window"]
    unit, days = window.details["unit"], window.details["days"]
    none = "" if rows else f"no {what}; "
    console.print(
        text(
            f"{none}{window.dataset}, {days} days of gold from {first} to {last}, speeds in {unit}"
        )
    )


def heads(what: str, names: Iterable[str] | None = None) -> list[str]:
    """The heads of columns; of all of them if no `names` are given."""
    columns = SHOWN[what][1]
    return [columns[name][0] for name in (columns if names is None else names)]


def cells(what: str, row: Row, names: Iterable[str] | None = None) -> list[str]:
    """The values of a row, for people."""
    columns = SHOWN[what][1]
    return [
        "–" if row[name] is None else format(row[name], columns[name][1])
        for name in (columns if names is None else names)
    ]


def write_valhalla(window: Window, path: Path) -> tuple[int, list[str]]:
    """Write Valhalla's historical speeds; how many links, and those that were left out.

    Left out are links of which less than `insight.min_coverage` of the week is known. Gaps of the
    others are bridged. Raises `SettingsError` if the file cannot be written.
    """
    from luigi_traffic.compute.insight import typical_week
    from luigi_traffic.compute.insight.speeds import KMH

    least = window.recipe["settings"]["min_coverage"]
    interval = timedelta(seconds=window.details["interval_seconds"])
    written, left_out = 0, []
    try:
        with path.open("w", encoding="utf-8", newline="") as file:
            out = csv.writer(file, lineterminator="\n")
            out.writerow(("edge_id", "freeflow_speed", "constrained_speed", "historical_speeds"))
            for link, speeds in window.rows("link_id, speeds", " AND kind = 'week' ORDER BY 1"):
                week = typical_week.from_array_text(speeds) * KMH[window.details["unit"]]
                known = float((week == week).mean())
                if known == 0 or known < least:
                    left_out.append(link)
                    continue
                whole = typical_week.filled(typical_week.buckets(week, interval))
                night, day = typical_week.by_night_and_day(whole)
                out.writerow((link, round(night), round(day), typical_week.encoded(whole)))
                written += 1
    except OSError as error:
        raise SettingsError(f"--valhalla {path} cannot be written: {error.strerror}.") from error
    return written, left_out
