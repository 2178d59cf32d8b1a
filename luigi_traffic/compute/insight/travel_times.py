"""Travel times of links in a period: how slow, how reliable, how often congested.

Speeds are turned into travel times over one unit of length, 1 / speed, and all intervals weigh
alike. Travel time, planning time and buffer index: FHWA, "Travel Time Reliability: Making It There
On Time, All The Time" (2006), and the documentation of its Urban Congestion Report. LOTTR: 23 CFR
490.507. Levels of service by the share of the free-flow speed: Highway Capacity Manual 2010,
exhibit 17-2 (urban street segments).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from luigi_traffic.training.metrics import FREE_FLOW_PERCENTILE

Floats = NDArray[np.float64]
LEVELS = "ABCDEF"


@dataclass(frozen=True)
class Observed:
    """What is known of B links in a period.

    days      `(B,)`: on how many days there is a speed
    coverage  `(B,)`: share of the period's intervals that have one
    """

    days: NDArray[np.int64]
    coverage: Floats

    @classmethod
    def of(cls, speed: NDArray[np.float32], day: NDArray[np.int64]) -> Observed:
        """`speed` `(T, B)` in the period, `day` `(T,)` in order. A speed of 0 or less is none."""
        there = speed > 0
        if not len(day):
            return cls(np.zeros(speed.shape[1], np.int64), np.zeros(speed.shape[1]))
        begins = np.flatnonzero(np.diff(day, prepend=day[0] - 1))
        on_day = np.logical_or.reduceat(there, begins, axis=0)
        return cls(on_day.sum(axis=0), there.mean(axis=0))

    def too_little(self, min_coverage: float, min_days: int) -> list[str]:
        """`(B,)`: what is too little, empty if it suffices."""
        return [
            f"coverage {share:.1%}, needed {min_coverage:.1%}" if share < min_coverage
            else f"days with a speed: {days}, needed {min_days}" if days < min_days else ""
            for share, days in zip(self.coverage.tolist(), self.days.tolist(), strict=True)
        ]  # fmt: skip


@dataclass(frozen=True)
class TravelTimes:
    """Of B links in a period; NaN for a link without a speed or without a free-flow speed.

    mean_speed           mean of the speeds, in their unit
    travel_time_index    mean travel time / travel time at the free-flow speed
    planning_time_index  95th percentile of the travel times / travel time at the free-flow speed
    buffer_index         (95th percentile - mean) / mean of the travel times
    lottr                80th / 50th percentile of the travel times
    congested            share of the speeds below `congested_share` of the free-flow speed
    delay_per_km         mean of what the travel time is above that at free flow, seconds a km
    """

    mean_speed: Floats
    travel_time_index: Floats
    planning_time_index: Floats
    buffer_index: Floats
    lottr: Floats
    congested: Floats
    delay_per_km: Floats

    @classmethod
    def of(
        cls, speed: NDArray[np.float32], free_flow: Floats, congested_share: float, kmh: float
    ) -> TravelTimes:
        """`speed` `(T, B)`, NaN: none; `free_flow` `(B,)`; `kmh`: km/h in one of their unit."""
        value = np.where(speed > 0, speed, np.nan).astype(np.float64)
        time, free = 1 / value, 1 / free_flow
        count = (~np.isnan(time)).sum(axis=0)
        mean = _mean(time, count)
        middle, high, highest = percentiles(time, (50, 80, 95))
        slow = _mean(value < congested_share * free_flow, count)
        slow[np.isnan(free_flow)] = np.nan
        delay = _mean(np.maximum(time - free, 0), count)
        return cls(
            _mean(value, count), mean / free, highest / free, (highest - mean) / mean,
            high / middle, slow, delay * 3600 / kmh,
        )  # fmt: skip

    def only(self, keep: NDArray[np.bool_]) -> TravelTimes:
        """The same, NaN where `keep` `(B,)` is false."""
        return TravelTimes(
            *(np.where(keep, getattr(self, field.name), np.nan) for field in fields(self))
        )


def free_flow_percentile(speed: NDArray[np.float32]) -> Floats:
    """`(B,)` of `(T, B)` speeds in off-peak hours; NaN for a link without any."""
    value = np.where(speed > 0, speed, np.nan).astype(np.float64)
    return percentiles(value, (FREE_FLOW_PERCENTILE,))[0]


def level_of_service(share: float, thresholds: Sequence[float]) -> str:
    """A to F of a share of the free-flow speed, which is 1 / travel time index."""
    return LEVELS[sum(share <= limit for limit in thresholds)]


def percentiles(values: Floats, wanted: Sequence[float]) -> list[Floats]:
    """`(B,)` for each percentile of the values of `(T, B)` that are not NaN.

    Linear between the two nearest, as `numpy.percentile`, which takes minutes on a region with NaN.
    """
    # Links first: to sort along the last axis takes a third of the time.
    ordered = np.sort(np.ascontiguousarray(values.T), axis=1)
    last = (~np.isnan(ordered)).sum(axis=1) - 1
    if not ordered.shape[1]:
        return [np.full(len(ordered), np.nan) for _ in wanted]
    found = []
    for percent in wanted:
        place = np.maximum(last, 0) * (percent / 100)
        low = np.floor(place).astype(np.int64)
        high = np.minimum(low + 1, np.maximum(last, 0))
        below, above = (np.take_along_axis(ordered, at[:, None], 1)[:, 0] for at in (low, high))
        found.append(below + (above - below) * (place - low))
    return found


def _mean(values: NDArray[np.float64] | NDArray[np.bool_], count: NDArray[np.int64]) -> Floats:
    total = np.nansum(values, axis=0, dtype=np.float64)
    return np.asarray(np.divide(total, count, out=np.full(len(count), np.nan), where=count > 0))
