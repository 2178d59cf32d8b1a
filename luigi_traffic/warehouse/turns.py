"""Locks that stop readers, taken without stopping readers for long.

Who waits for such a lock stops everyone who comes after, readers too. So we wait for moments
only: then those behind us go first, and we try again. And who has it and then does nothing, as a
process that is stopped, loses it.
"""

from __future__ import annotations

from collections.abc import Callable

from psycopg2.extensions import connection as Connection

from luigi_traffic.warehouse.limits import limits_of, milliseconds
from luigi_traffic.warehouse.patience import LOCK_TIMEOUT_S, described, patiently

__all__ = ["LOCK_TIMEOUT_S", "PAUSE_S", "between_readers"]

PAUSE_S = 3.0


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
