"""A session that holds a lock, and shows that its process still runs.

The server frees the locks of a process that died. One that is stopped keeps its connection, and
would keep its locks for ever: so it has to speak up now and then, or the server ends its session.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg2
from psycopg2.extensions import connection as Connection

from luigi_traffic.warehouse.limits import limits_of, milliseconds

log = logging.getLogger(__name__)

#: Signs of life in one lease.
_SIGNS = 5
_JOIN_S = 5.0


def begin(conn: Connection) -> None:
    """From now on the server ends this session if it says nothing for `lease_s`. Autocommit."""
    conn.autocommit = True
    with conn.cursor() as cursor:
        cursor.execute(f"SET idle_session_timeout = {milliseconds(limits_of(conn).lease_s)}")


@contextmanager
def signs_of_life(conn: Connection, name: str) -> Iterator[None]:
    """Give them, from a thread, while the block runs: the lock `name` is held on `conn`.

    A lock that is lost on the way is reported and no error: it saves work, and what makes the
    result right is the commit.
    """
    done = threading.Event()

    def speak() -> None:
        while not done.wait(limits_of(conn).lease_s / _SIGNS):
            try:
                with conn.cursor() as cursor:
                    cursor.execute("SELECT 1")
            except psycopg2.Error as error:
                log.warning(
                    "The lock %s was lost: %s. Another runner may do the same work now; one of "
                    "the two will commit it.", name, " ".join(str(error).split()),
                )  # fmt: skip
                return

    thread = threading.Thread(target=speak, name=f"lock {name}", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join(_JOIN_S)
        if not thread.is_alive():  # else it waits for a server that hangs; closing would, too
            conn.close()
