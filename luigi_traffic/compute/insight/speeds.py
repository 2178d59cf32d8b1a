"""The speeds of a window of gold, and the times that they are of."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
from numpy.typing import NDArray

from luigi_traffic.errors import DataError, SettingsError
from luigi_traffic.settings.day_spans import day_spans
from luigi_traffic.training.series import Series

#: Unit of a dataset's speeds → km/h in one of it.
KMH = {"km/h": 1.0, "mph": 1.609344, "m/s": 3.6}
_BLOCK_LINKS = 256


@dataclass(frozen=True)
class Speeds:
    """Of the days that gold has, without the days that it does not have.

    speed     float32 `(T, N)` in `unit`; NaN: no value
    at        int `(T,)`: number of the interval since the first day began, missing days counted
    links     N
    """

    speed: NDArray[np.float32]
    at: NDArray[np.int64]
    links: tuple[str, ...]
    interval: timedelta
    first_weekday: int
    """Of the day that `at` counts from, 0 = Monday."""
    unit: str

    @classmethod
    def of(cls, series: Series, days: Collection[str], unit: str) -> Speeds:
        """The days (ISO) of the series. Raises `DataError` for a unit that is not known."""
        if unit not in KMH:
            raise DataError(
                f"speeds are in {unit!r}, but insight knows {', '.join(KMH)} only: let the dataset "
                "declare its measure speed in one of them"
            )
        known = np.isin(series.timestamps.astype("datetime64[D]").astype(str), list(days))
        actual = series.actual
        return cls(
            actual if known.all() else actual[known],
            np.flatnonzero(known),
            series.links,
            series.interval,
            int(series.day_of_week[0]),
            unit,
        )

    def blocks(self) -> Iterator[slice]:
        """The links, some at a time: what is computed of them takes ten times their memory."""
        for begin in range(0, len(self.links), _BLOCK_LINKS):
            yield slice(begin, begin + _BLOCK_LINKS)

    @property
    def kmh(self) -> float:
        """Kilometres an hour in one of the unit."""
        return KMH[self.unit]

    @property
    def slots(self) -> int:
        """Intervals a day."""
        return int(timedelta(days=1) / self.interval)

    @property
    def day(self) -> NDArray[np.int64]:
        """`(T,)`: number of the day, missing days counted."""
        return np.asarray(self.at // self.slots)

    @property
    def slot_of_week(self) -> NDArray[np.int64]:
        """`(T,)`: 0 for the interval that begins Monday."""
        weekday = (self.day + self.first_weekday) % 7
        return np.asarray(weekday * self.slots + self.at % self.slots)

    def inside(self, text: str, setting: str) -> NDArray[np.bool_]:
        """`(T,)`: which intervals begin in these days and times.

        Raises `SettingsError` that names the `setting` if no interval of any week does.
        """
        spans = day_spans(text)
        minutes = self.interval / timedelta(minutes=1)
        week = np.array([
            any(span.holds(day, slot * minutes) for span in spans)
            for day in range(7) for slot in range(self.slots)
        ])  # fmt: skip
        if not week.any():
            raise SettingsError(
                f"{setting}: no interval of the dataset, which are {minutes:g} minutes long, "
                f"begins within {text!r}"
            )
        return np.asarray(week[self.slot_of_week])
