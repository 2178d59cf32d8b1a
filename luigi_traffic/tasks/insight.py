"""insight: what traffic people compute from the speeds of a window of days."""

from __future__ import annotations

import time
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING

import luigi

from luigi_traffic.api.graph import LinkGraph
from luigi_traffic.api.links import LinkTable
from luigi_traffic.errors import SettingsError, SourceAbsent
from luigi_traffic.targets.insight import InsightPlan
from luigi_traffic.targets.warehouse import LedgerPartition, ledger_view
from luigi_traffic.tasks.base import DayStage
from luigi_traffic.tasks.gold import Gold

if TYPE_CHECKING:
    from luigi_traffic.api.dataset import Dataset

SPEED = "speed"


class Insight(DayStage):
    """Compute travel times, the health of sensors, bottlenecks and typical weeks of a window.

    Gold of the last day is made if it is missing; of the days before, what is there is read.
    """

    window_days = luigi.IntParameter(
        default=0,
        positional=False,
        description="Number of days of gold; 0: the setting insight.window_days",
    )

    stage = "insight"

    def requires(self) -> Gold:
        """Gold of the last day of the window."""
        return Gold(self.date, dataset=self.dataset)

    def output(self) -> LedgerPartition:
        """The day's partition of `insight.<dataset>`, of the gold that there is now."""
        return self.given().output()

    @cached_property
    def plugin(self) -> Dataset:
        """The dataset. Raises `SettingsError` if it has no speed."""
        found = self.project.plugins.dataset(self.dataset)
        if SPEED not in found.measures:
            raise SettingsError(
                f"Insight computes from speeds, but the dataset {self.dataset} has "
                f"{', '.join(found.measures)} only"
            )
        return found

    def given(self) -> InsightPlan:
        """Which gold there is, and the settings."""
        days = self.window_days or self.project.settings.insight.window_days
        if days < 1:
            raise SettingsError(f"--window-days {days}: expected 1 or more")
        return InsightPlan(self.project, self.plugin.name, self.date, days)

    def work(self) -> str:
        """Look anew what is there, then compute from that."""
        ledger_view(self.project).forget()
        return self.make(self.given())

    def make(self, given: InsightPlan) -> str:  # noqa: D102
        from luigi_traffic.compute.insight.rows import InsightRows
        from luigi_traffic.compute.insight.speeds import Speeds
        from luigi_traffic.targets.chain import lineage
        from luigi_traffic.training.gold import read_gold
        from luigi_traffic.warehouse.binary import copy_batches
        from luigi_traffic.warehouse.commit import staging
        from luigi_traffic.warehouse.insight_table import insight_table
        from luigi_traffic.warehouse.ledger import LedgerRow
        from luigi_traffic.warehouse.partitions import Bounds

        made = given.partition_id
        if made is None:
            raise SourceAbsent(f"{self.label}: gold has no day from {given.days[0]} to {self.date}")
        started, warehouse = time.monotonic(), self.project.warehouse
        series = read_gold(
            warehouse, self.dataset, given.gold, [SPEED], given.days[0],
            self.date + timedelta(days=1), self.plugin.interval, SPEED,
        )  # fmt: skip
        speeds = Speeds.of(series, given.gold, self.plugin.measures[SPEED])
        roads = lineage(self.project, self.dataset)
        found = InsightRows(
            self.date, speeds, given.settings,
            roads.link_table or LinkTable(()), roads.graph or LinkGraph(()),
        )  # fmt: skip
        table = insight_table(self.dataset)
        with staging(warehouse, table, f"{self.date:%Y%m%d}") as attempt:
            with warehouse.connect() as connection:
                rows = copy_batches(
                    connection, attempt.name, table.columns, found.batches(table.columns)
                )
            row = LedgerRow(
                stage="insight",
                dataset=self.dataset,
                part=self.date.isoformat(),
                partition_id=made,
                recipe=given.recipe.as_dict(),
                inputs=given.inputs,
                rows=rows,
                checksum=attempt.checksum(),
                details={
                    "seconds": round(time.monotonic() - started, 3),
                    "unit": speeds.unit,
                    "interval_seconds": int(speeds.interval.total_seconds()),
                    "days": len(given.gold),
                },
            )
            won = attempt.commit(Bounds.day(self.date), row)
        said = f"{len(speeds.links):,} links, {len(given.gold)} days of gold"
        return said if won else "another runner committed it first"
