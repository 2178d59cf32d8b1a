"""Locks of PostgreSQL: advisory ones by name, and those of tables, which stop readers.

Who waits for a lock that stops readers stops everyone who comes after, readers too. So we wait for
moments only: then those behind us go first, and we try again. And who has it and then does nothing,
as a process that is stopped, loses it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from psycopg2.extensions import connection as Connection

from luigi_traffic.warehouse.limits import limits_of, milliseconds
from luigi_traffic.warehouse.patience import described, patiently

PAUSE_S = 3.0


def key(name: str) -> int:
    """The signed 64-bit key that stands for `name`."""
    digest = hashlib.sha256(f"luigi_traffic:{name}".encode()).digest()
    return int.from_bytes(digest[:8], "big", signed=True)


def lock_transaction(conn: Connection, name: str) -> None:
    """Wait for the lock `name` and hold it until the transaction of `conn` ends.

    Raises StoreError that names who holds it after `warehouse.patience_hours`.
    """

    def take() -> None:
        with conn.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", (key(name),))

    patiently(
        conn,
        take,
        what=f"The lock {name!r}",
        holders=lambda: holders(conn, name),
        pause_s=0,
    )


def holders(conn: Connection, name: str) -> str:
    """Who holds the lock `name`, for people."""
    unsigned = key(name) % 2**64
    return described(
        conn,
        "l.locktype = 'advisory' AND l.classid::bigint = %(high)s"
        " AND l.objid::bigint = %(low)s AND l.objsubid = 1",
        {"high": unsigned >> 32, "low": unsigned % 2**32},
    )


def between_readers(conn: Connection, table: str, action: Callable[[], None]) -> None:
    """Run `action` in the caller's transaction: it locks `table` (quoted for SQL) against readers.

    What `action` did is rolled back before each new try. Raises StoreError that names who uses
    the table if nobody lets us in for `warehouse.patience_hours`. From here on the server ends the
    transaction if it does nothing for `warehouse.idle_commit_seconds`.
    """

    def act() -> None:
        action()
        limits = limits_of(conn)
        idle = milliseconds(min(limits.idle_commit_s, limits.idle_transaction_s))
        with conn.cursor() as cursor:
            cursor.execute(f"SET LOCAL idle_in_transaction_session_timeout = {idle}")

    patiently(
        conn,
        act,
        what=f"Replacing a partition of {table}",
        holders=lambda: _users(conn, table),
        pause_s=PAUSE_S,
    )


def _users(conn: Connection, table: str) -> str:
    """Who holds a lock on the table or on a partition of it, for people."""
    return described(
        conn,
        "l.relation = to_regclass(%(table)s) OR l.relation IN"
        " (SELECT inhrelid FROM pg_inherits WHERE inhparent = to_regclass(%(table)s))",
        {"table": table},
    )
