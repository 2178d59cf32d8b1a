"""`luigi-traffic status --grid` and `--year`: a character for each cell, or for each day."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from itertools import groupby
from typing import TYPE_CHECKING

from luigi_traffic.api.stages import STAGES
from luigi_traffic.commands.output import Row, text
from luigi_traffic.commands.status import ABSENT, DONE, MISSING, STALE
from luigi_traffic.warehouse.attempts import RUNNING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

FAILED = "failed"
#: State → letter, style, what it means; the worst first, which is that of a day.
LETTERS = {
    FAILED: ("F", "bold red", "failed"),
    ABSENT: ("A", "red", "absent, and a run stops at it"),
    RUNNING: ("R", "cyan", "running"),
    MISSING: ("M", "red", "missing"),
    STALE: ("S", "yellow", "stale"),
    "left out": ("-", "dim", "absent and left out"),
    DONE: (".", "green", "done"),
}
_WIDTH = 10
_DAYS = range(1, 32)


def state_of(row: Row) -> str:
    """A key of `LETTERS` for a row of kind "partition"."""
    if row["attempt"] and row["state"] != ABSENT:
        return RUNNING if row["running"] else FAILED
    if row["state"] == ABSENT and row["complete"]:
        return "left out"
    return str(row["state"])


def draw_grid(rows: Sequence[Row], console: Console) -> None:
    """Of each dataset and month a line for each stage, with a letter for each day."""
    for dataset, month, of_month in _months(rows):
        console.print(text(f"{dataset} {month}", "bold"))
        console.print(text(f"{'':{_WIDTH}}" + "".join(str(day % 10) for day in _DAYS), "dim"))
        for stage in STAGES:
            states = {r["day"]: state_of(r) for r in of_month if r["stage"] == stage}
            console.print(_line(stage, states))
    _legend(rows, console)


def draw_year(rows: Sequence[Row], console: Console) -> None:
    """Of each dataset a line for each month, with the letter of the worst stage for each day."""
    order = list(LETTERS)
    shown = None
    for dataset, month, of_month in _months(rows):
        if dataset != shown:
            console.print(text(f"{dataset}: the worst stage of each day", "bold"))
            console.print(text(f"{'':{_WIDTH}}" + "".join(str(day % 10) for day in _DAYS), "dim"))
            shown = dataset
        states: dict[date, str] = {}
        for row in of_month:
            before = states.get(row["day"], DONE)
            states[row["day"]] = min(before, state_of(row), key=order.index)
        console.print(_line(month, states))
    _legend(rows, console)


def _months(rows: Iterable[Row]) -> Iterator[tuple[str, str, list[Row]]]:
    """Dataset, month, and its rows of stages of a day."""
    found = [row for row in rows if row["kind"] == "partition" and row["stage"] in STAGES]
    for (dataset, month), group in groupby(found, lambda r: (r["dataset"], f"{r['day']:%Y-%m}")):
        yield dataset, month, list(group)


def _line(name: str, states: Mapping[date, str]) -> Text:
    by_number = {day.day: state for day, state in states.items()}
    line = text(f"{name:{_WIDTH}}")
    for number in range(1, max(by_number, default=0) + 1):
        letter, style, _ = LETTERS.get(by_number.get(number, ""), (" ", "", ""))
        line.append(letter, style=style)
    return line


def _legend(rows: Sequence[Row], console: Console) -> None:
    """What the letters mean that are there."""
    there = {state_of(row) for row in rows if row["kind"] == "partition" and row["stage"] in STAGES}
    said = [f"{letter} {means}" for state, (letter, _, means) in LETTERS.items() if state in there]
    console.print(text("   ".join(said), "dim"))
