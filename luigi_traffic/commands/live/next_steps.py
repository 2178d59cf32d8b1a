"""The champion's forecast of the next steps, and what stands in if too little is observed."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from luigi_traffic.api.dataset import Dataset
from luigi_traffic.api.model import gold_columns
from luigi_traffic.commands.live.window import read_window
from luigi_traffic.errors import TransientError
from luigi_traffic.project import Project
from luigi_traffic.tasks.champion_model import ChampionModel
from luigi_traffic.training.baselines import HistoricalMedian
from luigi_traffic.training.forecaster import Forecaster
from luigi_traffic.training.gold import read_gold
from luigi_traffic.training.intervals import Intervals, recent_intervals
from luigi_traffic.training.series import Series
from luigi_traffic.warehouse import ledger
from luigi_traffic.warehouse.tables import forecast_part

logger = logging.getLogger("luigi_traffic")

#: A profile needs a weekend and workdays.
_PROFILE_DAYS = 7


@dataclass(frozen=True)
class NextSteps:
    """A forecast that was issued: rows with the columns of `live_forecast_table`."""

    rows: pa.Table
    issued_at: datetime
    version: int
    links: int
    silent: int
    """Links without any observation in the model's window."""
    fallback: int
    """Links whose profile of the week is their forecast."""


class Champion:
    """The champion of a dataset's target on the day of a forecast, with what it needs beside.

    target  empty for the dataset's own
    """

    def __init__(
        self, project: Project, dataset: Dataset, target: str, model: ChampionModel, day: date
    ) -> None:
        self.version, self.day = model.version.version, day
        self._project, self._dataset = project, dataset
        series = f"{model.model}:{target}" if target else model.model
        self._series = series
        self._forecaster = Forecaster(model.bundle())
        # Not that of the lineage, which is read once: a graph may grow with what is polled.
        self._graph = project.plugins.call(dataset, "graph()", dataset.graph)
        history = self._history()
        self.links = self._links(history)
        self._intervals = self._calibrated(history)
        self._profile = self._typical(history)

    @classmethod
    def current(
        cls, project: Project, dataset: Dataset, target: str, day: date, before: Champion | None
    ) -> Champion:
        """Today's champion: `before`, if it is still that, or if MLflow cannot be asked.

        Raises `DataError` if there is none, and `TransientError` if MLflow cannot be asked and
        there is no `before`.
        """
        label = f"live {dataset.name}"
        try:
            found = ChampionModel.find(project, dataset.name, target, label)
        except TransientError as error:
            if before is None:
                raise
            logger.warning(
                "%s: it cannot be asked who is champion, so version %s goes on: %s",
                label, before.version, error,
            )  # fmt: skip
            return before
        if before and (before.version, before.day) == (found.version.version, day):
            return before
        logger.info(
            "%s: version %s of %s forecasts", label, found.version.version, found.version.name
        )
        return cls(project, dataset, target, found, day)

    @property
    def target(self) -> str:
        """The measure that is forecast."""
        return self._forecaster.bundle.target

    @cached_property
    def _columns(self) -> list[str]:
        channels = gold_columns(self._forecaster.bundle.shape.channels)
        return list(dict.fromkeys([self.target, *channels]))

    def _history(self) -> Series | None:
        """Gold of the days before, as far as there is any."""
        settings, name = self._project.settings.forecast, self._dataset.name
        with self._project.warehouse.connect() as connection:
            known = ledger.current_ids(connection, "gold", name)
        back = max(settings.calibration_days, _PROFILE_DAYS)
        wanted = [self.day - timedelta(days=n) for n in range(back, 0, -1)]
        ids = {
            day.isoformat(): known[day.isoformat()] for day in wanted if day.isoformat() in known
        }
        if not ids:
            logger.warning(
                "live %s: no day of the last %d has gold, so forecasts have no intervals, and "
                "links without observations have no profile to stand in", name, back,
            )  # fmt: skip
            return None
        first = date.fromisoformat(min(ids))
        return read_gold(
            self._project.warehouse, name, ids, self._columns, first, self.day,
            self._dataset.interval, self.target,
        )  # fmt: skip

    def _links(self, history: Series | None) -> tuple[str, ...]:
        """Those of the model, and for a model that knows no link by name those of late, too."""
        bundle = self._forecaster.bundle
        if not bundle.model.per_link or history is None:
            return bundle.links
        return tuple(sorted({*bundle.links, *history.links}))

    def _calibrated(self, history: Series | None) -> Intervals | None:
        settings = self._project.settings.forecast
        if history is None or not settings.calibration_days:
            return None
        series = history.aligned(self.links)
        (found,) = recent_intervals(self._forecaster, series, settings, [len(series)])
        return found

    def _typical(self, history: Series | None) -> NDArray[np.float32] | None:
        """`(2 * slots a day, N)`: the historical median of the last days."""
        if history is None or np.isnan(history.actual).all():
            return None
        series = history.aligned(self.links)
        return HistoricalMedian.of(series, slice(0, len(series)), 0, 0).table

    def forecast(self, issued_at: datetime) -> NextSteps:
        """The steps after `issued_at`, a wall time at which an interval of the dataset begins."""
        forecaster, interval = self._forecaster, self._dataset.interval
        first = issued_at - forecaster.input_steps * interval
        series = read_window(
            self._project.warehouse, self._dataset, self._graph, self._columns, self.target, first,
            issued_at,
        ).aligned(self.links)  # fmt: skip
        window = np.zeros(1, np.int64)
        said = forecaster.predict(series, window)
        lower, upper = np.full_like(said, np.nan), np.full_like(said, np.nan)
        if self._intervals is not None:
            lower, upper = self._intervals.around(said)
        observed = forecaster.observed(series, window)[0]
        weak = observed < self._project.settings.live.min_observed
        values, lower, upper = said[0], lower[0], upper[0]
        values[:, weak] = self._stand_in(series, issued_at)[:, weak]
        lower[:, weak] = upper[:, weak] = np.nan
        rows = self._rows(issued_at, values, lower, upper, {
            "observed": observed.astype(np.int16),
            "age_seconds": _ages(series),
            "fallback": weak,
        })  # fmt: skip
        silent = int((observed == 0).sum())
        return NextSteps(
            rows, issued_at, int(self.version), len(self.links), silent, int(weak.sum())
        )

    def _stand_in(self, series: Series, issued_at: datetime) -> NDArray[np.float32]:
        """`(S, N)`: the profile of the week; NaN without one."""
        steps = self._forecaster.output_steps
        if self._profile is None:
            return np.full((steps, len(self.links)), np.nan, np.float32)
        nothing = np.full((steps, len(self.links), len(series.columns)), np.nan, np.float32)
        ahead = Series(
            np.datetime64(issued_at, "us"), series.interval, self.links, series.columns, nothing,
            series.target,
        )  # fmt: skip
        return np.asarray(self._profile[ahead.slot_and_kind])

    def _rows(
        self,
        issued_at: datetime,
        values: NDArray[np.float32],
        lower: NDArray[np.float32],
        upper: NDArray[np.float32],
        by_link: dict[str, Any],
    ) -> pa.Table:
        """A row for each step and link that has a value."""
        steps, links = values.shape
        step = np.repeat(np.arange(1, steps + 1, dtype=np.int16), links)
        interval = np.timedelta64(self._dataset.interval // timedelta(microseconds=1), "us")
        issued = np.datetime64(issued_at, "us")
        part = forecast_part(issued_at.date(), self._series, self.version)
        size = steps * links
        made = pa.table({
            "part": pa.repeat(f"{part}/live", size),
            "model": pa.repeat(self._series, size),
            "issued_at": pa.array(np.repeat(issued, size)),
            "kind": pa.repeat("live", size),
            "step": pa.array(step),
            "timestamp": pa.array(issued + (step - 1) * interval),
            "link_id": pa.array(self.links * steps, pa.string()),
            self.target: pa.array(values.ravel()),
            "version": pa.repeat(pa.scalar(int(self.version), pa.int32()), size),
            **{name: pa.concat_arrays([pa.array(c)] * steps) for name, c in by_link.items()},
            "lower": pa.array(lower.ravel(), from_pandas=True),
            "upper": pa.array(upper.ravel(), from_pandas=True),
        })  # fmt: skip
        return made.filter(pa.array(~np.isnan(values.ravel())))


def _ages(series: Series) -> Any:
    """`(N,)`: seconds from the end of the newest observed interval to the end of the window."""
    seen = ~np.isnan(series.actual)
    back = np.argmax(seen[::-1], axis=0) * series.interval.total_seconds()
    return pa.array(back.astype(np.int32), mask=~seen.any(axis=0))
