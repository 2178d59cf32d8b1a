"""Typical values of each link by the time of a workday or of a weekend, to fill inputs with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from luigi_traffic.training.baselines import HistoricalMedian
from luigi_traffic.training.scaler import Scaler
from luigi_traffic.training.series import Series


@dataclass(frozen=True)
class Profile:
    """The historical median of columns of gold over the training rows: see `HistoricalMedian`."""

    links: tuple[str, ...]
    columns: tuple[str, ...]
    table: NDArray[np.float32]
    """`(2 * slots a day, N, F)`, workdays first, in the units of the columns. NaN for a link and
    column without a value in the training rows: nothing is typical of a neighbour that is not
    there."""

    @classmethod
    def of(cls, series: Series, rows: slice, columns: Sequence[str]) -> Profile:
        """Fitted on `rows` of `series`."""
        tables = [_table(replace(series, target=column), rows) for column in columns]
        return cls(series.links, tuple(columns), np.stack(tables, axis=-1))

    def scores(
        self, links: Sequence[str], columns: Sequence[str], scaler: Scaler
    ) -> NDArray[np.float32]:
        """`(2 * slots a day, N, F)` for these links and columns, as standard scores.

        0, the mean, for what is not known.
        """
        position = {link: index for index, link in enumerate(self.links)}
        here = [(new, position[link]) for new, link in enumerate(links) if link in position]
        new, old = ([pair[n] for pair in here] for n in (0, 1))
        out = np.zeros((len(self.table), len(links), len(columns)), dtype=np.float32)
        for index, column in enumerate(columns):
            if column in self.columns:
                known = self.table[:, old, self.columns.index(column)]
                out[:, new, index] = np.nan_to_num(scaler.scale(column, known))
        return out


def _table(series: Series, rows: slice) -> NDArray[np.float32]:
    """`(2 * slots a day, N)` of the series' target."""
    never = np.asarray(np.isnan(series.actual[rows]).all(axis=0))
    if never.all():
        return np.full((2 * series.steps_per_day, len(series.links)), np.nan, dtype=np.float32)
    found = HistoricalMedian.of(series, rows, t_in=0, t_out=0).table
    return np.where(never, np.float32(np.nan), found)
