"""Onsets of congestion on one day: which were forecast, how long before, and false alarms.

A link becomes congested at interval t if

- it is congested at t, and all that is observed of the `SUSTAINED` that begin with t is congested,
  two intervals of it or more (if it has two);
- all that is observed of the `SUSTAINED` before t is free, one interval of it or more.

An interval that was not observed is neither: it neither begins nor ends a jam. Fifteen minutes are
what the Highway Capacity Manual (6th edition) asks of a breakdown: a drop of speed that lasts
that long.

An onset at t was forecast (a hit) if some forecast issued by the beginning of t says "congested"
for an interval at most `TOLERANCE` from t. The latest issue that says so is the last of an unbroken
series of issues that say so; from its first one to t are the minutes of lead. A false alarm is an
onset, by the same rule, in what one step forecasts for the intervals of the day, without an actual
onset within the tolerance. What nobody can know is left out: an onset that no forecast is for, and
an onset that is forecast where nothing is observed within the tolerance.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

SUSTAINED = timedelta(minutes=15)
TOLERANCE = timedelta(minutes=15)


@dataclass(frozen=True)
class Onsets:
    """Of one day and all links.

    by_step  int `(S, 4)`: onsets that the step has a forecast for, hits by that step, onsets that
             it forecast, and how many of these were false alarms
    leads    int `(M,)`: of each onset that some forecast is for, the lead in intervals; -1: missed
    """

    by_step: NDArray[np.int64]
    leads: NDArray[np.int64]


def onsets(
    values: NDArray[np.float32],
    actual: NDArray[np.float32],
    limit: NDArray[np.float32],
    interval: timedelta,
) -> Onsets:
    """Score a day. The arrays are those of `error_sums`."""
    steps, slots, _ = values.shape
    near = TOLERANCE // interval
    before = max(1, -(-SUSTAINED // interval)) + near  # rows that onsets near midnight depend on
    rows = actual[-min(slots + before, len(actual)) :]
    observed = ~np.isnan(rows)
    begins = onset_mask(rows < limit, observed, interval)
    today = len(rows) - slots
    at, link = np.nonzero(begins[today:])
    said = _said(values, limit, at, link, near)
    known = _said(values, None, at, link, near)
    by_step = np.zeros((steps, 4), np.int64)
    by_step[:, 0] = known.any(axis=2).sum(axis=0)
    by_step[:, 1] = said.any(axis=2).sum(axis=0)
    begins, observed = _within(begins, near)[today:], _within(observed, near)[today:]
    for step in range(steps):
        there = ~np.isnan(values[step])
        forecast = onset_mask(values[step] < limit, there, interval) & observed
        by_step[step, 2:] = forecast.sum(), (forecast & ~begins).sum()
    some = known.any(axis=(1, 2))
    return Onsets(by_step, _leads(said[some], near))


def onset_mask(
    congested: NDArray[np.bool_], observed: NDArray[np.bool_], interval: timedelta
) -> NDArray[np.bool_]:
    """`(T, N)`: where an onset is; `congested` is False where nothing was observed."""
    length = max(1, -(-SUSTAINED // interval))
    free = observed & ~congested
    after, ahead = _count(congested, length, 0), _count(free, length, 0)
    slow, calm = _count(congested, length, -length), _count(free, length, -length)
    lasts = (ahead == 0) & (after >= min(2, length))
    found: NDArray[np.bool_] = congested & lasts & (slow == 0) & (calm >= 1)
    return found


def _count(mask: NDArray[np.bool_], length: int, start: int) -> NDArray[np.int64]:
    """`(T, N)`: how many are True of the `length` rows that begin `start` rows after each."""
    total = np.zeros((len(mask) + 1, mask.shape[1]), np.int64)
    np.cumsum(mask, axis=0, out=total[1:])
    first = np.arange(len(mask)) + start
    low, high = (np.clip(first + n, 0, len(mask)) for n in (0, length))
    return np.asarray(total[high] - total[low])


def _within(mask: NDArray[np.bool_], near: int) -> NDArray[np.bool_]:
    """`(T, N)`: whether one is True at most `near` rows before or after."""
    return _count(mask, 2 * near + 1, -near) > 0


def _said(
    values: NDArray[np.float32],
    limit: NDArray[np.float32] | None,
    at: NDArray[np.int64],
    link: NDArray[np.int64],
    near: int,
) -> NDArray[np.bool_]:
    """`(M, S, 2 * near + 1)`: whether step s says "congested" (no limit: anything) for the interval
    d - near after each onset, at an issue that is not after the onset."""
    steps, slots, _ = values.shape
    shift = np.arange(-near, near + 1)
    step = np.arange(steps)
    when = at[:, None, None] + shift
    inside = (when >= 0) & (when < slots) & (step[:, None] >= shift)
    found = values[step[None, :, None], np.clip(when, 0, slots - 1), link[:, None, None]]
    good: NDArray[Any] = ~np.isnan(found) if limit is None else found < limit[link][:, None, None]
    return np.asarray(good & inside)


def _leads(said: NDArray[np.bool_], near: int) -> NDArray[np.int64]:
    """`(M,)`: intervals from the first issue of the latest unbroken series to the onset, or -1."""
    count, steps, width = said.shape
    by_lead = np.zeros((count, steps + near + 1), bool)  # the last one ends every series
    for step in range(steps):
        for shift in range(width):
            lead = step - (shift - near)
            if lead >= 0:
                by_lead[:, lead] |= said[:, step, shift]
    first = np.argmax(by_lead, axis=1)
    ended = ~by_lead & (np.arange(by_lead.shape[1]) > first[:, None])
    return np.where(by_lead.any(axis=1), np.argmax(ended, axis=1) - 1, -1)
