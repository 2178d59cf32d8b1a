"""evaluation: the forecasts that were published for a day, scored with what was observed."""

from __future__ import annotations

import time
from datetime import timedelta
from functools import cached_property

import luigi

from luigi_traffic.crashpoints import CrashPoint, crash_point
from luigi_traffic.errors import DataError, SourceAbsent
from luigi_traffic.targets.evaluation import EvaluationPlan
from luigi_traffic.targets.warehouse import LedgerPartition, ledger_view
from luigi_traffic.tasks.base import DayStage
from luigi_traffic.tasks.gold import Gold


class Evaluate(DayStage):
    """Score the published forecasts for a day with its gold. Trains and forecasts nothing."""

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
        from luigi_traffic.training.evaluation_rows import EvaluationRows
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
        issued = read_issued(
            warehouse, self.dataset, given.target, self.date, interval, given.forecasts
        )
        series = read_gold(
            warehouse, self.dataset, given.gold, [given.target], given.days[0],
            self.date + timedelta(days=1), interval, given.target,
        )  # fmt: skip
        found = EvaluationRows.make(issued, series, self.date)
        table = evaluation_table(self.dataset)
        with staging(warehouse, table, f"{self.date:%Y%m%d}") as attempt:
            with warehouse.connect() as connection:
                rows = copy_batches(
                    connection, attempt.name, table.columns, found.batches(table.columns)
                )
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
                    "scored": found.scored,
                },
            )
            won = attempt.commit(
                evaluation_bounds(self.date, given.target),
                row,
                before_commit=lambda _: crash_point(CrashPoint.EVALUATION_ATTACHED),
            )
        return f"{found.scored:,} values scored" if won else "another runner committed it first"

    def _scorable(self, given: EvaluationPlan) -> str:
        """The id that is to be made. Raises `TrafficError` if there is nothing to score."""
        if self.date.isoformat() not in given.gold:
            raise SourceAbsent(
                f"{self.dataset} has no data on {self.date}, so no forecast for that day is scored"
            )
        made = given.partition_id
        if made is None:
            raise DataError(
                f"{self.label}: no forecast of {given.target} is published for that day, so there "
                "is nothing to score. FullPipeline publishes one, and so does Forecast. But what "
                "is forecast now is by the champion of now, which may have been trained on that "
                "day."
            )
        return made
