"""forecast: the steps after the day's end, and the rolling forecast of the day itself."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import date as Date
from datetime import datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING

import luigi

from luigi_traffic.api.dataset import Dataset
from luigi_traffic.crashpoints import CrashPoint, crash_point
from luigi_traffic.errors import SourceAbsent
from luigi_traffic.recipe import Input, Recipe
from luigi_traffic.targets.published import PublishedForecast
from luigi_traffic.targets.stage_versions import STAGE_VERSIONS
from luigi_traffic.targets.training import other_target
from luigi_traffic.targets.warehouse import known_gold
from luigi_traffic.tasks.gold import Gold
from luigi_traffic.tasks.train import ModelStage, Train

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection

    from luigi_traffic.tasks.champion_model import ChampionModel
    from luigi_traffic.training.forecasts import ForecastRows
    from luigi_traffic.warehouse.ledger import LedgerRow
    from luigi_traffic.warehouse.partitions import PartitionedTable


class Forecast(ModelStage):
    """Forecast a day with the champion and publish it; with a model named, train that one before.

    Without a model nothing is trained. A day whose forecast is published keeps it, though another
    model has become champion since, unless its gold has changed.
    """

    stage = "forecast"

    model = luigi.Parameter(
        default="",
        positional=False,
        description="Model plugin to train before; empty: none is trained, the champion forecasts",
    )
    window_days = luigi.IntParameter(
        default=0, positional=False, description="Number of days of gold to train that model on"
    )
    target = luigi.Parameter(
        default="",
        positional=False,
        description="Measure to forecast if no model is named; empty: the dataset's own",
    )

    def requires(self) -> Train | list[Gold]:
        """The training, or gold of the day and the day before."""
        if not self.model:
            return [Gold(day, dataset=self.dataset) for day in self.days]
        return Train(
            self.date,
            dataset=self.dataset,
            model=self.model,
            window_days=self.window_days,
            training=self.training,
        )

    @property
    def label(self) -> str:  # noqa: D102
        return f"forecast {self.dataset} {self.date}"

    @property
    def lock_name(self) -> str:
        """One for all trainings of the day: the forecast is the champion's."""
        return f"forecast/{self.dataset}/{self._target}/{self.date}"

    def output(self) -> PublishedForecast:
        """The day's forecast in the view `forecast.<dataset>`."""
        if self.model:
            return self.plan.forecast_target()
        return PublishedForecast(self.project, self.dataset, self._target, self.date, None)

    def complete(self) -> bool:
        """Published, and what it requires is complete: a model that is named is trained."""
        needed = luigi.task.flatten(self.requires())
        return super().complete() and all(task.complete() for task in needed)

    @cached_property
    def _plugin(self) -> Dataset:
        return self.project.plugins.dataset(self.dataset)

    @cached_property
    def _target(self) -> str:
        """Empty for the dataset's own target."""
        if self.model:
            return other_target(self._plugin, self.plan.target)
        return other_target(self._plugin, self._plugin.measure_to_forecast(self.target, "--target"))

    @property
    def days(self) -> list[Date]:
        """What a window before the day's first intervals needs, and the day."""
        return [self.date - timedelta(days=1), self.date]

    def work(self) -> str:  # noqa: D102
        from luigi_traffic.training.forecaster import Forecaster
        from luigi_traffic.training.forecasts import ForecastRows, days
        from luigi_traffic.warehouse import ledger, published
        from luigi_traffic.warehouse.tables import forecast_part, forecast_table

        with self.project.warehouse.connect() as connection:
            champion_at = published.now(connection)
        champion = self._champion()
        version = champion.version
        self.tell(f"forecasting with version {version.version} of {version.name}")
        forecaster = Forecaster(champion.bundle())
        gold = self._gold(days(forecaster, self._plugin.interval, self.date))
        settings = self.project.settings.forecast
        recent = [self.date - timedelta(days=n) for n in range(settings.calibration_days, 0, -1)]
        errors = {day: i for day, i in self._known_gold(recent).items() if day not in gold}
        model, made_of = champion.model, champion.partition_id
        series = f"{model}:{self._target}" if self._target else model
        part = forecast_part(self.date, series, version.version)
        terms = {
            "core": STAGE_VERSIONS["forecast"],
            "model": model,
            "settings": settings.model_dump(mode="json"),
        }
        recipe = Recipe("forecast", self.dataset, terms)
        row = ledger.LedgerRow(
            stage="forecast",
            dataset=self.dataset,
            part=part,
            partition_id=recipe.partition_id(
                [made_of, *(f"{d}:{i}" for d, i in (gold | errors).items())]
            ),
            recipe=recipe.as_dict(),
            inputs=[
                Input("model", made_of, made_of),
                *(Input("gold", day, found) for day, found in gold.items()),
            ],
            rows=0,
            checksum="",
            # No inputs: a day that is over keeps what was said, though one of these changes later.
            details={"calibrated_on": errors},
        )
        with self.project.warehouse.connect() as connection:
            there = ledger.current_id(connection, "forecast", self.dataset, part)
            if there == row.partition_id:
                self._publish(connection, part, champion_at)
                return f"version {version.version} of {model} had made it: published"
        rows = ForecastRows.make(
            forecaster, self.project.warehouse, self._plugin, gold, errors, self.date, settings,
            part=part, model=series, version=int(version.version),
        )  # fmt: skip
        table = forecast_table(self.dataset, forecaster.bundle.target)
        self._commit(rows, row, table, champion_at)
        return f"{rows.count:,} rows by version {version.version}, {model}"

    def _champion(self) -> ChampionModel:
        from luigi_traffic.tasks.champion_model import ChampionModel

        return ChampionModel.find(self.project, self.dataset, self._target, self.label)

    def _publish(self, connection: Connection, part: str, champion_at: datetime) -> None:
        from luigi_traffic.warehouse import published

        published.publish(connection, self.dataset, self._target, self.date, part, champion_at)

    def _commit(
        self, rows: ForecastRows, row: LedgerRow, table: PartitionedTable, champion_at: datetime
    ) -> None:
        """Stage the rows; then attach and publish them in one transaction."""
        from luigi_traffic.warehouse import published
        from luigi_traffic.warehouse.binary import copy_in
        from luigi_traffic.warehouse.commit import staging
        from luigi_traffic.warehouse.tables import forecast_bounds

        started, warehouse = time.monotonic(), self.project.warehouse
        with warehouse.connect() as connection:
            published.ensure(connection, table)
        with staging(warehouse, table, f"{self.date:%Y%m%d}") as attempt:
            with warehouse.connect() as connection:
                for batch in rows.batches():
                    copy_in(connection, attempt.name, table.columns, batch)
            row = replace(
                row, rows=rows.count, checksum=attempt.checksum(),
                details={**row.details, "seconds": round(time.monotonic() - started, 3)},
            )  # fmt: skip
            crash_point(CrashPoint.FORECAST_STAGED)

            def publish(connection: Connection) -> None:
                self._publish(connection, row.part, champion_at)
                crash_point(CrashPoint.FORECAST_ATTACHED)

            if not attempt.commit(forecast_bounds(self.date, row.part), row, publish):
                with warehouse.connect() as connection:  # another runner has committed it
                    self._publish(connection, row.part, champion_at)
        crash_point(CrashPoint.FORECAST_COMMITTED)

    def _gold(self, days: list[Date]) -> dict[str, str]:
        """Day → id of the gold of these days. Raises `SourceAbsent` if the day itself has none."""
        found = self._known_gold(days)
        if self.date.isoformat() not in found:
            raise SourceAbsent(
                f"{self.dataset} has no data on {self.date}, so no forecast is made from it"
            )
        return found

    def _known_gold(self, days: list[Date]) -> dict[str, str]:
        """Day → id of the gold that there is of these days."""
        if self.model:
            ids = self.plan.gold_ids() or {}
        else:
            ids = known_gold(self.project, self.dataset, days)
        return {d: ids[d] for d in map(Date.isoformat, days) if d in ids}
