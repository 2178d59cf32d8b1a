"""gold: the training table in PostgreSQL, with the speeds of neighbouring links."""

from __future__ import annotations

from luigi_traffic.crashpoints import CrashPoint, crash_point
from luigi_traffic.targets.stage_input import StageInput
from luigi_traffic.targets.warehouse import GoldPartition
from luigi_traffic.tasks.base import DayStage
from luigi_traffic.tasks.silver import Silver


class Gold(DayStage):
    """Load one day of silver, with its neighbour features, as a partition of gold."""

    stage = "gold"

    def requires(self) -> Silver:
        """The silver partition."""
        return Silver(self.date, dataset=self.dataset)

    def output(self) -> GoldPartition:
        """The day's partition of `gold.<dataset>`."""
        return GoldPartition(self.project, self.dataset, self.date)

    def make(self, given: StageInput) -> str:  # noqa: D102
        from luigi_traffic.spark.load import copy_to
        from luigi_traffic.spark.neighbours import with_neighbours
        from luigi_traffic.spark.schemas import read_partition
        from luigi_traffic.spark.session import session
        from luigi_traffic.warehouse.commit import staging
        from luigi_traffic.warehouse.ledger import LedgerRow
        from luigi_traffic.warehouse.partitions import Bounds
        from luigi_traffic.warehouse.tables import gold_table

        self.tell("joining neighbours, loading")
        silver = given.upstream
        rows = read_partition(session(), self.project.store, silver)
        frame = with_neighbours(session(), rows, given.graph, given.dataset.target)
        table = gold_table(given.dataset.name, frame.columns)
        with staging(self.project.warehouse, table, f"{given.day:%Y%m%d}") as attempt:
            copy_to(frame, self.project.warehouse.dsn(), attempt.name, table.columns)
            row = LedgerRow(
                stage="gold",
                dataset=given.dataset.name,
                part=given.day.isoformat(),
                partition_id=given.partition_id,
                recipe=given.recipe.as_dict(),
                inputs=given.inputs,
                rows=silver.rows_out,
                checksum=attempt.checksum(),
                details={"seconds": given.seconds},
            )
            crash_point(CrashPoint.GOLD_STAGED)
            won = attempt.commit(
                Bounds.day(given.day),
                row,
                before_commit=lambda: crash_point(CrashPoint.GOLD_ATTACHED),
            )
        crash_point(CrashPoint.GOLD_COMMITTED)
        return f"{silver.rows_out:,} rows" if won else "another runner committed it first"
