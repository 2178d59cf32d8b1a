"""`luigi-traffic evaluation --html`: one page with pictures that needs nothing beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from luigi_traffic.commands.evaluation import (
    Scope,
    cell,
    days_scored,
    heads,
    is_scored,
    label,
    rows,
    ticks_issued,
)
from luigi_traffic.commands.output import Row
from luigi_traffic.errors import SettingsError, extras_named
from luigi_traffic.project import Project

#: So many days at most have a label in the picture by day.
_LABELS = 6
#: Figure of a row → its line in a picture.
_BASELINES = {"mae": "forecast", "persistence_mae": "persistence", "day_before_mae": "day before"}
_STATES = {"mae": "all", "mae_free": "free", "mae_congested": "congested"}
_COLUMNS = (
    "mae", "rmse", "wape", "bias", "mae_free", "mae_congested", "persistence_mae", "skill", "count",
)  # fmt: skip
_ONSETS = (
    "onsets",
    "hit_share",
    "false_alarm_share",
    "median_lead",
    "persistence_hit_share",
    "persistence_false_alarm_share",
)
_LIVE = (
    "mae", "rmse", "wape", "bias", "rolling_mae", "rolling_excess", "persistence_mae", "skill",
    "count", "fallback_count", "fallback_mae",
)  # fmt: skip


def write(project: Project, scope: Scope, path: Path, most_links: int | None) -> None:
    """Write the page of the scope. Raises `TrafficError` if nothing is scored, or it cannot."""
    found = {
        by: rows(project, scope, by, most_links)
        for by in ("step", "hour", "day", "link", "version")
    }
    live = replace(scope, live=True)
    ticks = ticks_issued(project, live) if is_scored(project, live) else ""
    if ticks and not scope.live:
        found["live"] = rows(project, live, "step")
    html = page(scope, days_scored(project, scope), found, ticks)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(html, encoding="utf-8")
    except OSError as error:
        raise SettingsError(f"--html {path} cannot be written: {error.strerror}.") from error


def page(scope: Scope, days: Sequence[date], found: dict[str, list[Row]], ticks: str = "") -> str:
    """HTML of the rows by step, hour, day, link and version, and of live ones by step, if there
    are any: `ticks` says how many. Equal rows give equal text."""
    with extras_named():
        from luigi_traffic.training import page as html_page
        from luigi_traffic.training.metrics import CONGESTED_SHARE
        from luigi_traffic.training.onsets import TOLERANCE

        drawings = _drawings(found)
    unit = found["step"][0]["unit"]
    span = f"{days[0]}" if len(days) == 1 else f"{days[0]} to {days[-1]}, {len(days)} days"
    columns = _LIVE if scope.live else (*_COLUMNS, *_ONSETS)
    congested = any(row["mae_free"] is not None for row in found["step"])
    tables = [
        _table("Versions", "version", found["version"], columns),
        _table(f"The {len(found['link'])} links with the largest errors", "link", found["link"]),
        _table("By how far ahead", "step", found["step"], columns),
    ]
    if "live" in found:
        tables.append(_table("Live, by how far ahead", "step", found["live"], _LIVE))
    return html_page.render(
        "evaluation.html.jinja",
        title=f"{'Live forecasts' if scope.live else 'Forecasts'} of {scope.target} of "
        f"{scope.dataset}, {span}",
        verdict=_verdict(found["version"], unit),
        drawings=drawings,
        tables=tables,
        live=ticks,
        congested=f"{CONGESTED_SHARE:.0%}" if congested else "",
        tolerance=TOLERANCE // timedelta(minutes=1),
    )


def _verdict(versions: Sequence[Row], unit: str) -> str:
    parts = []
    for row in versions:
        if row["mae"] is None:
            parts.append(f"{label('version', row)}: nothing scored but profiles of the week")
            continue
        line = f"{label('version', row)}: MAE {row['mae']:.2f}{f' {unit}' if unit else ''}"
        if row["skill"] is not None:
            better = "below" if row["skill"] >= 0 else "above"
            line += f", {abs(row['skill']):.0%} {better} persistence ({row['persistence_mae']:.2f})"
        parts.append(line)
    return "; ".join(parts) + "."


def _drawings(found: dict[str, list[Row]]) -> list[tuple[str, str]]:
    from luigi_traffic.training import charts

    unit = found["step"][0]["unit"]
    y = f"MAE, {unit}" if unit else "MAE"
    minutes = [row["minutes"] for row in found["step"]]
    by_hour = {row["hour"]: row for row in found["hour"]}
    hours = [by_hour.get(hour, {}) for hour in range(24)]
    made: list[tuple[str, str]] = [
        ("By how far ahead", charts.lines(
            minutes, _lines(found["step"], _BASELINES), "minutes ahead", y, "step")),
        ("By hour of day, all steps", charts.lines(
            [float(hour) for hour in range(24)], _lines(hours, _BASELINES), "hour of day", y,
            "hour", ticks=range(0, 24, 3))),
    ]  # fmt: skip
    states = _lines(found["step"], _STATES)
    if len(states) > 1:
        made.append(("Congested and free, by how far ahead", charts.lines(
            minutes, states, "minutes ahead", y, "state")))  # fmt: skip
    days = found["day"]
    if len(days) > 1:
        ticks = range(0, len(days), -(-len(days) // _LABELS))
        made.append(("By day, all steps", charts.lines(
            [float(n) for n in range(len(days))], _lines(days, _BASELINES), "day", y, "day",
            ticks=ticks, tick_labels=[f"{days[n]['day']:%m-%d}" for n in ticks])))  # fmt: skip
    return made


def _lines(rows: Sequence[Row], names: dict[str, str]) -> dict[str, list[float | None]]:
    """Name of a line → its values; lines without a value are left out."""
    found = {name: [row.get(key) for row in rows] for key, name in names.items()}
    return {name: values for name, values in found.items() if any(v is not None for v in values)}


def _table(
    title: str, by: str, rows: Sequence[Row], columns: Sequence[str] = _COLUMNS
) -> dict[str, Any]:
    names = [n for n in columns if any(row.get(n) is not None for row in rows)]
    cells = [(label(by, row), *(cell(name, row.get(name)) for name in names)) for row in rows]
    return {"title": title, "heads": [by, *heads(names)], "rows": cells}
