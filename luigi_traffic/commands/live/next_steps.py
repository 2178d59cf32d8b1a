"""The champion's forecast of the next steps, and what stands in if too little is observed."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from luigi_traffic.api.dataset import Dataset
from luigi_traffic.api.model import gold_columns
from luigi_traffic.commands.live.basis import VERSION, Basis
from luigi_traffic.commands.live.window import read_window
from luigi_traffic.errors import TransientError
from luigi_traffic.project import Project
from luigi_traffic.recipe import canonical_json, short_hash
from luigi_traffic.tasks.champion_model import ChampionModel
from luigi_traffic.training.forecaster import Forecaster
from luigi_traffic.training.gold import read_gold
from luigi_traffic.training.registry import DIGEST
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
    """The champion of a dataset's target and the basis of its forecasts.

    target  empty for the dataset's own
    gold    partition id by day: of the days that the basis is made of
    """

    def __init__(
        self,
        project: Project,
        dataset: Dataset,
        target: str,
        model: ChampionModel,
        gold: Mapping[str, str],
    ) -> None:
        self.version, self.gold = model.version.version, gold
        self._project, self._dataset = project, dataset
        self._series = f"{model.model}:{target}" if target else model.model
        self._forecaster = Forecaster(model.bundle())
        # Not that of the lineage, which is read once: a graph may grow with what is polled.
        self._graph = project.plugins.call(dataset, "graph()", dataset.graph)
        self._basis = self._made_of_gold(model)

    @classmethod
    def current(
        cls, project: Project, dataset: Dataset, target: str, day: date, before: Champion | None
    ) -> Champion:
        """The champion of now, on a day: `before`, if nothing has changed, or if MLflow cannot be
        asked.

        Takes long if the version or the gold of the days before `day` has changed. Raises
        `DataError` if there is no champion, and `TransientError` if MLflow cannot be asked and
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
        gold = _gold_before(project, dataset.name, day)
        if before and (before.version, before.gold) == (found.version.version, gold):
            return before
        if before is None or before.version != found.version.version:
            logger.info(
                "%s: version %s of %s forecasts", label, found.version.version, found.version.name
            )
        return cls(project, dataset, target, found, gold)

    @property
    def target(self) -> str:
        """The measure that is forecast."""
        return self._forecaster.bundle.target

    @property
    def links(self) -> tuple[str, ...]:
        """Those that are forecast."""
        return self._basis.links

    @cached_property
    def _columns(self) -> list[str]:
        channels = gold_columns(self._forecaster.bundle.shape.channels)
        return list(dict.fromkeys([self.target, *channels]))

    def _made_of_gold(self, model: ChampionModel) -> Basis:
        """What is kept of the same model and days, or made of them."""
        settings = self._project.settings.forecast
        key = short_hash(
            str(VERSION), model.partition_id, model.version.tags[DIGEST], canonical_json(self.gold),
            canonical_json(self._columns), canonical_json(settings.model_dump()),
            str(self._dataset.interval),
        )  # fmt: skip
        name = f"{self.target}.npz"
        path = self._project.home / "live" / self._dataset.name / "basis" / name
        if found := Basis.kept(path, key):
            return found
        logger.info(
            "live %s: makes intervals and profiles of %d days of gold", self._dataset.name,
            len(self.gold),
        )  # fmt: skip
        made = Basis.of(self._forecaster, self._history(), settings)
        made.keep(path, key)
        return made

    def _history(self) -> Series | None:
        """The days of gold that the basis is made of."""
        if not self.gold:
            logger.warning(
                "live %s: none of the last days has gold, so forecasts have no intervals, and "
                "links without observations have no profile to stand in", self._dataset.name,
            )  # fmt: skip
            return None
        first, last = (date.fromisoformat(of(self.gold)) for of in (min, max))
        return read_gold(
            self._project.warehouse, self._dataset.name, self.gold, self._columns, first,
            last + timedelta(days=1), self._dataset.interval, self.target,
        )  # fmt: skip

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
        if self._basis.intervals is not None:
            lower, upper = self._basis.intervals.around(said)
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
        if self._basis.profile is None:
            return np.full((steps, len(self.links)), np.nan, np.float32)
        nothing = np.full((steps, len(self.links), len(series.columns)), np.nan, np.float32)
        ahead = Series(
            np.datetime64(issued_at, "us"), series.interval, self.links, series.columns, nothing,
            series.target,
        )  # fmt: skip
        return np.asarray(self._basis.profile[ahead.slot_and_kind])

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


def _gold_before(project: Project, dataset: str, day: date) -> dict[str, str]:
    """Partition ids of the days before that have gold, as many as a basis is made of."""
    back = max(project.settings.forecast.calibration_days, _PROFILE_DAYS)
    with project.warehouse.connect() as connection:
        known = ledger.current_ids(connection, "gold", dataset)
    days = ((day - timedelta(days=n)).isoformat() for n in range(back, 0, -1))
    return {one: known[one] for one in days if one in known}


def _ages(series: Series) -> Any:
    """`(N,)`: seconds from the end of the newest observed interval to the end of the window."""
    seen = ~np.isnan(series.actual)
    back = np.argmax(seen[::-1], axis=0) * series.interval.total_seconds()
    return pa.array(back.astype(np.int32), mask=~seen.any(axis=0))
