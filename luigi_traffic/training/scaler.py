"""Standard scores a column, fitted on observed training inputs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from luigi_traffic.errors import DataError
from luigi_traffic.training.series import Series

#: Values that are looked at at once.
_BLOCK = 1 << 23


@dataclass(frozen=True)
class Scaler:
    """Mean and standard deviation a column, in the dataset's unit.

    The reference code for METR-LA takes its zeros for speeds and gets 54.406 ± 19.494;
    zeros there are missing, so ours leaves them out. Each row counts once, however many
    windows it is part of.
    """

    columns: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    target_column: str = "speed"

    @classmethod
    def fit(cls, series: Series, rows: slice) -> Scaler:
        """Fitted on `rows` of the series (see `Split.training_rows`).

        A column without a value there (a network with no link two hops away) gets
        mean 0 and deviation 1. Raises DataError where the target was never observed.
        """
        means, stds = [], []
        for column in series.columns:
            mean, std = _moments(series.column(column)[rows])
            if column == series.target and mean is None:
                raise DataError(f"The training part of the series has no observed {column}.")
            means.append(mean or 0.0)
            stds.append(std if std > 0 else 1.0)
        return cls(series.columns, tuple(means), tuple(stds), series.target)

    @property
    def target(self) -> tuple[float, float]:
        """Mean and deviation of the target."""
        return self.moments(self.target_column)

    def moments(self, column: str) -> tuple[float, float]:
        """Mean and deviation of a column."""
        at = self.columns.index(column)
        return self.mean[at], self.std[at]

    def scale(self, column: str, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """`values` of `column` as standard scores, float32; NaN stays NaN."""
        mean, std = self.moments(column)
        return ((values - np.float32(mean)) / np.float32(std)).astype(np.float32)

    def as_dict(self) -> dict[str, Any]:
        """JSON-serialisable; the inverse of `from_dict`."""
        return {
            "columns": list(self.columns),
            "mean": list(self.mean),
            "std": list(self.std),
            "target": self.target_column,
        }

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> Scaler:
        """The scaler that `as_dict` described."""
        return cls(
            tuple(value["columns"]), tuple(value["mean"]), tuple(value["std"]),
            value.get("target", "speed"),  # a bundle of version 1 forecasts speeds
        )  # fmt: skip


def _moments(values: NDArray[np.float32]) -> tuple[float | None, float]:
    """Mean and deviation of what was observed of `(T, N)`; None and 0 if nothing was.

    In float64, a block of rows at a time: all of a network's rows would take gigabytes.
    """
    rows = max(1, _BLOCK // max(1, values.shape[1]))
    blocks = range(0, len(values), rows)

    def seen(at: int) -> NDArray[np.float64]:
        block = values[at : at + rows]
        return block[~np.isnan(block)].astype(np.float64)

    count, total = 0, 0.0
    for at in blocks:
        found = seen(at)
        count, total = count + found.size, total + float(found.sum())
    if not count:
        return None, 0.0
    mean = total / count
    return mean, math.sqrt(sum(float(((seen(at) - mean) ** 2).sum()) for at in blocks) / count)
