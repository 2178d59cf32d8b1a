"""Advisory locks of PostgreSQL by name."""

from __future__ import annotations

import hashlib

from psycopg2.extensions import connection as Connection


def key(name: str) -> int:
    """The signed 64-bit key that stands for `name`."""
    digest = hashlib.sha256(f"luigi_traffic:{name}".encode()).digest()
    return int.from_bytes(digest[:8], "big", signed=True)


def lock_transaction(conn: Connection, name: str) -> None:
    """Wait for the lock `name` and hold it until the transaction of `conn` ends."""
    with conn.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", (key(name),))
