"""Where queues begin: links that are slow while the links that follow are fast.

After Chen, Skabardonis and Varaiya 2004, "Systematic Identification of Freeway Bottlenecks"
(Transportation Research Record 1867): between two places of a freeway is an active bottleneck if
the upstream speed is below 40 mph and at least 20 mph below the downstream one, in most intervals
of some time. Here the next place is what the road graph says. A link with a slow link after it is
not the head of a queue, so it must be slower than the slowest of the links that follow.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import numpy as np
from numpy.typing import NDArray

#: An activation goes on over this much that was not observed, and ends if it is more.
UNSEEN = timedelta(minutes=15)
MINUTE = timedelta(minutes=1)


@dataclass(frozen=True)
class Bottleneck:
    """Of one link that is the head of a queue at times.

    days          on which the link and one that follows have a speed in an interval
    active_days   of these, on which the bottleneck became active
    persistence   active_days / days
    activations   how often it did
    mean_minutes  how long an activation lasts
    """

    days: int
    active_days: int
    persistence: float
    activations: int
    mean_minutes: float

    @classmethod
    def of(
        cls,
        value: NDArray[np.float32],
        after: NDArray[np.float32],
        at: NDArray[np.int64],
        interval: timedelta,
        below: float,
        drop: float,
        least_minutes: float,
    ) -> Bottleneck | None:
        """None if it is never active for `least_minutes`.

        `value` `(T,)` and `after` `(T, K)` are speeds of the link and of those that follow, NaN:
        none, `at` `(T,)` the numbers of the intervals, in order. It is active at a speed under
        `below` if no link that follows is faster by less than `drop`. What was not observed neither
        begins nor ends an activation, see `UNSEEN`.
        """
        slowest = np.fmin.reduce(np.where(after > 0, after, np.nan), axis=1)
        known = (value > 0) & ~np.isnan(slowest)
        place = at[known]
        if not len(place):
            return None
        active = (value[known] < below) & (slowest[known] - value[known] >= drop)
        minutes, slots = interval / MINUTE, int(timedelta(days=1) / interval)
        apart = np.diff(place) * minutes > UNSEEN / MINUTE + minutes
        first = np.flatnonzero(np.append(True, (active[1:] != active[:-1]) | apart))
        last = np.append(first[1:], len(place)) - 1
        lasts = (place[last] - place[first] + 1) * minutes
        kept = active[first] & (lasts >= least_minutes)
        if not kept.any():
            return None
        days = len(np.unique(place // slots))
        on = len(np.unique(place[first[kept]] // slots))
        return cls(days, on, on / days, int(kept.sum()), float(lasts[kept].mean()))
