"""Stage, fill, commit: how gold and forecasts get into the warehouse."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from luigi_traffic.errors import DataError
from luigi_traffic.warehouse.ledger import LedgerRow
from luigi_traffic.warehouse.partitions import Bounds, PartitionedTable

if TYPE_CHECKING:
    from luigi_traffic.warehouse.connection import Warehouse


def _nothing() -> None:
    """No crash point."""


def content_checksum(connection: Any, table: str) -> str:
    """Over the rows of a table, whatever their order: count and sum of 64-bit row hashes."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT count(*), coalesce(sum(hashtextextended(t::text, 0)), 0) FROM {table} t"  # noqa: S608
        )
        rows, total = cursor.fetchone()
    return f"{rows}:{total}"


def commit_staged(
    warehouse: Warehouse,
    table: PartitionedTable,
    *,
    label: str,
    bounds: Bounds,
    fill: Callable[[str], int],
    row: Callable[[str], LedgerRow],
    staged: Callable[[], None] = _nothing,
    attached: Callable[[], None] = _nothing,
) -> bool:
    """Fill a standalone table, then attach it and write its ledger row in one transaction.

    `fill(name)` loads the table and tells how many rows it sent; `row(checksum)` is the ledger
    row. False where another runner had committed that partition id. Whatever fails leaves no
    table behind, but for a crash: `luigi-traffic gc` finds what that leaves.
    Raises `DataError` where rows were lost or repeated on the way.
    """
    with warehouse.connect() as connection:
        table.ensure(connection)
        name = table.stage(connection, label)
    try:
        sent = fill(name)
        with warehouse.connect() as connection:
            entry = row(content_checksum(connection, name))
        if sent != entry.rows:
            raise DataError(f"{table.name} {label}: {entry.rows:,} rows expected, {sent:,} loaded")
        staged()
        with warehouse.connect() as connection:
            won = table.commit(connection, name, bounds, entry, before_commit=attached)
            if not won:
                connection.rollback()
    except BaseException:
        with warehouse.connect() as connection:
            table.discard(connection, name)
        raise
    if not won:
        with warehouse.connect() as connection:
            table.discard(connection, name)
    return won
