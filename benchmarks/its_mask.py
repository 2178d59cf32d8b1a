"""The intervals that a day of ITS has, laid over another series: `metr_la.py --mask its`.

The slots of a day are drawn as the simulator of ITS draws them: those that begin at minute 0, 5,
15, 25, 35, 45 and 55 of an hour are there on 93 % of the days, the other five on 12 %, by NumPy's
`default_rng([seed, 3, proleptic ordinal of the day])`. They are alike for all links. What is
masked is masked in inputs and targets alike, so it is not scored.
"""

from __future__ import annotations

import dataclasses
import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from luigi_traffic.training.series import Series
from luigi_traffic_its_sim.sensors import present_slots

#: Days of METR-LA, seed → SHA-256 of the mask and its share of missing intervals, as documented.
KNOWN = {
    (28, 1): ("3bee307f05fc57f8d3ea734b7424d1aed384dbee71ce25916e315e91f3e07869", 0.4117),
}


def its_mask(series: Series, seed: int) -> NDArray[np.bool_]:
    """`(T,)`: whether ITS would have the interval, of any link."""
    days = series.timestamps.astype("datetime64[D]")
    there = np.zeros(len(series), bool)
    for day in np.unique(days):
        slots = present_slots(seed, day.item(), missing=True)
        there |= (days == day) & np.isin(series.slot_of_day, slots)
    return there


def masked(series: Series, there: NDArray[np.bool_], nothing: NDArray[np.float32]) -> Series:
    """The series with `nothing`, a value for each column, in all other intervals."""
    values = np.where(there[:, None, None], series.values, nothing)
    return dataclasses.replace(series, values=values)


def facts(series: Series, there: NDArray[np.bool_]) -> dict[str, Any]:
    """SHA-256 of the mask, a byte of 0 or 1 for each interval; the share of missing intervals, and
    that of missing values of the masked series."""
    return {
        "sha256": hashlib.sha256(there.astype(np.uint8).tobytes()).hexdigest(),
        "missing_intervals": round(1 - float(there.mean()), 4),
        "missing_values": round(float(np.isnan(series.actual).mean()), 4),
    }


def unlike_documented(found: dict[str, Any], days: int, seed: int) -> list[str]:
    """What differs from docs/benchmarks.md, if that has a mask of so many days and this seed."""
    here = (found["sha256"], found["missing_intervals"])
    known = KNOWN.get((days, seed), here)
    return [] if here == known else [f"mask of {days} days: {here}, documented {known}"]
