"""The forecast rows of one day: rolling through the day, and the steps after its end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from luigi_traffic.api.dataset import Dataset
from luigi_traffic.api.model import gold_columns
from luigi_traffic.errors import SettingsError
from luigi_traffic.training.forecaster import Forecaster
from luigi_traffic.training.gold import read_gold
from luigi_traffic.training.intervals import Intervals, recent_intervals
from luigi_traffic.training.series import Series

if TYPE_CHECKING:
    from luigi_traffic.settings.training_keys import ForecastSettings
    from luigi_traffic.warehouse.connection import Warehouse


def days(forecaster: Forecaster, interval: timedelta, day: date) -> list[date]:
    """The days, up to `day`, that the windows issued on it reach into, oldest first."""
    before = -(-forecaster.input_steps * interval // timedelta(days=1))
    return [day - timedelta(days=n) for n in range(before, -1, -1)]


@dataclass(frozen=True)
class ForecastRows:
    """A day's forecasts, made batch by batch. `count` is known before they are made."""

    forecaster: Forecaster
    series: Series
    first_row: int
    part: str
    model: str
    version: int
    #: Of what is issued during the day these steps are stored; empty: all.
    rolling_steps: tuple[int, ...]
    #: Of what is issued during the day, and at its end.
    rolling_intervals: Intervals | None
    next_intervals: Intervals | None

    @classmethod
    def make(
        cls,
        forecaster: Forecaster,
        warehouse: Warehouse,
        dataset: Dataset,
        gold_ids: Mapping[str, str],
        earlier: Mapping[str, str],
        day: date,
        settings: ForecastSettings,
        **names: Any,
    ) -> ForecastRows:
        """Read the gold that windows issued on a day need: of the `days` that `gold_ids` has.

        `earlier` has the ids of days before them, whose errors make the intervals. `names` are
        part, model and version, which are written into each row (see `forecast_table`).

        Raises SettingsError for a step to store that the model does not forecast.
        """
        beyond = [n for n in settings.rolling_steps if n > forecaster.output_steps]
        if beyond:
            raise SettingsError(
                f"forecast.rolling_steps has step {beyond[0]}, but the champion forecasts "
                f"{forecaster.output_steps} steps. Leave it out, or train a model with more "
                "output_steps."
            )
        first = days(forecaster, dataset.interval, day)[0]
        target = forecaster.bundle.target
        columns = list(dict.fromkeys([target, *gold_columns(forecaster.bundle.shape.channels)]))

        def read(ids: Mapping[str, str], start: date, end: date) -> Series:
            return read_gold(
                warehouse, dataset.name, ids, columns, start, end, dataset.interval, target
            )

        series = read(gold_ids, first, day + timedelta(days=1))
        history, first_row = series, (day - first) // dataset.interval
        if earlier:
            older = read(earlier, min(map(date.fromisoformat, earlier)), first)
            history = older.followed_by(series, forecaster.links(series))
        new = len(series) - first_row
        rolling, following = recent_intervals(
            forecaster, history, settings, (len(history) - new, len(history))
        )
        return cls(
            forecaster, series, first_row, rolling_steps=settings.rolling_steps,
            rolling_intervals=rolling, next_intervals=following, **names,
        )  # fmt: skip

    @property
    def windows(self) -> np.ndarray[Any, np.dtype[np.int64]]:
        """One for each interval of the day; the last is issued at the day's end."""
        return self.forecaster.rolling(self.series, self.first_row)

    @property
    def count(self) -> int:
        """Rows in all."""
        links = len(self.forecaster.links(self.series))
        rolling = max(0, len(self.windows) - 1)  # the last window is issued at the day's end
        stored = rolling * int(self._stored.sum()) + (len(self.windows) > 0) * len(self._stored)
        return stored * links

    @property
    def _stored(self) -> NDArray[np.bool_]:
        """`(steps,)`: which are stored of what is issued during the day."""
        steps = np.arange(1, self.forecaster.output_steps + 1)
        return np.isin(steps, self.rolling_steps or steps)

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Rows with the columns of `forecast_table`."""
        links = self.forecaster.links(self.series)
        names = pa.array(links, pa.string())
        steps = np.arange(1, self.forecaster.output_steps + 1, dtype=np.int16)
        interval = np.timedelta64(self.series.interval // timedelta(microseconds=1), "us")
        target = self.forecaster.bundle.target
        end_of_day = self.series.timestamps[-1] + interval
        first = self.windows[0] if len(self.windows) else 0
        observed = self.forecaster.observed(self.series, self.windows).astype(np.int16)
        for windows, forecast in self.forecaster.stream(self.series, self.windows):
            issued = self.forecaster.issued(self.series, windows)
            shape = forecast.shape  # (windows, steps, links)
            size = int(np.prod(shape))
            ahead = issued[:, None] + (steps - 1) * interval
            link = np.broadcast_to(np.arange(len(links), dtype=np.int32), shape).ravel()
            at_end = issued == end_of_day
            kind = np.where(at_end, "next", "rolling")
            lower, upper = self._ends(forecast, at_end)

            def wide(column: Any, shape: tuple[int, ...] = shape) -> Any:
                return np.broadcast_to(column, shape).ravel()

            batch = pa.RecordBatch.from_pydict(
                {
                    "part": pa.repeat(self.part, size),
                    "model": pa.repeat(self.model, size),
                    "issued_at": pa.array(wide(issued[:, None, None]), pa.timestamp("us")),
                    "kind": pa.array(wide(kind[:, None, None]), pa.string()),
                    "step": pa.array(wide(steps[None, :, None]), pa.int16()),
                    "timestamp": pa.array(wide(ahead[:, :, None]), pa.timestamp("us")),
                    "link_id": names.take(pa.array(link)),
                    target: pa.array(forecast.ravel(), pa.float32()),
                    "version": pa.repeat(pa.scalar(self.version, pa.int32()), size),
                    "observed": pa.array(wide(observed[windows - first, None, :]), pa.int16()),
                    "lower": pa.array(lower.ravel(), pa.float32(), from_pandas=True),
                    "upper": pa.array(upper.ravel(), pa.float32(), from_pandas=True),
                }
            )
            stored = at_end[:, None] | self._stored
            yield batch if stored.all() else batch.filter(pa.array(wide(stored[:, :, None])))

    def _ends(
        self, forecast: NDArray[np.float32], at_end: NDArray[np.bool_]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Lower and upper ends, each `(W, steps, N)`; NaN if they are not known."""
        lower = np.full_like(forecast, np.nan)
        upper = lower.copy()
        for these, found in ((~at_end, self.rolling_intervals), (at_end, self.next_intervals)):
            if found is not None and these.any():
                lower[these], upper[these] = found.around(forecast[these])
        return lower, upper
