"""The forecast rows of one day: rolling through the day, and the steps after its end."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from luigi_traffic.api.dataset import Dataset
from luigi_traffic.api.model import Model, gold_columns
from luigi_traffic.training.bundle import Bundle
from luigi_traffic.training.forecaster import Forecaster
from luigi_traffic.training.gold import read_gold
from luigi_traffic.training.series import Series

if TYPE_CHECKING:
    from luigi_traffic.warehouse.connection import Warehouse

#: Stored values are rounded, so that a reader sees what a forecast can mean.
_DECIMALS = 3


@dataclass(frozen=True)
class ForecastRows:
    """A day's forecasts, made batch by batch. `count` is known before they are made."""

    forecaster: Forecaster
    series: Series
    first_row: int
    part: str
    model: str

    @classmethod
    def make(
        cls,
        *,
        warehouse: Warehouse,
        dataset: Dataset,
        day: date,
        gold_ids: Mapping[str, str],
        folder: Path,
        digest: str,
        get_model: Callable[[str], Model],
        part: str,
        model: str,
    ) -> ForecastRows:
        """Load the bundle and the day's gold, and as much of the days before as a window needs."""
        forecaster = Forecaster(Bundle.load(folder, get_model, expected=digest))
        history = forecaster.input_steps * dataset.interval
        start = day - timedelta(days=-(-history // timedelta(days=1)))
        target = forecaster.bundle.target
        columns = list(dict.fromkeys([target, *gold_columns(forecaster.bundle.shape.channels)]))
        needed = {d: i for d, i in gold_ids.items() if start.isoformat() <= d <= day.isoformat()}
        series = read_gold(
            warehouse, dataset.name, needed, columns, start, day + timedelta(days=1),
            dataset.interval, target,
        )  # fmt: skip
        first_row = (day - start) // dataset.interval
        return cls(forecaster, series, first_row, part, model)

    @property
    def windows(self) -> np.ndarray[Any, np.dtype[np.int64]]:
        """One for each interval of the day; the last is issued at the day's end."""
        return self.forecaster.rolling(self.series, self.first_row)

    @property
    def count(self) -> int:
        """Rows in all."""
        links = len(self.forecaster.links(self.series))
        return len(self.windows) * self.forecaster.output_steps * links

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Rows with the columns of `forecast_table`."""
        links = self.forecaster.links(self.series)
        names = pa.array(links, pa.string())
        steps = np.arange(1, self.forecaster.output_steps + 1, dtype=np.int16)
        interval = np.timedelta64(self.series.interval // timedelta(microseconds=1), "us")
        target = self.forecaster.bundle.target
        end_of_day = self.series.timestamps[-1] + interval
        for windows, forecast in self.forecaster.stream(self.series, self.windows):
            issued = self.forecaster.issued(self.series, windows)
            shape = forecast.shape  # (windows, steps, links)
            size = int(np.prod(shape))
            ahead = issued[:, None] + (steps - 1) * interval
            link = np.broadcast_to(np.arange(len(links), dtype=np.int32), shape).ravel()
            kind = np.where(issued == end_of_day, "next", "rolling")

            def wide(column: Any, shape: tuple[int, ...] = shape) -> Any:
                return np.broadcast_to(column, shape).ravel()

            yield pa.RecordBatch.from_pydict(
                {
                    "part": pa.repeat(self.part, size),
                    "model": pa.repeat(self.model, size),
                    "issued_at": pa.array(wide(issued[:, None, None]), pa.timestamp("us")),
                    "kind": pa.array(wide(kind[:, None, None]), pa.string()),
                    "step": pa.array(wide(steps[None, :, None]), pa.int16()),
                    "timestamp": pa.array(wide(ahead[:, :, None]), pa.timestamp("us")),
                    "link_id": names.take(pa.array(link)),
                    target: pa.array(np.round(forecast.ravel(), _DECIMALS), pa.float32()),
                }
            )
