"""Locks that stop readers, taken without stopping readers for long.

Who waits for such a lock stops everyone who comes after, readers too. So we wait for moments
only: then those behind us go first, and we try again.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

import psycopg2.errors
from psycopg2.extensions import connection as Connection

from luigi_traffic.errors import StoreError

log = logging.getLogger(__name__)

LOCK_TIMEOUT_S = 2.0
PAUSE_S = 3.0
#: Longer than the ten minutes after which the server ends a forgotten transaction of the reader.
PATIENCE_S = 900.0


def between_readers(conn: Connection, table: str, action: Callable[[], None]) -> None:
    """Run `action` in the caller's transaction: it locks `table` (quoted for SQL) against readers.

    What `action` did is rolled back before each new try. Raises StoreError that names who
    uses the table if nobody lets us in for 15 minutes.
    """
    deadline = time.monotonic() + PATIENCE_S
    told = False
    with conn.cursor() as cursor:
        while True:
            cursor.execute("SAVEPOINT between_readers")
            cursor.execute(f"SET LOCAL lock_timeout = {LOCK_TIMEOUT_S * 1000:.0f}")
            try:
                action()
            except psycopg2.errors.LockNotAvailable as error:
                cursor.execute("ROLLBACK TO SAVEPOINT between_readers")
                users = _users(conn, table)
                if time.monotonic() > deadline:
                    raise StoreError(
                        f"{table} is in use for {PATIENCE_S / 60:.0f} minutes, so no partition of "
                        f"it can be replaced. End what uses it: {users}."
                    ) from error
                if not told:
                    log.warning("Waiting to replace a partition of %s, in use: %s", table, users)
                told = True
                time.sleep(PAUSE_S)
            else:
                cursor.execute("SET LOCAL lock_timeout TO DEFAULT")
                return


def _users(conn: Connection, table: str) -> str:
    """Who holds a lock on the table or on a partition of it, for people."""
    with conn.cursor() as cursor:
        cursor.execute(
            "SELECT DISTINCT a.pid, a.usename, a.application_name, a.xact_start"
            " FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid"
            " WHERE l.granted AND l.pid <> pg_backend_pid()"
            " AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())"
            " AND (l.relation = to_regclass(%(table)s) OR l.relation IN"
            "  (SELECT inhrelid FROM pg_inherits WHERE inhparent = to_regclass(%(table)s)))"
            " ORDER BY a.xact_start",
            {"table": table},
        )
        users = [
            f"process {pid} of {user} ({application or 'no name'}), since {since:%H:%M:%S}"
            if since
            else f"process {pid} of {user} ({application or 'no name'})"
            for pid, user, application, since in cursor.fetchall()
        ]
    return ", ".join(users) or "nobody by now"
