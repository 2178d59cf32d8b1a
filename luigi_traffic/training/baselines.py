"""What a model has to beat: persistence and the historical average.

Both see what a model sees: the rows of the window, and the training rows. Both answer
for any window, so model and baselines are scored on the same targets.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from luigi_traffic.errors import DataError
from luigi_traffic.training.series import Series


@dataclass(frozen=True)
class Persistence:
    """The last observed value of the window, for all steps.

    The published figures for METR-LA (4.02 / 5.09 / 6.80 at steps 3 / 6 / 12) carry the
    last *value*, taking its missing zeros for speeds; set NaN to 0 before to reproduce
    them. A link without an observation in the window gets `fallback` (its training mean).
    """

    last: NDArray[np.float32]
    """`(T, N)`: the last value observed in the `t_in` rows that end with this one."""
    t_in: int
    t_out: int

    @classmethod
    def of(
        cls, series: Series, t_in: int, t_out: int, fallback: NDArray[np.float32]
    ) -> Persistence:
        """Persistence over `series`; `fallback` is `(N,)`."""
        actual = series.actual
        now = np.arange(len(actual))[:, None]
        seen_at = np.maximum.accumulate(np.where(np.isnan(actual), -1, now), axis=0)
        last = np.take_along_axis(actual, np.maximum(seen_at, 0), axis=0)
        fresh = (seen_at >= 0) & (seen_at > now - t_in)
        return cls(np.where(fresh, last, fallback).astype(np.float32), t_in, t_out)

    def predict(self, windows: NDArray[np.int64]) -> NDArray[np.float32]:
        """`(W, t_out, N)`."""
        rows = self.last[windows + self.t_in - 1]
        return np.repeat(rows[:, None, :], self.t_out, axis=1)


@dataclass(frozen=True)
class HistoricalAverage:
    """A link's mean in this slot of this weekday, over the training rows.

    Where there is none: its mean in this slot of any day, then its mean, then the mean
    of all links.
    """

    table: NDArray[np.float32]
    """`(7 * slots a day, N)`, without NaN."""
    link_mean: NDArray[np.float32]
    """`(N,)`, without NaN."""
    key: NDArray[np.int64]
    """`(T,)`: the row of `table` for each row of the series."""
    t_in: int
    t_out: int

    @classmethod
    def of(cls, series: Series, rows: slice, t_in: int, t_out: int) -> HistoricalAverage:
        """Fitted on `rows` of `series`. Raises DataError where they hold no target."""
        slots = series.steps_per_day
        key = series.day_of_week * slots + series.slot_of_day
        actual = series.actual[rows]
        seen = ~np.isnan(actual)
        if not seen.any():
            raise DataError(f"The training part of the series has no observed {series.target}.")
        known = np.where(seen, actual, 0).astype(np.float64)
        total = np.zeros((7 * slots, actual.shape[1]))
        count = np.zeros((7 * slots, actual.shape[1]), dtype=np.int64)
        np.add.at(total, key[rows], known)
        np.add.at(count, key[rows], seen)

        day_total = total.reshape(7, slots, -1).sum(axis=0)
        day_count = count.reshape(7, slots, -1).sum(axis=0)
        overall = total.sum() / count.sum()
        link = _mean(total.sum(axis=0), count.sum(axis=0), np.full(actual.shape[1], overall))
        by_slot = _mean(day_total, day_count, np.broadcast_to(link, day_total.shape))
        table = _mean(total, count, np.tile(by_slot, (7, 1)))
        return cls(table.astype(np.float32), link.astype(np.float32), key, t_in, t_out)

    def predict(self, windows: NDArray[np.int64]) -> NDArray[np.float32]:
        """`(W, t_out, N)`."""
        rows = windows[:, None] + self.t_in + np.arange(self.t_out)
        return np.asarray(self.table[self.key[rows]])


def _mean(
    total: NDArray[np.float64], count: NDArray[np.int64], otherwise: NDArray[np.float64]
) -> NDArray[np.float64]:
    return np.asarray(np.divide(total, count, out=otherwise.copy(), where=count > 0))
