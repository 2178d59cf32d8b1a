"""Times of the week in words: `mon-fri 07:00-09:00, sat 10:00-14:00`."""

from __future__ import annotations

import re
from dataclasses import dataclass

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAY = "|".join(DAYS)
_SPAN = re.compile(
    rf"({_DAY})(?:-({_DAY}))? ([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]|24):([0-5]\d)"
)


@dataclass(frozen=True)
class DaySpan:
    """The same time on some days of the week.

    first, last  days, 0 = Monday … 6 = Sunday, both of them inside
    start, end   minutes of the day; `start` lies inside, `end` does not
    """

    first: int
    last: int
    start: int
    end: int

    def holds(self, day: int, minute: float) -> bool:
        """Whether an interval that begins at this minute of this day of the week lies inside."""
        return self.first <= day <= self.last and self.start <= minute < self.end


def day_spans(text: str) -> tuple[DaySpan, ...]:
    """The spans of a text. Raises `ValueError` that says what is expected."""
    return tuple(_span(part.strip()) for part in text.split(","))


def _span(text: str) -> DaySpan:
    found = _SPAN.fullmatch(text)
    if found is None:
        raise ValueError(
            f"{text!r} is not days and times: expected for example 'mon-fri 07:00-09:00', or "
            "several of them with commas between"
        )
    first, last, *clock = found.groups()
    span = DaySpan(
        DAYS.index(first),
        DAYS.index(last or first),
        int(clock[0]) * 60 + int(clock[1]),
        int(clock[2]) * 60 + int(clock[3]),
    )
    if span.last < span.first:
        raise ValueError(f"{text!r}: a week runs from mon to sun; write two spans")
    if not span.start < span.end <= 24 * 60:
        raise ValueError(
            f"{text!r} ends before it starts, or after 24:00. For a night, write two spans: one "
            "to 24:00, one from 00:00"
        )
    return span
