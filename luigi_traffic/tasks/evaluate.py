"""evaluation: the forecasts for a day, published and live ones, scored with what was observed."""

from __future__ import annotations

import time
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING

import luigi

from luigi_traffic.crashpoints import CrashPoint, crash_point
from luigi_traffic.errors import DataError, SourceAbsent
from luigi_traffic.targets.evaluation import EvaluationPlan
from luigi_traffic.targets.warehouse import LedgerPartition, ledger_view
from luigi_traffic.tasks.base import DayStage
from luigi_traffic.tasks.gold import Gold

if TYPE_CHECKING:
    from luigi_traffic.training.evaluation_rows import EvaluationRows
    from luigi_traffic.training.issued import Issued
    from luigi_traffic.training.live_rows import LiveRows
    from luigi_traffic.training.series import Series


class Evaluate(DayStage):
    """Score the published and the live forecasts for a day. Trains and forecasts nothing."""

    target = luigi.Parameter(
        default="",
        positional=False,
        description="Measure that was forecast; empty: the dataset's own",
    )

    stage = "evaluation"

    def requires(self) -> Gold:
        """What was observed on the day. Gold of the days before is read as far as it is there."""
        return Gold(self.date, dataset=self.dataset)

    def output(self) -> LedgerPartition:
        """The day's partition of `evaluation.<dataset>`, of what is published and in gold now."""
        return self.given().output()

    @cached_property
    def _target(self) -> str:
        dataset = self.project.plugins.dataset(self.dataset)
        return dataset.measure_to_forecast(self.target, "--target")

    def given(self) -> EvaluationPlan:
        """Which forecasts and which gold there is."""
        return EvaluationPlan(self.project, self.dataset, self._target, self.date)

    def work(self) -> str:
        """Look anew what is there, then score that."""
        ledger_view(self.project).forget()
        return self.make(self.given())

    def make(self, given: EvaluationPlan) -> str:  # noqa: D102
        from luigi_traffic.training.evaluation_rows import EvaluationRows, batches
        from luigi_traffic.training.gold import read_gold
        from luigi_traffic.training.issued import read_issued
        from luigi_traffic.warehouse.binary import copy_batches
        from luigi_traffic.warehouse.commit import staging
        from luigi_traffic.warehouse.ledger import LedgerRow
        from luigi_traffic.warehouse.tables import (
            evaluation_bounds,
            evaluation_part,
            evaluation_table,
        )

        made = self._scorable(given)
        started, warehouse = time.monotonic(), self.project.warehouse
        interval = self.project.plugins.dataset(self.dataset).interval
        series = read_gold(
            warehouse, self.dataset, given.gold, [given.target], given.days[0],
            self.date + timedelta(days=1), interval, given.target,
        )  # fmt: skip
        found: list[EvaluationRows | LiveRows] = []
        issued = None
        if given.forecasts:
            issued = read_issued(
                warehouse, self.dataset, given.target, self.date, interval, given.forecasts
            )
            found.append(EvaluationRows.make(issued, series, self.date))
        if given.live:
            found.append(self._live(given, issued, series))
        scored = sum(one.scored for one in found)
        columns = (block for one in found for block in one.columns())
        table = evaluation_table(self.dataset)
        with staging(warehouse, table, f"{self.date:%Y%m%d}") as attempt:
            with warehouse.connect() as connection:
                rows = copy_batches(
                    connection, attempt.name, table.columns,
                    batches(columns, self.date, given.target, table.columns),
                )  # fmt: skip
            row = LedgerRow(
                stage="evaluation",
                dataset=self.dataset,
                part=evaluation_part(self.date, given.target),
                partition_id=made,
                recipe=given.recipe.as_dict(),
                inputs=given.inputs,
                rows=rows,
                checksum=attempt.checksum(),
                details={
                    "seconds": round(time.monotonic() - started, 3),
                    "scored": scored,
                },
            )
            won = attempt.commit(
                evaluation_bounds(self.date, given.target),
                row,
                before_commit=lambda _: crash_point(CrashPoint.EVALUATION_ATTACHED),
            )
        return f"{scored:,} values scored" if won else "another runner committed it first"

    def _live(self, given: EvaluationPlan, published: Issued | None, series: Series) -> LiveRows:
        """Score what was issued while the day went on."""
        from luigi_traffic.training.issued_live import read_live
        from luigi_traffic.training.live_rows import LiveRows

        found = read_live(
            self.project.warehouse, self.dataset, given.target, self.date, series.interval
        )
        issued = given.live[self.date].intervals if self.date in given.live else 0
        if issued and found is None:
            self.tell(
                f"{issued} live forecasts were issued, but their rows are gone: they are kept for "
                "live.keep_days, and are not scored"
            )
        return LiveRows(series.steps_per_day, issued, found, published, series)

    def _scorable(self, given: EvaluationPlan) -> str:
        """The id that is to be made. Raises `TrafficError` if there is nothing to score."""
        if self.date.isoformat() not in given.gold:
            raise SourceAbsent(
                f"{self.dataset} has no data on {self.date}, so no forecast for that day is scored"
            )
        made = given.partition_id
        if made is None:
            raise DataError(
                f"{self.label}: no forecast of {given.target} is published for that day, and none "
                "was issued while it went on, so there is nothing to score. FullPipeline publishes "
                "one, and so does Forecast. But what is forecast now is by the champion of now, "
                "which may have been trained on that day."
            )
        return made
