"""The rows that trees see: one for each (window, link) pair.

Letters: P pairs, T input steps, C channels, N links. All values are standard scores; NaN is
missing, which LightGBM sends down a branch of its own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from luigi_traffic import OBSERVED, ModelShape
from luigi_traffic_gbdt.moments import Clock, Moments
from luigi_traffic_gbdt.usual import Floats, Usual

#: The last columns of a table, which `Rows.ahead` sets for each step ahead.
_AHEAD = 2


@dataclass(frozen=True)
class Rows:
    """A table of P rows, and what it takes to fill its last columns for a step ahead."""

    table: Floats
    """`(P, features)`"""
    last: Floats
    """`(P,)`: the last observed value of the window, or what is usual now if there is none."""
    link: NDArray[np.int64]
    moments: Moments
    clock: Clock
    usual: Usual

    def ahead(self, step: int) -> Floats:
        """The table for the step that is so many intervals after the windows."""
        usual = self.usual.at(self.clock, self.moments, step, self.link)
        self.table[:, -2] = usual
        self.table[:, -1] = usual - self.last
        return self.table


class Features:
    """Makes rows of the channels of `shape`.

    `fills`: a value that was not observed comes filled, so it is kept, with its flag.
    """

    def __init__(self, shape: ModelShape, clock: Clock, fills: bool) -> None:
        self.clock = clock
        names = shape.channels
        flags = {i: names.index(c + OBSERVED) for i, c in enumerate(names) if c + OBSERVED in names}
        self._flags = {} if fills else flags
        # The target comes first; its window is taken as differences.
        gone = {0, clock.time, clock.day, *self._flags.values()}
        self._others = [i for i in range(len(names)) if i not in gone]

    def rows(self, windows: Floats, link: NDArray[np.int64], usual: Usual) -> Rows:
        """Of `(P, T, C)` windows of links `(P,)`."""
        at = self.clock.moments(windows)
        values = windows.copy()
        for value, flag in self._flags.items():
            values[..., value][windows[..., flag] == 0] = np.nan
        target, steps = values[..., 0], windows.shape[1]
        seen = ~np.isnan(target)
        gap = np.where(seen.any(axis=1), np.argmax(seen[:, ::-1], axis=1), steps)
        now = usual.at(self.clock, at, 0, link)
        newest = target[np.arange(len(target)), np.maximum(steps - 1 - gap, 0)]
        last = np.where(gap < steps, newest, now)
        change = target - last[:, None]
        columns = [
            change,
            *_summary(change, seen),
            last, gap, now - last,
            usual.table.mean(axis=(0, 1))[link], usual.table.std(axis=(0, 1))[link],
            windows[:, -1, self.clock.time], windows[:, -1, self.clock.day],
            values[..., self._others].reshape(len(values), -1),
        ]  # fmt: skip
        width = sum(1 if column.ndim == 1 else column.shape[1] for column in columns) + _AHEAD
        table, place = np.empty((len(values), width), np.float32), 0
        for column in columns:
            wide = column[:, None] if column.ndim == 1 else column
            table[:, place : place + wide.shape[1]] = wide
            place += wide.shape[1]
        return Rows(table, last, link, at, self.clock, usual)


def _summary(change: Floats, seen: NDArray[np.bool_]) -> list[Floats]:
    """Mean, standard deviation, least and greatest of each row, NaN if nothing was observed."""
    count = seen.sum(axis=1, dtype=np.float32)
    count[count == 0] = np.nan
    known = np.where(seen, change, 0)
    mean = known.sum(axis=1) / count
    off = np.where(seen, change - mean[:, None], 0)
    spread = np.sqrt((off * off).sum(axis=1) / count)
    return [mean, spread, np.fmin.reduce(change, axis=1), np.fmax.reduce(change, axis=1)]
