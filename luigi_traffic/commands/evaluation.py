"""`luigi-traffic evaluation`: how good the published forecasts were, or the live ones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from luigi_traffic.commands.evaluation_figures import error_figures, lead_figures, ratio
from luigi_traffic.commands.output import Row, table, text
from luigi_traffic.commands.warehouse import existing_reader
from luigi_traffic.errors import DataError, SettingsError, did_you_mean
from luigi_traffic.project import Project
from luigi_traffic.warehouse.sql_names import literal, quote
from luigi_traffic.warehouse.tables import ERROR_SUMS, PAIRED_SUMS

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
    "rolling_mae": ("MAE rolling", ".2f"), "rolling_excess": ("against rolling", "+.1%"),
    "fallback_count": ("by profile", ",.0f"), "fallback_mae": ("MAE by profile", ".2f"),
}  # fmt: skip

#: Only in JSON and on the page.
_WIDE = ("persistence_hit_share", "persistence_false_alarm_share")


@dataclass(frozen=True)
class Scope:
    """Which evaluations are asked for. `target` is the name of the measure; None: no bound.

    live  of what was issued while the days went on, and not of what was published
    """

    dataset: str
    target: str
    first: date | None = None
    last: date | None = None
    live: bool = False

    @classmethod
    def of(
        cls,
        project: Project,
        dataset: str,
        target: str,
        first: date | None,
        last: date | None,
        live: bool = False,
    ) -> Scope:
        """Raises `TrafficError` for a dataset, measure or range that does not exist."""
        plugin = project.plugins.dataset(dataset)
        if first and last and first > last:
            raise SettingsError(f"--from {first} is after --to {last}")
        measure = plugin.measure_to_forecast(target, "--target")
        return cls(plugin.name, measure, first, last, live)

    @property
    def sums(self) -> tuple[str, ...]:
        """The columns of sums."""
        return (*ERROR_SUMS, *PAIRED_SUMS) if self.live else ERROR_SUMS

    def grouped_by(self, link: bool = False) -> str:
        """Which rows have the sums."""
        if self.live:
            return "live link" if link else "live"
        return "link" if link else "hour"

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
    step has its minutes, too.

    Live forecasts have no onsets. They have rolling_mae, that of what the same version published
    for the same values when the day was over, and rolling_excess, by which share of it the live
    errors of these values are larger; fallback_count and fallback_mae, of what is a profile of the
    week and counted in no other figure; and of days: issued, at how many of the `intervals`.

    Links come with the worst MAE first, at most `limit` of them. Raises
    `DataError` if nothing is scored.
    """
    if by not in BY:
        raise SettingsError(f"--by {by!r} is not a grouping.{did_you_mean(by, BY)}")
    warehouse = existing_reader(project)
    _expect_any(project, scope)
    plugin = project.plugins.dataset(scope.dataset)
    if scope.live:
        found, extra = _live(warehouse, scope, by)
    else:
        found, extra = _errors(warehouse, scope, by), _onsets(warehouse, scope, by)
    made = []
    for key, sums in found.items():
        name: Row = dict(zip(BY[by], key, strict=True))
        if by == "step":
            name["minutes"] = key[0] * (plugin.interval / timedelta(minutes=1))
        made.append(name | {"unit": plugin.measures[scope.target]} | sums | extra.get(key, {}))
    if by == "link":
        made.sort(key=lambda row: -(row["mae"] or 0))
        return made[:limit]
    return made


def days_scored(project: Project, scope: Scope) -> list[date]:
    """The days of the range that are scored, in order."""
    asked = scope.select("DISTINCT day", scope.grouped_by(), " ORDER BY day")
    return [day for (day,) in existing_reader(project).query(asked, None)[1]]


def ticks_issued(project: Project, scope: Scope) -> str:
    """At how many intervals of the scored days a live forecast was issued, in words."""
    if not scope.live:
        return ""
    found = _ticks(existing_reader(project), scope)
    issued, intervals = sum(row[1] for row in found), sum(row[2] for row in found)
    return f"live forecasts were issued at {issued:,} of {intervals:,} intervals"


def is_scored(project: Project, scope: Scope) -> bool:
    """Whether any day of the range is."""
    warehouse, name = existing_reader(project), literal(f"evaluation.{quote(scope.dataset)}")
    there = warehouse.query(f"SELECT to_regclass({name}) IS NOT NULL", None)[1]
    return there == [(True,)] and bool(warehouse.query(scope.select("1", scope.grouped_by()), 1)[1])


def _expect_any(project: Project, scope: Scope) -> None:
    if is_scored(project, scope):
        return
    span = "".join(f" {w} {d}" for w, d in (("from", scope.first), ("to", scope.last)) if d)
    what = "live forecast" if scope.live else "forecast"
    also = ""
    if not scope.live and is_scored(project, replace(scope, live=True)):
        also = " Live forecasts are scored (--live)."
    raise DataError(
        f"no {what} of {scope.target} of {scope.dataset} is scored{span}.{also} Score a day: luigi "
        f"--module luigi_traffic.run Evaluate --dataset {scope.dataset} --date YYYY-MM-DD"
    )


def _errors(
    warehouse: Warehouse, scope: Scope, by: str, kind: str | None = None
) -> dict[tuple[Any, ...], Row]:
    keys = ", ".join(BY[by])
    sums = ", ".join(f"sum({quote(name)})" for name in scope.sums)
    of_kind = f" AND kind = {literal(kind)}" if kind else ""
    asked = scope.select(
        f"{keys}, congested, {sums}", scope.grouped_by(by == "link"),
        f"{of_kind} GROUP BY {keys}, congested ORDER BY {keys}",
    )  # fmt: skip
    states: dict[tuple[Any, ...], dict[bool | None, Mapping[str, float]]] = {}
    width = len(BY[by])
    for row in warehouse.query(asked, None)[1]:
        values = dict(zip(scope.sums, row[width + 1 :], strict=True))
        states.setdefault(row[:width], {})[row[width]] = values
    return {key: error_figures(parts) for key, parts in states.items()}


def _live(
    warehouse: Warehouse, scope: Scope, by: str
) -> tuple[dict[tuple[Any, ...], Row], dict[tuple[Any, ...], Row]]:
    """Figures of what the model said, and beside them those of its stand-in, and of the ticks."""
    ours, stand_in = (_errors(warehouse, scope, by, kind) for kind in ("live", "fallback"))
    nothing = error_figures({None: dict.fromkeys(scope.sums, 0)})
    ours |= {key: nothing for key in sorted(stand_in) if key not in ours}
    extra: dict[tuple[Any, ...], Row] = {
        key: {f"fallback_{name}": stand_in.get(key, nothing)[name] for name in ("count", "mae")}
        for key in ours
    }
    if by == "day":
        for day, issued, intervals in _ticks(warehouse, scope):
            if (day,) in extra:
                extra[day,] |= {"issued": issued, "intervals": intervals}
    return ours, extra


def _ticks(warehouse: Warehouse, scope: Scope) -> list[tuple[Any, ...]]:
    """Day, at how many of its intervals a live forecast was issued, and how many it has."""
    asked = scope.select("day, issued, intervals", "ticks", " ORDER BY day")
    return warehouse.query(asked, None)[1]


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
                "hit_share": ratio(ours[0], onsets),
                "false_alarm_share": ratio(ours[2], ours[1]),
                "persistence_hit_share": ratio(theirs[0], onsets),
                "persistence_false_alarm_share": ratio(theirs[2], theirs[1]),
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
    return {key: lead_figures(counts) for key, counts in leads.items()}


def draw(
    scope: Scope,
    days: Sequence[date],
    ticks: str,
    by: str,
    rows: Sequence[Row],
    console: Console,
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
    what = f"{scope.target} of {scope.dataset}{f' in {unit}' if unit else ''}, {span}"
    console.print(text(f"{what}; {ticks}" if ticks else what))


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
