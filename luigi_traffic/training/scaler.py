"""Standard scores a column, fitted on observed training inputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from luigi_traffic.errors import DataError
from luigi_traffic.training.series import Series


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
            part = series.column(column)[rows]
            seen = part[~np.isnan(part)].astype(np.float64)
            if column == series.target and not seen.size:
                raise DataError(f"The training part of the series has no observed {column}.")
            means.append(float(seen.mean()) if seen.size else 0.0)
            std = float(seen.std()) if seen.size else 0.0
            stds.append(std if std > 0 else 1.0)
        return cls(series.columns, tuple(means), tuple(stds), series.target)

    @property
    def target(self) -> tuple[float, float]:
        """Mean and deviation of the target."""
        at = self.columns.index(self.target_column)
        return self.mean[at], self.std[at]

    def scale(self, column: str, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """`values` of `column` as standard scores, float32; NaN stays NaN."""
        at = self.columns.index(column)
        return ((values - np.float32(self.mean[at])) / np.float32(self.std[at])).astype(np.float32)

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
