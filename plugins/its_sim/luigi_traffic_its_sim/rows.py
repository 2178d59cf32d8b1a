"""Rows of a day as CSV text: whole blocks at once, from tables of ready-made numbers."""

from __future__ import annotations

from datetime import date
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from luigi_traffic_its_sim.network import Floats, Ints
from luigi_traffic_its_sim.sensors import LEAST_KMH

HEADER = b"CREATDE,CREATHM,LINKID,ROADINSTTCD,PASNGSPED,PASNGTIME\n"
_CENTRE = b"L01"  # ROADINSTTCD: the road authority that measured
#: A row in the making: every column in a place of its own, NUL where its text is shorter. The
#: columns that differ from row to row begin at multiples of their width: each is one number.
_WIDTH, _TIME, _LINK, _SPEED, _TRAVEL = 48, slice(12, 16), slice(17, 27), 4, 5
#: No speed in hundredths of km/h is above it: sensors say 999 at most.
_MOST_SPEED = 999_00


class DayText:
    """The rows of one day over links with those ids (N,), S10, and lengths (N,) in m."""

    def __init__(self, day: date, link_id: NDArray[np.bytes_], length: Floats) -> None:
        self._length = length
        blank = b"\0\0\0" + f"{day:%Y%m%d},".encode() + b"HHMM," + b"\0" * 10 + b"," + _CENTRE
        blank = (blank + b",").ljust(_WIDTH, b"\0")
        self._rows = np.tile(np.frombuffer(blank, np.uint8), (len(link_id), 1))
        self._rows[:, _LINK] = link_id.view(np.uint8).reshape(len(link_id), 10)
        minutes = range(0, 24 * 60, 5)
        self._times = np.array([f"{m // 60:02d}{m % 60:02d}" for m in minutes], "S4").view("u4")
        longest = float(length.max()) * 3.6 / LEAST_KMH
        self._speeds = _numbers(_MOST_SPEED // 100 + 1, b",")
        self._travels = _numbers(int(longest) + 2, b"\n")

    def rows(self, slot: Ints | int, link: Ints, speed: Floats) -> bytes:
        """Text of the rows with that slot of the day, (n,) or one for all, index of a link (n,)
        and speed (n,) in km/h with two decimals: 0, or 5 to 999."""
        rows = self._rows.take(link, axis=0)
        rows[:, _TIME].view("u4")[:, 0] = self._times[slot]
        numbers = rows.view("u8")
        numbers[:, _SPEED] = self._speeds.take(_hundredths(speed))
        numbers[:, _TRAVEL] = self._travels.take(
            _hundredths(travel_time(self._length[link], speed))
        )
        return rows.tobytes().translate(None, b"\0")


def travel_time(length: Floats, speed: Floats) -> Floats:
    """Seconds (n,), two decimals, over lengths (n,) in m at speeds (n,) in km/h. A sensor that
    reports no speed reports no travel time: 0."""
    return np.where(speed > 0, np.round(length * 3.6 / np.maximum(speed, 0.01), 2), 0.0)


def _hundredths(values: Floats) -> Ints:
    return np.rint(values * 100).astype(np.int64)


@lru_cache(maxsize=8)
def _numbers(whole: int, end: bytes) -> NDArray[Any]:
    """The shortest text of 0, 0.01, 0.02 … below `whole`, and `end`, as the bytes of a uint64."""
    if whole > 10_000:  # four digits, a point, two digits and the end are eight bytes
        raise ValueError(f"{whole:,} is too large: a number has four digits before the point")
    parts = [f".{n:02d}".rstrip("0").rstrip(".").encode() + end for n in range(100)]
    texts = np.char.add(np.arange(whole).astype("S4")[:, None], np.array(parts)[None])
    return texts.ravel().astype("S8").view("u8")
