"""The upper level of a table that is partitioned twice: a branch for each value of a column.

    forecast.its                LIST (model)
      forecast."its/convlstm"   a branch: RANGE (issued_at)
        forecast.its_20120328_… a partition

A question by time is answered by a few partitions of each branch, and a new value is a new branch.
No dataset can have the name of a branch: names of datasets have no slash.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from psycopg2.extensions import connection as Connection

from luigi_traffic.api.columns import MAX_NAME
from luigi_traffic.warehouse import locks
from luigi_traffic.warehouse.sql_names import cut_to_fit, literal, quote

if TYPE_CHECKING:
    from luigi_traffic.warehouse.partitions import PartitionedTable


def branch(conn: Connection, table: PartitionedTable, value: str) -> str:
    """The branch for `value`, quoted for SQL; made in the caller's transaction if there is none.

    Others who want the same new branch wait for the end of that transaction; readers do not.
    """
    found = _find(conn, table, value)
    if found is None:
        locks.lock_transaction(conn, f"branch:{table.qualified}/{value}")
        found = _find(conn, table, value)
    return found or _make(conn, table, value)


def _find(conn: Connection, table: PartitionedTable, value: str) -> str | None:
    """By its bound, whatever its name is."""
    with conn.cursor() as cursor:
        cursor.execute(
            "SELECT n.nspname, c.relname FROM pg_inherits i"
            " JOIN pg_class c ON c.oid = i.inhrelid"
            " JOIN pg_namespace n ON n.oid = c.relnamespace"
            " WHERE i.inhparent = to_regclass(%s) AND pg_get_expr(c.relpartbound, c.oid) = %s",
            (table.qualified, _bound(value)),
        )
        row = cursor.fetchone()
    return f"{quote(row[0])}.{quote(row[1])}" if row else None


def _make(conn: Connection, table: PartitionedTable, value: str) -> str:
    name = f"{table.name}/{value}"
    if len(name.encode()) > MAX_NAME:
        name = cut_to_fit(name, f"/{hashlib.sha256(name.encode()).hexdigest()[:12]}")
    made = f"{quote(table.schema)}.{quote(name)}"
    columns = ", ".join(f"{quote(c)} {kind}" for c, kind in table.existing_columns(conn).items())
    with conn.cursor() as cursor:
        # Not CREATE … PARTITION OF: that would lock the table against readers.
        cursor.execute(f"CREATE TABLE {made} ({columns}) PARTITION BY RANGE ({quote(table.by)})")
        cursor.execute(f"ALTER TABLE {table.qualified} ATTACH PARTITION {made} {_bound(value)}")
    return made


def _bound(value: str) -> str:
    return f"FOR VALUES IN ({literal(value)})"
