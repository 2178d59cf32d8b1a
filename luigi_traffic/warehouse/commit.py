"""Stage, fill, commit: how gold, forecasts and evaluations get into the warehouse.

    with staging(warehouse, gold_table(dataset, columns), "20120328") as attempt:
        ...                                   fill the table `attempt.name`, by any connections
        won = attempt.commit(Bounds.day(day), LedgerRow(..., checksum=attempt.checksum(), ...))

Nobody sees the rows before the commit. What the block leaves without a commit is removed; what a
crash leaves, `luigi-traffic gc` finds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from luigi_traffic.warehouse.content import Content
from luigi_traffic.warehouse.ledger import LedgerRow
from luigi_traffic.warehouse.partitions import Bounds, PartitionedTable

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection

    from luigi_traffic.warehouse.connection import Warehouse


@dataclass
class StagedTable:
    """A table of one attempt; `name` is quoted for SQL."""

    warehouse: Warehouse
    table: PartitionedTable
    name: str
    committed: bool = False
    content: Content | None = None

    def checksum(self) -> str:
        """Of what it holds, for the ledger row. Call it when all rows are there."""
        with self.warehouse.connect() as connection:
            self.content = self.table.measure(connection, self.name)
        return self.content.checksum

    def commit(
        self,
        bounds: Bounds,
        row: LedgerRow,
        before_commit: Callable[[Connection], None] = lambda _: None,
    ) -> bool:
        """Make it the partition of `bounds` and write `row`, in one transaction.

        `before_commit` is called with the transaction when all is done but the COMMIT. False if
        another runner had committed that partition id. Raises `DataError` if rows were lost or
        repeated on the way, are duplicate, or lie outside of `bounds`.
        """
        with self.warehouse.connect() as connection:
            won = self.table.commit(
                connection, self.name, bounds, row, lambda: before_commit(connection), self.content
            )
            if not won:
                connection.rollback()
        self.committed = won
        return won


@contextmanager
def staging(warehouse: Warehouse, table: PartitionedTable, label: str) -> Iterator[StagedTable]:
    """An empty table with the columns of `table`; `label` becomes part of its name."""
    with warehouse.connect() as connection:
        table.ensure(connection)
        name = table.stage(connection, label)
    attempt = StagedTable(warehouse, table, name)
    try:
        yield attempt
    finally:
        if not attempt.committed:
            with warehouse.connect() as connection:
                table.discard(connection, name)
