"""From true speeds to what the sensors of a traffic centre report."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

from luigi_traffic_its_sim.day import SLOTS_A_DAY
from luigi_traffic_its_sim.network import Floats, Ints

#: Share of days on which a slot is there, by minute of the hour: alike for all links.
_OFTEN, _SELDOM = 0.93, 0.12
_OFTEN_MINUTES = (0, 5, 15, 25, 35, 45, 55)
#: km/h: a vehicle that stands does not pass a sensor, so no lower speed is ever measured.
LEAST_KMH = 5.0


@dataclass(frozen=True)
class Faults:
    """What sensors get wrong; shares in [0, 1)."""

    noise: float
    missing_slots: bool
    dropout: float
    duplicates: float
    implausible: float


@dataclass(frozen=True)
class Observations:
    """Rows in time order: slot of the day, index of the link, speed in km/h (two decimals)."""

    slot: Ints
    link: Ints
    speed: Floats


def present_slots(seed: int, day: date, missing: bool) -> Ints:
    """The 5-minute slots of the day that the source has, for any link."""
    slots = np.arange(SLOTS_A_DAY)
    if not missing:
        return slots
    rng = np.random.default_rng([seed, 3, day.toordinal()])
    share = np.where(np.isin(slots * 5 % 60, _OFTEN_MINUTES), _OFTEN, _SELDOM)
    return slots[rng.random(SLOTS_A_DAY) < share]


def observe(
    speed_kmh: Floats, limit_kmh: Ints, seed: int, day: date, faults: Faults
) -> Observations:
    """Noisy rows of a day's true speeds (288, N), with drop-outs, repeats and nonsense values.

    All but the nonsense lies between `LEAST_KMH` and the links' speed limits (N,): the centre
    trims what its sensors say. On a day, one sensor in fifty is out for one to six hours.
    """
    rng = np.random.default_rng([seed, 4, day.toordinal()])
    links = speed_kmh.shape[1]
    slots = present_slots(seed, day, faults.missing_slots)
    seen = rng.random((len(slots), links)) >= faults.dropout
    begin, end = outages(rng, links, faults)
    seen &= (slots[:, None] < begin) | (slots[:, None] >= end)
    row, link = np.divmod(reported(rng, seen.ravel(), faults), links)
    speed = measured(rng, speed_kmh[slots[row], link], limit_kmh[link], faults)
    return Observations(slots[row], link, speed)


def outages(rng: np.random.Generator, links: int, faults: Faults) -> tuple[Ints, Ints]:
    """First slot (links,) in which a sensor is out, and the slot (links,) in which it is back."""
    begin, end = np.zeros((2, links), dtype=np.int64)
    if faults.dropout:
        for out in np.flatnonzero(rng.random(links) < 0.02):
            begin[out], lasts = rng.integers(0, SLOTS_A_DAY), rng.integers(12, 73)
            end[out] = begin[out] + lasts
    return begin, end


def reported(rng: np.random.Generator, seen: NDArray[np.bool_], faults: Faults) -> Ints:
    """Indices of what was seen (n,), in order; what is reported twice is there twice."""
    found = np.flatnonzero(seen)
    return np.repeat(found, 1 + (rng.random(len(found)) < faults.duplicates))


def measured(rng: np.random.Generator, true: Floats, limit: Ints, faults: Faults) -> Floats:
    """What sensors say of true speeds (n,) at links with those limits (n,), all in km/h."""
    speed = np.round(true * (1 + faults.noise * rng.standard_normal(len(true))), 2)
    speed = np.clip(speed, LEAST_KMH, limit)
    broken = rng.random(len(speed)) < faults.implausible
    speed[broken] = rng.choice([0.0, 999.0], broken.sum())
    return speed
