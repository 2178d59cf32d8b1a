"""`luigi-traffic insight show --html`: one page with a picture that needs nothing beside it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from luigi_traffic.commands.insight import SHOWN, Window, cells, heads, rows
from luigi_traffic.commands.output import Row
from luigi_traffic.errors import SettingsError, extras_named
from luigi_traffic.settings.day_spans import DAYS
from luigi_traffic.warehouse.sql_names import literal

#: So many links have a line.
_LINES = 4
_HOURS = 7 * 24
_TITLES = {
    "period": "Travel times, the least reliable first", "health": "Sensors, the worst first",
    "bottleneck": "Bottlenecks, the most persistent first",
}  # fmt: skip


def write(window: Window, path: Path, most: int | None) -> None:
    """Write the page, with at most so many rows in each table.

    Raises `SettingsError` if the file cannot be written.
    """
    html = page(window, {what: rows(window, what, None, most) for what in SHOWN})
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(html, encoding="utf-8")
    except OSError as error:
        raise SettingsError(f"--html {path} cannot be written: {error.strerror}.") from error


def page(window: Window, found: dict[str, list[Row]]) -> str:
    """HTML of the rows of each kind. Equal rows give equal text."""
    with extras_named():
        from luigi_traffic.training import page as html_page

        drawing = _weeks(window, list(dict.fromkeys(row["link_id"] for row in found["period"])))
    first, last = window.recipe["window"]
    sick = sum(row["state"] != "ok" for row in found["health"])
    return html_page.render(
        "insight.html.jinja",
        title=f"Speeds of {window.dataset}, {first} to {last}",
        verdict=(
            f"{window.details['days']} days of gold. Of the links below, {sick} have a sensor that "
            f"is not ok, and {len(found['bottleneck'])} are bottlenecks."
        ),
        drawing=drawing,
        tables=[
            {"title": _TITLES[what], "heads": ["link", *heads(what)],
             "rows": [(row["link_id"], *cells(what, row)) for row in of]}
            for what, of in found.items()
        ],
        congested=f"{window.recipe['settings']['congested_share']:.0%}",
    )  # fmt: skip


def _weeks(window: Window, links: Sequence[str]) -> Any:
    """A line for each of the first links: its typical speed over the week, by the hour."""
    import numpy as np

    from luigi_traffic.compute.insight.typical_week import from_array_text
    from luigi_traffic.training import charts

    wanted = ", ".join(literal(link) for link in links[:_LINES])
    lines: dict[str, list[float | None]] = {}
    for link, speeds in window.rows(
        "link_id, speeds", f" AND kind = 'week' AND link_id IN ({wanted})"
    ):
        week = from_array_text(speeds)
        parts = week.reshape(_HOURS if len(week) % _HOURS == 0 else len(week), -1)
        count, total = (~np.isnan(parts)).sum(axis=1), np.nansum(parts, axis=1)
        lines[link] = [float(t / n) if n else None for t, n in zip(total, count, strict=True)]
    drawn = {link: lines[link] for link in links[:_LINES]}
    points = len(drawn[links[0]])
    return charts.lines(
        [_HOURS / points * n for n in range(points)], drawn, "day of the week",
        f"typical speed, {window.details['unit']}", "week",
        ticks=range(0, _HOURS, 24), tick_labels=list(DAYS),
    )  # fmt: skip
