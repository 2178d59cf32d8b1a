"""`luigi-traffic status --html`: a calendar of days and stages that needs nothing beside it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

from luigi_traffic.api import clock
from luigi_traffic.commands.output import Row, plain
from luigi_traffic.commands.status import SHOWN
from luigi_traffic.commands.status_grid import LETTERS, state_of
from luigi_traffic.errors import DataError, SettingsError

#: What the page shows of a cell, in this order.
_SHOWN = ("rows", "seconds", "committed_at", "coverage", "partition_id", "model")
_PLACE = "@DATA@"


def write(rows: Sequence[Row], path: Path) -> None:
    """Write the page of rows of `status.rows`.

    Raises `DataError` if nothing has run yet, `SettingsError` if the file cannot be written.
    """
    html = page(rows)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(html, encoding="utf-8")
    except OSError as error:
        raise SettingsError(f"--html {path} cannot be written: {error.strerror}.") from error


def page(rows: Sequence[Row]) -> str:
    """The page as text."""
    cells = [row for row in rows if row["kind"] == "partition"]
    if not cells:
        raise DataError("nothing has run in this home yet, so the calendar would be empty")
    reasons: dict[str | None, int] = {}
    found: dict[str, dict[str, list[object]]] = {}
    for row in cells:
        reason = reasons.setdefault(row["reason"], len(reasons))
        days = found.setdefault(row["dataset"], {})
        cell = [row["stage"], state_of(row), reason, *(plain(row.get(name)) for name in _SHOWN)]
        days.setdefault(row["day"].isoformat(), []).append(cell)
    data = {
        "made": f"{clock.now():%Y-%m-%d %H:%M} UTC", "stages": SHOWN, "shown": _SHOWN,
        "states": {state: [letter, means] for state, (letter, _, means) in LETTERS.items()},
        "reasons": list(reasons), "datasets": found,
    }  # fmt: skip
    # In a script of a page, only this sign could end it.
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
    template = files("luigi_traffic.commands").joinpath("status_calendar.html")
    return template.read_text(encoding="utf-8").replace(_PLACE, text)
