"""Sums of the errors of a day's forecasts, beside those of two baselines on the same values.

Sums and counts are kept, no means: whoever groups them, by step, link, hour or over many days,
gets the exact MAE, RMSE, WAPE and bias of the group.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from luigi_traffic.warehouse.tables import ERROR_SUMS, PAIRED_SUMS

#: Which of a day's forecasts a value is of: issued on the day before, at the midnight between, or
#: on the day itself.
BEFORE, MIDNIGHT, OWN = range(3)


@dataclass(frozen=True)
class ErrorSums:
    """Sums in the order of `ERROR_SUMS`, and of `PAIRED_SUMS` if there are pairs: K of them.

    The axis of C is `BEFORE`, `MIDNIGHT`, `OWN`; the last axis is free, congested.
    """

    by_hour: NDArray[np.float64]
    """`(K, S, C, 24, 2)`"""
    by_link: NDArray[np.float64]
    """`(K, S, C, N, 2)`"""


def error_sums(
    values: NDArray[np.float32],
    actual: NDArray[np.float32],
    limit: NDArray[np.float32],
    pairs: NDArray[np.float32] | None = None,
) -> ErrorSums:
    """Score the forecasts of a day.

    values  `(S, T, N)` as `Issued` has them, S at most T
    actual  `(D * T, N)`: what was observed on the day, the last T rows, and before; NaN = missing
    limit   `(N,)`: what is below it is congested; NaN: nothing is
    pairs   as `values`: forecasts of the same intervals to compare with; NaN = none
    """
    steps, slots, links = values.shape
    today = actual[-slots:].astype(np.float64)
    congested = today < limit
    last, day_before = persistence(actual, steps, slots), _day_before(actual, slots)
    hours = np.arange(slots) * 24 // slots
    number = len(ERROR_SUMS) + (len(PAIRED_SUMS) if pairs is not None else 0)
    by_hour = np.zeros((number, steps, 3, 24, 2))
    by_link = np.zeros((number, steps, 3, links, 2))
    for step in range(steps):
        sums = list(_terms(values[step], today, last[step], day_before))
        if pairs is not None:
            sums += _paired(values[step], pairs[step], today)
        for issued, rows in enumerate(
            (slice(0, step), slice(step, step + 1), slice(step + 1, None))
        ):
            for state, where in enumerate((~congested[rows], congested[rows])):
                for k, term in enumerate(sums):
                    scored = np.where(where, term[rows], 0.0)
                    by_link[k, step, issued, :, state] = scored.sum(axis=0)
                    by_hour[k, step, issued, :, state] = np.bincount(
                        hours[rows], scored.sum(axis=1), minlength=24
                    )
    return ErrorSums(by_hour, by_link)


def persistence(actual: NDArray[np.float32], steps: int, slots: int) -> NDArray[np.float32]:
    """`(S, T, N)`, a view: what was last observed when a forecast was issued; NaN if nothing."""
    now = np.arange(len(actual))[:, None]
    at = np.maximum.accumulate(np.where(np.isnan(actual), 0, now), axis=0)
    last = np.take_along_axis(actual, at, axis=0)
    unseen = np.full((steps, actual.shape[1]), np.nan, np.float32)
    windows = np.lib.stride_tricks.sliding_window_view(
        np.concatenate([unseen, last]), slots, axis=0
    )
    # What is issued at the beginning of a row has seen the rows before it.
    first = len(actual) - slots
    return np.asarray(windows[first : first + steps][::-1].transpose(0, 2, 1))


def _terms(
    forecast: NDArray[np.float32],
    actual: NDArray[np.float64],
    last: NDArray[Any],
    day_before: NDArray[Any],
) -> Iterator[NDArray[Any]]:
    """What is summed, `(T, N)` each, in the order of `ERROR_SUMS`; 0 where nothing is scored."""
    error = forecast - actual
    scored = ~np.isnan(error)
    error = np.where(scored, error, 0.0)
    size = np.abs(error)
    yield from (scored, size, size * size, error, np.where(scored, np.abs(actual), 0.0))
    for baseline in (last, day_before):
        wrong = np.abs(baseline - actual)
        known = scored & ~np.isnan(wrong)
        yield from (known, np.where(known, wrong, 0.0))


def _paired(
    forecast: NDArray[np.float32], other: NDArray[np.float32], actual: NDArray[np.float64]
) -> Iterator[NDArray[Any]]:
    """As `_terms`, in the order of `PAIRED_SUMS`."""
    ours, theirs = np.abs(forecast - actual), np.abs(other - actual)
    both = ~np.isnan(ours + theirs)
    yield from (both, np.where(both, ours, 0.0), np.where(both, theirs, 0.0))


def _day_before(actual: NDArray[np.float32], slots: int) -> NDArray[np.float32]:
    """`(T, N)`: what was observed a day before, or if nothing was, on the nearest day before it."""
    days = actual.reshape(-1, slots, actual.shape[1])
    found = np.full(days.shape[1:], np.nan, dtype=np.float32)
    for earlier in days[-2::-1]:
        found = np.where(np.isnan(found), earlier, found)
    return found
