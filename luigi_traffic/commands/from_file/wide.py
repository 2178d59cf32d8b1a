"""Wide tables: a column a time of day, or a column a link, found by names and values."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal

from luigi_traffic.api.columns import MEASURES
from luigi_traffic.api.dataset import slots_of_a_day
from luigi_traffic.commands.from_file import moments, roles
from luigi_traffic.commands.from_file.opened import Opened

if TYPE_CHECKING:
    import pandas as pd

#: So many columns of times, or of links, make a wide table.
_LEAST_TIMES, _LEAST_LINKS = 9, 5
_CLOCKS = ("HH:mm:ss", "HH:mm", "H:mm", "HHmm", "Hmm", "HH시", "H시", "HH", "H")
#: Names that are digits alone may be anything, unless they go through most of a day.
_LONG = timedelta(hours=18)
#: Numbered columns are the intervals of a day if there are so many: 1 min to 1 h.
_COUNTS = (24, 48, 72, 96, 144, 288, 1440)
_NUMBERED = re.compile(r"(\D+)(\d+)")
#: Values that are looked at, and columns that may say when.
_MOST_VALUES, _FIRST = 100_000, 3
#: Names that the columns have once a row is a value.
_NAMES = {"time": "time of day", "link": "link id"}


@dataclass(frozen=True)
class Wide:
    """What was found. `columns` hold a value each, in order, of `measure`.

    step  of numbered columns, None of others
    """

    by: Literal["time", "link"]
    columns: list[str]
    measure: str
    step: timedelta | None = None

    @property
    def key(self) -> dict[str, Any]:
        """The key `wide` of the table."""
        numbered = {"numbered": True} if self.step else {}
        ends = {"first": self.columns[0], "last": self.columns[-1]}
        return {"by": self.by, "measure": self.measure} | numbered | ends

    @property
    def guessed(self) -> str:
        """What must be checked."""
        what = "a link" if self.by == "link" else "a time of the day"
        if self.step:
            what = f"an interval of {self.step}"
        return (
            f"TODO: {len(self.columns)} columns are taken for {what} each, and {self.measure} for "
            f"what they hold; it may also be {', '.join(m for m in MEASURES if m != self.measure)}"
        )

    def long(self, found: Opened) -> Opened:
        """The file with a row a value: its first ones, in the order of the file."""
        name = _NAMES[self.by]
        rows = found.rows.head(max(1, _MOST_VALUES // len(self.columns)))
        if self.step:
            clocks = [f"{at:%H:%M}" for at in slots_of_a_day(self.step)]
            rows = rows.rename(columns=dict(zip(self.columns, clocks, strict=True)))
        columns = clocks if self.step else self.columns
        rest = [column for column in rows.columns if column not in columns]
        made = rows.melt(rest, columns, name, self.measure, ignore_index=False)
        made = made.sort_index(kind="stable").reset_index(drop=True)
        return replace(found, names=list(made.columns), rows=made)


def find_wide(found: Opened) -> Wide | None:
    """The columns of a wide table, None if a row is a value."""
    if not found.header:
        return None
    times, step = _clock_columns(found.names), None
    if not times:
        times, step = _numbered_columns(found.names)
    if times:
        rest = found.rows[[name for name in found.names if name not in times]]
        likely = roles.named(list(rest.columns))
        # A column of the time of day says when, so that the others are links.
        if not likely["time"] and moments.has_days(rest, likely["date"]):
            return Wide("time", times, _measure(found, times), step)
    return _links(found)


def _clock_columns(names: Sequence[str]) -> list[str]:
    """The longest run of names that are times of a day in equal steps."""
    best: list[str] = []
    for pattern in _CLOCKS:
        day = [moments.moment_of(f"2024-01-01 {name}", f"yyyy-MM-dd {pattern}") for name in names]
        run: list[int] = []
        for n, at in enumerate(day):
            if at is None:
                run = []
                continue
            before = day[n - 1] if run else None
            if before is not None and at <= before:
                run = []
            run.append(n)
            if len(run) >= max(_LEAST_TIMES, len(best) + 1):
                of_run = [m for m in (day[k] for k in run) if m is not None]
                steps = {b - a for a, b in pairwise(of_run)}
                long = of_run[-1] - of_run[0] >= _LONG or not pattern.isascii() or ":" in pattern
                if len(steps) == 1 and long:
                    best = [names[k] for k in run]
    return best


def _numbered_columns(names: Sequence[str]) -> tuple[list[str], timedelta | None]:
    """A run of names like V00 to V95, from 0 or 1 on, and the interval that each of them is."""
    run: list[str] = []
    ends: tuple[str, int] | None = None
    for name in [*names, ""]:
        parts = _NUMBERED.fullmatch(name)
        here = (parts[1], int(parts[2])) if parts else None
        if here and ends and here == (ends[0], ends[1] + 1):
            run.append(name)
        else:
            if len(run) in _COUNTS:
                return run, timedelta(days=1) / len(run)
            run = [name] if here and here[1] in (0, 1) else []
        ends = here
    return [], None


def _links(found: Opened) -> Wide | None:
    """Columns of numbers beside a time, none of them with a name that says what it is."""
    likely = roles.named(found.names)
    if likely["link_id"] or any(likely[measure] for measure in MEASURES):
        return None
    named = {name for names in likely.values() for name in names}
    first = [n for k, n in enumerate(found.names) if n in named or k < _FIRST]
    moment = moments.find_moment(found.rows[first], likely)
    if moment is None:
        return None
    decimal = roles.decimal_of(found.rows, found.delimiter)
    best: list[str] = []
    run: list[str] = []
    for name in found.names:
        free = name not in named and name not in moment.columns
        if free and roles.numbers(found.rows[name], decimal).notna().mean() > 0.5:
            run = [*run, name]
            best = max(best, run, key=len)
        else:
            run = []
    return Wide("link", best, _measure(found, best)) if len(best) >= _LEAST_LINKS else None


def _measure(found: Opened, columns: Sequence[str]) -> str:
    """By the name of the file, else whole numbers are counts, and others speeds."""
    for word in re.split(r"[\W\d_]+", found.path.stem):
        named = roles.named([word]) if len(word) > 1 else {}
        for measure in MEASURES:
            if named.get(measure):
                return measure
    cells: pd.Series = found.rows[list(columns)].stack()
    values = roles.numbers(cells, roles.decimal_of(found.rows, found.delimiter)).dropna()
    return "flow" if len(values) and (values % 1 == 0).all() else "speed"
