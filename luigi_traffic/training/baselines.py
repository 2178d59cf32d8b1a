"""What a model has to beat: persistence, the day before and the historical median.

They need no training beyond a table of medians, and see nothing that was observed after the
forecast is issued: the rows before it, and the training rows. All answer for any window, so
model and baselines are scored on the same targets.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from luigi_traffic.errors import DataError
from luigi_traffic.training.link_blocks import link_blocks
from luigi_traffic.training.series import Series

#: The historical median takes what was observed this long before and after a slot, too.
AROUND = timedelta(minutes=15)
#: How many days back the day before is looked for.
DAYS_BACK = 7


class Baseline(Protocol):
    """A forecaster that nothing is learned for but what its class says."""

    def predict(self, windows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Forecasts `(W, t_out, N)` of windows that are named by their first row."""


@dataclass(frozen=True)
class Persistence:
    """The last observed value of the window, for all steps.

    The published figures for METR-LA (4.02 / 5.09 / 6.80 at steps 3 / 6 / 12) carry the
    last *value*, taking its missing zeros for speeds; set NaN to 0 before to reproduce
    them. A link without an observation in the window gets `fallback` (its training mean).
    """

    actual: NDArray[np.float32]
    """`(T, N)`, NaN = missing."""
    fallback: NDArray[np.float32]
    """`(N,)`."""
    t_in: int
    t_out: int

    @classmethod
    def of(
        cls, series: Series, t_in: int, t_out: int, fallback: NDArray[np.float32]
    ) -> Persistence:
        """Persistence over `series`; `fallback` is `(N,)`."""
        return cls(series.actual, fallback, t_in, t_out)

    def predict(self, windows: NDArray[np.int64]) -> NDArray[np.float32]:
        """`(W, t_out, N)`."""
        last = self.actual[windows + self.t_in - 1]
        for back in range(1, self.t_in):
            missing = np.isnan(last)
            if not missing.any():
                break
            last = np.where(missing, self.actual[windows + self.t_in - 1 - back], last)
        last = np.where(np.isnan(last), self.fallback, last).astype(np.float32)
        return np.repeat(last[:, None, :], self.t_out, axis=1)


@dataclass(frozen=True)
class HistoricalMedian:
    """A link's median around this time of a workday or of a weekend, over the training rows.

    Monday to Friday are workdays. A slot takes the values within `AROUND`, across midnight
    too. A mean of each slot of each weekday would rest on one to three values in two or three
    weeks of training; this rests on dozens. If there is no value: the median of the slot in
    the other kind of day, then the link's median, then the median of those of all links.
    """

    table: NDArray[np.float32]
    """`(2 * slots a day, N)`, workdays first, without NaN."""
    key: NDArray[np.int64]
    """`(T,)`: the row of `table` for each row of the series."""
    t_in: int
    t_out: int

    @classmethod
    def of(cls, series: Series, rows: slice, t_in: int, t_out: int) -> HistoricalMedian:
        """Fitted on `rows` of `series`. Raises DataError if they hold no target."""
        slots, reach = series.steps_per_day, round(AROUND / series.interval)
        weekend = series.day_of_week >= 5
        actual = series.actual[rows]
        first = int(series.slot_of_day[rows][:1].sum())
        # The kind of each day that has a row, the first and the last of which may be cut.
        weekend_days = weekend[rows][np.maximum(np.arange(-first, len(actual), slots), 0)]
        link = np.empty(actual.shape[1], dtype=np.float32)
        table = np.empty((2, slots, actual.shape[1]), dtype=np.float32)
        for chunk in link_blocks(actual):
            days = _by_day(actual[:, chunk], first, slots)
            link[chunk] = _median(days.reshape(len(days), -1))
            for kind in (False, True):
                table[int(kind), :, chunk] = _by_slot(days[:, weekend_days == kind], reach)
        if np.isnan(link).all():
            raise DataError(f"The training part of the series has no observed {series.target}.")
        link = np.where(np.isnan(link), np.nanmedian(link), link)
        table = np.where(np.isnan(table), table[::-1], table)
        table = np.where(np.isnan(table), link, table)
        return cls(table.reshape(2 * slots, -1), series.slot_and_kind, t_in, t_out)

    def predict(self, windows: NDArray[np.int64]) -> NDArray[np.float32]:
        """`(W, t_out, N)`."""
        return np.asarray(self.table[self.key[_target_rows(windows, self.t_in, self.t_out)]])


@dataclass(frozen=True)
class DayBefore:
    """What was observed 24 hours before the target, the value of the same slot.

    If that was not observed, or lies after the forecast is issued, that of the day before it,
    and so on for `DAYS_BACK` days; then the historical median.
    """

    actual: NDArray[np.float32]
    """`(T, N)`, NaN = missing."""
    slots: int
    """Intervals a day."""
    otherwise: HistoricalMedian

    @classmethod
    def of(cls, series: Series, otherwise: HistoricalMedian) -> DayBefore:
        """The day before, for the windows of `otherwise`."""
        return cls(series.actual, series.steps_per_day, otherwise)

    def predict(self, windows: NDArray[np.int64]) -> NDArray[np.float32]:
        """`(W, t_out, N)`."""
        t_in, t_out = self.otherwise.t_in, self.otherwise.t_out
        nearest = np.arange(t_out) // self.slots + 1  # days back to a row before the issue
        targets = _target_rows(windows, t_in, t_out)
        found = np.full((*targets.shape, self.actual.shape[1]), np.nan, dtype=np.float32)
        for further in range(DAYS_BACK):
            rows = targets - (nearest + further) * self.slots
            there = (rows >= 0)[:, :, None]
            earlier = np.where(there, self.actual[np.maximum(rows, 0)], np.nan)
            found = np.where(np.isnan(found), earlier, found)
        return np.asarray(np.where(np.isnan(found), self.otherwise.predict(windows), found))


def link_means(actual: NDArray[np.float32]) -> NDArray[np.float32]:
    """`(N,)`: the mean of each link's observed values of `(T, N)`; that of all links for a link
    without one. NaN if nothing was observed."""
    count = np.count_nonzero(~np.isnan(actual), axis=0)
    total = np.concatenate(
        [np.nansum(actual[:, block], axis=0, dtype=np.float64) for block in link_blocks(actual)]
    )
    overall = total.sum() / count.sum() if count.any() else np.nan
    means = np.full(actual.shape[1], overall)
    np.divide(total, count, out=means, where=count > 0)
    return means.astype(np.float32)


def _target_rows(windows: NDArray[np.int64], t_in: int, t_out: int) -> NDArray[np.int64]:
    """Rows of the targets, `(W, t_out)`."""
    return np.asarray(windows[:, None] + t_in + np.arange(t_out))


def _by_day(actual: NDArray[np.float32], first: int, slots: int) -> NDArray[np.float32]:
    """`(T, n)`, which begins at slot `first` of a day, as `(n, days, slots)`; NaN in what is
    missing of the first and the last day."""
    length, links = actual.shape
    days = -(-(first + length) // slots)
    out = np.full((links, days * slots), np.nan, dtype=np.float32)
    out[:, first : first + length] = actual.T
    return out.reshape(links, days, slots)


def _by_slot(days: NDArray[np.float32], reach: int) -> NDArray[np.float32]:
    """`(slots, n)`: the median of each slot and its `reach` neighbours over `(n, days, slots)`."""
    links, _, slots = days.shape
    out = np.empty((slots, links), dtype=np.float32)
    for slot in range(slots):
        near = np.arange(slot - reach, slot + reach + 1) % slots
        out[slot] = _median(days[:, :, near].reshape(links, -1))
    return out


def _median(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """`(n,)`: the median of what was observed of `(n, M)`, NaN if nothing was.

    `np.nanmedian` takes nine times as long (3,000 rows of 98 values).
    """
    if not values.shape[1]:
        return np.full(len(values), np.nan, dtype=np.float32)
    ordered = np.sort(values, axis=1)  # NaN comes last
    count = np.count_nonzero(~np.isnan(values), axis=1)
    middle = np.stack([np.maximum(count - 1, 0) // 2, count // 2], axis=1)
    return np.asarray(np.take_along_axis(ordered, middle, axis=1).mean(axis=1))
