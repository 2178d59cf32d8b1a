"""gold: the training table in PostgreSQL, with the speeds of neighbouring links."""

from __future__ import annotations

from typing import TYPE_CHECKING

from luigi_traffic.crashpoints import CrashPoint, crash_point
from luigi_traffic.targets.stage_input import StageInput
from luigi_traffic.targets.warehouse import GoldPartition
from luigi_traffic.tasks.base import DayStage
from luigi_traffic.tasks.silver import Silver

if TYPE_CHECKING:
    from luigi_traffic.compute.engine import Engine


class Gold(DayStage):
    """Load one day of silver, with its neighbour features, as a partition of gold."""

    stage = "gold"
    computes = True

    def requires(self) -> Silver:
        """The silver partition."""
        return Silver(self.date, dataset=self.dataset)

    def output(self) -> GoldPartition:
        """The day's partition of `gold.<dataset>`."""
        return GoldPartition(self.project, self.dataset, self.date)

    def make(self, given: StageInput) -> str:  # noqa: D102
        with self.engine.in_force():
            return self._made(given, self.engine)

    def _made(self, given: StageInput, engine: Engine) -> str:
        from luigi_traffic.api.columns import NEIGHBOURS
        from luigi_traffic.compute.neighbours import NeighbourMeans, without_neighbours
        from luigi_traffic.warehouse.commit import staging
        from luigi_traffic.warehouse.ledger import LedgerRow
        from luigi_traffic.warehouse.partitions import Bounds
        from luigi_traffic.warehouse.tables import gold_table

        self.tell("loading")
        silver = given.upstream
        self.rows = silver.rows_out
        rows = engine.read(self.project.store, silver.files, silver.schema)
        graph, names = given.graph, [column["name"] for column in silver.schema]
        means = NeighbourMeans(graph.hops, given.dataset.target) if graph else None
        if means is None:
            rows = without_neighbours(rows)
        table = gold_table(given.dataset.name, [*names, *NEIGHBOURS])
        with staging(self.project.warehouse, table, f"{given.day:%Y%m%d}") as attempt:
            dsn = self.project.warehouse.dsn()
            engine.load(rows, dsn, attempt.name, table.columns, means)
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
                before_commit=lambda _: crash_point(CrashPoint.GOLD_ATTACHED),
            )
        crash_point(CrashPoint.GOLD_COMMITTED)
        return f"{silver.rows_out:,} rows" if won else "another runner committed it first"
