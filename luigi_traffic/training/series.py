"""Gold as one array on a regular time grid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from luigi_traffic.errors import DataError
from luigi_traffic.training.grid import Grid

DAY_SECONDS = 86_400


@dataclass(frozen=True)
class Series:
    """Columns of gold of every link over a span of time, on a grid without gaps.

    `values` is float32 `(T, N, F)`: T intervals from `start` (local wall time of the
    dataset), N `links`, F `columns`; NaN where gold has no value. Row i is the interval
    that begins at `start + i * interval`. `target` is the column that is forecast.
    """

    start: np.datetime64
    interval: timedelta
    links: tuple[str, ...]
    columns: tuple[str, ...]
    values: NDArray[np.float32]
    target: str = "speed"

    def __post_init__(self) -> None:
        if self.values.ndim != 3 or self.values.shape[1:] != (len(self.links), len(self.columns)):
            raise ValueError(
                f"values {self.values.shape} are not (T, {len(self.links)}, {len(self.columns)})"
            )
        if self.target not in self.columns:
            raise DataError(f"The series has no column {self.target!r}; it has {self.columns}.")
        steps_per_day(self.interval)

    @classmethod
    def from_columns(
        cls,
        timestamp: NDArray[Any],
        link_codes: NDArray[Any],
        links: Sequence[str],
        values: Mapping[str, NDArray[Any]],
        start: np.datetime64,
        end: np.datetime64,
        interval: timedelta,
        target: str = "speed",
    ) -> Series:
        """Scatter rows of gold, in any order, into the grid of `[start, end)`.

        `timestamp` is datetime64 `(R,)`, `link_codes` int `(R,)` into `links`, each of
        `values` float `(R,)` with NaN for NULL.

        Raises DataError for a row outside the span, off the grid, of an unknown link,
        or for a second row of the same link and interval.
        """
        grid = Grid(start, end, interval, len(values))
        grid.put(timestamp, link_codes, links, list(values.values()))
        first = start.astype("datetime64[us]")
        return cls(first, interval, tuple(links), tuple(values), grid.values, target)

    def __len__(self) -> int:
        return int(self.values.shape[0])

    @property
    def actual(self) -> NDArray[np.float32]:
        """`(T, N)`, a view of the target in the dataset's unit; NaN = missing."""
        return self.column(self.target)

    @property
    def steps_per_day(self) -> int:
        """Intervals a day."""
        return steps_per_day(self.interval)

    @property
    def timestamps(self) -> NDArray[np.datetime64]:
        """datetime64[us] `(T,)`: the beginning of each interval."""
        step = np.timedelta64(self.interval // timedelta(microseconds=1), "us")
        first = self.start.astype("datetime64[us]")
        return np.asarray(first + step * np.arange(len(self)))

    @property
    def slot_of_day(self) -> NDArray[np.int64]:
        """`(T,)`: 0 for the interval that begins the day."""
        now = self.timestamps
        seconds = (now - now.astype("datetime64[D]")).astype("timedelta64[s]").astype(np.int64)
        return np.asarray(seconds // int(self.interval.total_seconds()))

    @property
    def day_of_week(self) -> NDArray[np.int64]:
        """`(T,)`: 0 = Monday … 6 = Sunday."""
        days = self.timestamps.astype("datetime64[D]").astype(np.int64)
        return np.asarray((days + 3) % 7)  # 1970-01-01 was a Thursday

    @property
    def slot_and_kind(self) -> NDArray[np.int64]:
        """`(T,)`: the slot of the day, plus the number of slots of a day at the weekend."""
        return np.asarray((self.day_of_week >= 5) * self.steps_per_day + self.slot_of_day)

    def column(self, name: str) -> NDArray[np.float32]:
        """One column, `(T, N)`, a view. Raises DataError where gold has no such column."""
        if name not in self.columns:
            raise DataError(f"Gold has no column {name!r}; it has {', '.join(self.columns)}.")
        return self.values[:, :, self.columns.index(name)]

    def aligned(self, links: Sequence[str]) -> Series:
        """The same series for exactly `links` in that order; all NaN for those it lacks."""
        if tuple(links) == self.links:
            return self
        position = {link: index for index, link in enumerate(self.links)}
        values = np.full((len(self), len(links), len(self.columns)), np.nan, dtype=np.float32)
        here = [(new, position[link]) for new, link in enumerate(links) if link in position]
        if here:
            new, old = (list(column) for column in zip(*here, strict=True))
            values[:, new] = self.values[:, old]
        return replace(self, links=tuple(links), values=values)

    def followed_by(self, later: Series, links: Sequence[str]) -> Series:
        """This series and the one that begins where it ends, for exactly `links`."""
        parts = [self.aligned(links), later.aligned(links)]
        return replace(parts[0], values=np.concatenate([part.values for part in parts]))


def steps_per_day(interval: timedelta) -> int:
    """Intervals a day. Raises DataError where a day is not a whole number of them."""
    seconds = interval.total_seconds()
    if seconds <= 0 or DAY_SECONDS % seconds:
        raise DataError(f"A day is not a whole number of intervals of {interval}.")
    return int(DAY_SECONDS // seconds)
