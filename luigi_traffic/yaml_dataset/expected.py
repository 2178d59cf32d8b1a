"""The key `expected` of a declared table: at which times of a day each link should report."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import time
from typing import Annotated, Any

from pydantic import BeforeValidator, ConfigDict
from typing_extensions import TypedDict  # pydantic reads the one of `typing` from Python 3.12 on

_CLOCK = re.compile(r"([01]?\d|2[0-4]):([0-5]\d)")
_DAY = 24 * 60


def _minute_of_day(given: Any) -> Any:
    found = _CLOCK.fullmatch(given) if isinstance(given, str) else None
    minute = 60 * int(found[1]) + int(found[2]) if found else _DAY + 1
    if minute > _DAY:
        # YAML reads 23:00 without quotes as a number.
        raise ValueError('expected a time of the day in quotes, for example "05:00" or "24:00"')
    return f"{minute // 60:02d}:{minute % 60:02d}"


def _minutes(given: Any) -> Any:
    numbers = isinstance(given, list) and given and all(type(n) is int for n in given)
    if not numbers or not all(0 <= n < 60 for n in given):
        raise ValueError("expected a list of minutes of an hour, for example [0, 15, 30, 45]")
    return sorted(set(given))


Clock = Annotated[str, BeforeValidator(_minute_of_day)]


#: `from` is a word of Python's own, so this is no class. Without a key: all minutes, the whole day.
ExpectedSlots = TypedDict(
    "ExpectedSlots",
    {"minutes": Annotated[list[int], BeforeValidator(_minutes)], "from": Clock, "to": Clock},
    total=False,
)
ExpectedSlots.__pydantic_config__ = ConfigDict(extra="forbid")  # type: ignore[attr-defined]


def among(expected: ExpectedSlots, day_slots: Sequence[time]) -> list[time]:
    """Those of the wall times of a day that are expected."""
    first, end = _bounds(expected)
    minutes = expected.get("minutes", range(60))
    return [
        at for at in day_slots if first <= at.hour * 60 + at.minute < end and at.minute in minutes
    ]


def slot_problems(expected: ExpectedSlots, day_slots: Sequence[time]) -> Iterator[tuple[str, str]]:
    """(dotted key below `table`, what is wrong) on the grid of those wall times."""
    on_grid = sorted({at.minute for at in day_slots})
    off = [minute for minute in expected.get("minutes", ()) if minute not in on_grid]
    first, end = _bounds(expected)
    if off:
        yield (
            "expected.minutes",
            f"no interval begins at minute {off[0]} of an hour; expected some of "
            f"{', '.join(map(str, on_grid))}",
        )
    elif first >= end:
        yield "expected", "`to` is not after `from`; expected a later time of the day"
    elif not among(expected, day_slots):
        yield "expected", "no interval begins at such a time; expected a longer part of the day"


def _bounds(expected: ExpectedSlots) -> tuple[int, int]:
    """First minute of the day that is expected, and the one at which that ends."""
    return _number(expected.get("from", "00:00")), _number(expected.get("to", "24:00"))


def _number(clock: str) -> int:
    hour, minute = clock.split(":")
    return 60 * int(hour) + int(minute)


def _all(given: Any) -> Any:
    if given == "all":
        return {}
    if not isinstance(given, dict):
        raise ValueError(
            'expected all, or a mapping, for example {minutes: [0, 30], from: "05:00"}'
        )
    return given


#: `all`, or a mapping.
Expected = Annotated[ExpectedSlots, BeforeValidator(_all)]
