"""Days of the week and slots of the day, from the calendar channels of a window."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from luigi_traffic import DAY_OF_WEEK, TIME_OF_DAY, ModelShape


@dataclass(frozen=True)
class Moments:
    """When windows end: `interval` of the day and `day` of the week (0 = Monday), both `(P,)`."""

    interval: NDArray[np.int64]
    day: NDArray[np.int64]


class Clock:
    """Reads the calendar channels of `shape`. A day has `slots`, at most one an interval."""

    def __init__(self, shape: ModelShape, slots_per_day: int) -> None:
        self.intervals = shape.steps_per_day
        self.slots = min(slots_per_day, shape.steps_per_day)
        self.time, self.day = (shape.channels.index(name) for name in (TIME_OF_DAY, DAY_OF_WEEK))

    def moments(self, windows: NDArray[np.float32]) -> Moments:
        """When windows `(P, T, channels)` end."""
        interval = np.rint(windows[:, -1, self.time] * self.intervals).astype(np.int64)
        return Moments(interval, np.rint(windows[:, -1, self.day]).astype(np.int64))

    def cells(self, at: Moments, steps: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Day of the week and slot, `steps` intervals later."""
        later = at.interval + steps
        day = (at.day + later // self.intervals) % 7
        return day, later % self.intervals * self.slots // self.intervals
