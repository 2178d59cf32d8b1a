"""The upper level of a table that is partitioned twice: a range for each day, then a value each.

    forecast_versions.its                 RANGE (issued_at)
      forecast_versions."its/2012-03-28"  a range: LIST (part)
        forecast_versions.its_20120328_…  a partition

A question by time opens the ranges that it asks for, and the partitions in them, however many other
days and values there are. No dataset can have the name of a range: names of datasets have no slash.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from psycopg2.extensions import connection as Connection

from luigi_traffic.api.columns import MAX_NAME
from luigi_traffic.warehouse import locks
from luigi_traffic.warehouse.sql_names import cut_to_fit, quote

if TYPE_CHECKING:
    from luigi_traffic.warehouse.partitions import PartitionedTable


def range_table(conn: Connection, table: PartitionedTable, bound: str, label: str) -> str:
    """The range with that bound (`FOR VALUES FROM …`, as the server prints it), quoted for SQL.

    If there is none, it is made in the caller's transaction, and `label` becomes part of its name.
    Others who want the same new range wait for the end of that transaction; readers do not.
    """
    found = attached(conn, table.qualified, bound)
    if not found:
        locks.lock_transaction(conn, f"range:{table.qualified}/{bound}")
        found = attached(conn, table.qualified, bound)
    return found[0] if found else _make(conn, table, bound, label)


def attached(conn: Connection, parent: str, bound: str) -> list[str]:
    """What is attached to a table with exactly that bound, whatever its name is; quoted for SQL."""
    with conn.cursor() as cursor:
        cursor.execute(
            "SELECT n.nspname, c.relname FROM pg_inherits i"
            " JOIN pg_class c ON c.oid = i.inhrelid"
            " JOIN pg_namespace n ON n.oid = c.relnamespace"
            " WHERE i.inhparent = to_regclass(%s) AND pg_get_expr(c.relpartbound, c.oid) = %s",
            (parent, bound),
        )
        return [f"{quote(schema)}.{quote(name)}" for schema, name in cursor.fetchall()]


def _make(conn: Connection, table: PartitionedTable, bound: str, label: str) -> str:
    name = f"{table.name}/{label}"
    if len(name.encode()) > MAX_NAME:
        name = cut_to_fit(name, f"/{hashlib.sha256(name.encode()).hexdigest()[:12]}")
    made = f"{quote(table.schema)}.{quote(name)}"
    columns = ", ".join(f"{quote(c)} {kind}" for c, kind in table.existing_columns(conn).items())
    by = f"LIST ({quote(str(table.then_by))})"
    with conn.cursor() as cursor:
        # Not CREATE … PARTITION OF: that would lock the table against readers.
        cursor.execute(f"CREATE TABLE {made} ({columns}) PARTITION BY {by}")
        cursor.execute(f"ALTER TABLE {table.qualified} ATTACH PARTITION {made} {bound}")
    return made
