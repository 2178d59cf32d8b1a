"""`luigi-traffic evaluation`: how good the published forecasts were."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from luigi_traffic.commands.output import Row, table, text
from luigi_traffic.commands.warehouse import existing_reader
from luigi_traffic.errors import DataError, SettingsError, did_you_mean
from luigi_traffic.project import Project
from luigi_traffic.warehouse.sql_names import literal, quote
from luigi_traffic.warehouse.tables import ERROR_SUMS

if TYPE_CHECKING:
    from rich.console import Console

    from luigi_traffic.warehouse.connection import Warehouse

#: What rows can be grouped by → the columns that say which row it is.
BY = {
    "step": ("step",), "link": ("link_id",), "hour": ("hour",), "version": ("model", "version"),
    "day": ("day",),
}  # fmt: skip
#: Figures of a row → their head in a table, and how they are shown.
_SHOWN = {
    "mae": ("MAE", ".2f"), "rmse": ("RMSE", ".2f"), "wape": ("WAPE", ".1%"),
    "bias": ("bias", "+.2f"),
    "mae_free": ("MAE free", ".2f"), "mae_congested": ("MAE congested", ".2f"),
    "persistence_mae": ("MAE persistence", ".2f"),
    "day_before_mae": ("MAE day before", ".2f"),
    "skill": ("skill", "+.1%"), "count": ("values", ",.0f"),
    "onsets": ("onsets", ",.0f"), "hit_share": ("hits", ".0%"),
    "false_alarm_share": ("false alarms", ".0%"),
    "persistence_hit_share": ("persistence hits", ".0%"),
    "persistence_false_alarm_share": ("persistence false alarms", ".0%"),
    "median_lead": ("lead, min", "g"),
}  # fmt: skip

#: Only in JSON and on the page.
_WIDE = ("persistence_hit_share", "persistence_false_alarm_share")


@dataclass(frozen=True)
class Scope:
    """Which evaluations are asked for. `target` is the name of the measure; None: no bound."""

    dataset: str
    target: str
    first: date | None = None
    last: date | None = None

    @classmethod
    def of(
        cls, project: Project, dataset: str, target: str, first: date | None, last: date | None
    ) -> Scope:
        """Raises `TrafficError` for a dataset, measure or range that does not exist."""
        plugin = project.plugins.dataset(dataset)
        if first and last and first > last:
            raise SettingsError(f"--from {first} is after --to {last}")
        return cls(plugin.name, plugin.measure_to_forecast(target, "--target"), first, last)

    def select(self, columns: str, grouped_by: str, group: str = "") -> str:
        """SQL of the rows of one kind."""
        where = [f"grouped_by = '{grouped_by}'", f"target = {literal(self.target)}"]
        where += [f"day >= '{self.first}'"] if self.first else []
        where += [f"day <= '{self.last}'"] if self.last else []
        return (
            f"SELECT {columns} FROM evaluation.{quote(self.dataset)}"  # noqa: S608
            f" WHERE {' AND '.join(where)}{group}"
        )


def rows(project: Project, scope: Scope, by: str, limit: int | None = None) -> list[Row]:
    """One row a step, link, hour, version or day: its name, then the figures, None if unknown.

    count; mae, rmse and bias in `unit`; wape, a share of 1; mae_free and mae_congested;
    persistence_mae and the skill against it, a share of 1; day_before_mae. Of steps, versions and
    days: onsets and hit_share; of steps: false_alarm_share, persistence_hit_share and
    persistence_false_alarm_share; of versions and days: mean_lead and median_lead in minutes. A
    step has its minutes, too. Links come with the worst MAE first, at most `limit` of them. Raises
    `DataError` if nothing is scored.
    """
    if by not in BY:
        raise SettingsError(f"--by {by!r} is not a grouping.{did_you_mean(by, BY)}")
    warehouse = existing_reader(project)
    _expect_any(warehouse, scope)
    plugin = project.plugins.dataset(scope.dataset)
    found = _errors(warehouse, scope, by)
    extra = _onsets(warehouse, scope, by)
    made = []
    for key, sums in found.items():
        name: Row = dict(zip(BY[by], key, strict=True))
        if by == "step":
            name["minutes"] = key[0] * (plugin.interval / timedelta(minutes=1))
        made.append(name | {"unit": plugin.measures[scope.target]} | sums | extra.get(key, {}))
    if by == "link":
        made.sort(key=lambda row: -row["mae"])
        return made[:limit]
    return made


def days_scored(project: Project, scope: Scope) -> list[date]:
    """The days of the range that are scored, in order."""
    asked = scope.select("DISTINCT day", "hour", " ORDER BY day")
    return [day for (day,) in existing_reader(project).query(asked, None)[1]]


def _expect_any(warehouse: Warehouse, scope: Scope) -> None:
    there = warehouse.query(
        f"SELECT to_regclass({literal(f'evaluation.{quote(scope.dataset)}')}) IS NOT NULL", None
    )[1]
    if there == [(True,)] and warehouse.query(scope.select("1", "hour"), 1)[1]:
        return
    span = "".join(f" {w} {d}" for w, d in (("from", scope.first), ("to", scope.last)) if d)
    raise DataError(
        f"no forecast of {scope.target} of {scope.dataset} is scored{span}. Score a day: luigi "
        f"--module luigi_traffic.run Evaluate --dataset {scope.dataset} --date YYYY-MM-DD"
    )


def _errors(warehouse: Warehouse, scope: Scope, by: str) -> dict[tuple[Any, ...], Row]:
    keys = ", ".join(BY[by])
    sums = ", ".join(f"sum({quote(name)})" for name in ERROR_SUMS)
    asked = scope.select(
        f"{keys}, congested, {sums}", "link" if by == "link" else "hour",
        f" GROUP BY {keys}, congested ORDER BY {keys}",
    )  # fmt: skip
    states: dict[tuple[Any, ...], dict[bool | None, Mapping[str, float]]] = {}
    width = len(BY[by])
    for row in warehouse.query(asked, None)[1]:
        values = dict(zip(ERROR_SUMS, row[width + 1 :], strict=True))
        states.setdefault(row[:width], {})[row[width]] = values
    return {key: _figures(parts) for key, parts in states.items()}


def _figures(parts: Mapping[bool | None, Mapping[str, float]]) -> Row:
    """Of the sums of free and of congested values, or of all (None)."""
    total = {name: sum(part[name] for part in parts.values()) for name in ERROR_SUMS}
    mae = _ratio(total["absolute"], total["count"])
    persistence = _ratio(total["persistence_absolute"], total["persistence_count"])
    squared = _ratio(total["squared"], total["count"])
    return {
        "count": total["count"],
        "mae": mae,
        "rmse": None if squared is None else math.sqrt(squared),
        "wape": _ratio(total["absolute"], total["actual"]),
        "bias": _ratio(total["error"], total["count"]),
        **{
            name: _ratio(parts[state]["absolute"], parts[state]["count"])
            if state in parts
            else None
            for name, state in (("mae_free", False), ("mae_congested", True))
        },
        "persistence_mae": persistence,
        "day_before_mae": _ratio(total["day_before_absolute"], total["day_before_count"]),
        "skill": 1 - mae / persistence if mae is not None and persistence else None,
    }


def _onsets(warehouse: Warehouse, scope: Scope, by: str) -> dict[tuple[Any, ...], Row]:
    """Figures of onsets by the same keys; none of links and hours."""
    keys = ", ".join(BY[by])
    if by == "step":
        asked = scope.select(
            f"{keys}, sum(onsets), sum(hits), sum(forecast_onsets), sum(false_alarms),"
            " sum(persistence_hits), sum(persistence_forecast_onsets),"
            " sum(persistence_false_alarms)", "onset", f" GROUP BY {keys}",
        )  # fmt: skip
        return {
            (step,): {
                "onsets": onsets,
                "hit_share": _ratio(ours[0], onsets),
                "false_alarm_share": _ratio(ours[2], ours[1]),
                "persistence_hit_share": _ratio(theirs[0], onsets),
                "persistence_false_alarm_share": _ratio(theirs[2], theirs[1]),
            }
            for step, onsets, *counts in warehouse.query(asked, None)[1]
            for ours, theirs in [(counts[:3], counts[3:])]
        }
    if by not in ("version", "day"):
        return {}
    asked = scope.select(
        f"{keys}, lead_minutes, sum(onsets)", "lead", f" GROUP BY {keys}, lead_minutes"
    )
    leads: dict[tuple[Any, ...], dict[float | None, int]] = {}
    for *key, lead, count in warehouse.query(asked, None)[1]:
        leads.setdefault(tuple(key), {})[lead] = count
    return {key: _lead(counts) for key, counts in leads.items()}


def _lead(counts: Mapping[float | None, int]) -> Row:
    """Of minutes of lead (None: missed) → number of onsets."""
    hits = sorted((lead, count) for lead, count in counts.items() if lead is not None)
    number, onsets = sum(count for _, count in hits), sum(counts.values())
    return {
        "onsets": onsets,
        "hit_share": _ratio(number, onsets),
        "mean_lead": _ratio(sum(lead * count for lead, count in hits), number),
        "median_lead": _median(hits, number),
    }


def _median(counted: Sequence[tuple[float, int]], number: int) -> float | None:
    """Of values in order, each with how often it comes."""
    if not number:
        return None
    places, found, seen = ((number - 1) // 2, number // 2), [], 0
    for value, count in counted:
        found += [value for place in places if seen <= place < seen + count]
        seen += count
    return sum(found) / 2


def _ratio(total: float, count: float) -> float | None:
    return float(total) / float(count) if count else None


def draw(
    scope: Scope, days: Sequence[date], by: str, rows: Sequence[Row], console: Console
) -> None:
    """A table; columns that no row has are left out, and those that would make it too wide."""
    names = [n for n in _SHOWN if n not in _WIDE and any(row.get(n) is not None for row in rows)]
    heads = [_SHOWN[n][0] for n in names]
    shown = table(by, *heads, right=heads)
    for row in rows:
        shown.add_row(text(label(by, row)), *(text(cell(name, row.get(name))) for name in names))
    console.print(shown)
    span = f"{days[0]}" if len(days) == 1 else f"{len(days)} days, {days[0]} to {days[-1]}"
    unit = rows[0]["unit"]
    console.print(text(f"{scope.target} of {scope.dataset}{f' in {unit}' if unit else ''}, {span}"))


def label(by: str, row: Row) -> str:
    """What a row is of, for people."""
    if by == "step":
        return f"{row['step']} ({row['minutes']:g} min)"
    if by == "version":
        return row["model"] if row["version"] is None else f"{row['model']} {row['version']}"
    return f"{row['hour']:02d}:00" if by == "hour" else str(row[BY[by][0]])


def heads(names: Iterable[str]) -> list[str]:
    """The heads of columns."""
    return [_SHOWN[name][0] for name in names]


def cell(name: str, value: float | None) -> str:
    """A figure, for people."""
    return "–" if value is None else format(value, _SHOWN[name][1])
