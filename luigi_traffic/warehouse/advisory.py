"""Advisory locks of PostgreSQL by name."""

from __future__ import annotations

import hashlib

from psycopg2.extensions import connection as Connection

from luigi_traffic.warehouse.patience import described, patiently


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
