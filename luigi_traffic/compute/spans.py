"""Intervals of a day in a row, and their times in words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from luigi_traffic.api import functions as F

if TYPE_CHECKING:
    from pyspark.sql import Column

_SHOWN = 5


def second_of_day(timestamp: Column) -> Column:
    """The whole seconds since midnight (integer)."""
    return F.hour(timestamp) * 3600 + F.minute(timestamp) * 60 + F.second(timestamp)


def slot_of(timestamp: Column, step: int) -> Column:
    """The number of the interval of `step` seconds that a time lies in (integer)."""
    return F.floor(second_of_day(timestamp) / step).cast("int")


def runs(slots: Iterable[int], among: Sequence[int]) -> list[tuple[int, int]]:
    """First and last of the `slots` that follow each other in `among`; both are in order.

    >>> runs([1, 2, 7, 9], among=[1, 2, 5, 7, 9])
    [(1, 2), (7, 9)]
    """
    place = {slot: number for number, slot in enumerate(among)}
    found: list[tuple[int, int]] = []
    for slot in slots:
        if found and place[slot] == place[found[-1][1]] + 1:
            found[-1] = (found[-1][0], slot)
        else:
            found.append((slot, slot))
    return found


def in_words(found: Sequence[tuple[int, int]], step: int) -> str:
    """`00:00 to 01:00, 08:10 to 08:20` of runs of slots of `step` seconds."""
    shown = [f"{_clock(a * step)} to {_clock((b + 1) * step)}" for a, b in found[:_SHOWN]]
    return ", ".join(shown) + (", …" if len(found) > _SHOWN else "")


def _clock(second: int) -> str:
    return f"{second // 3600:02d}:{second % 3600 // 60:02d}"
