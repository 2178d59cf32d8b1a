"""A session that holds a lock, and shows that its process still runs.

The server frees the locks of a process that died. One that is stopped keeps its connection, and
would keep its locks for ever: so it has to speak up now and then, or the server ends its session.
A session serves one lock after the other: to open one takes the server longer than a small lock.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg2
from psycopg2.extensions import connection as Connection

from luigi_traffic.warehouse import locks
from luigi_traffic.warehouse.limits import limits_of, milliseconds
from luigi_traffic.warehouse.patience import TELL_EVERY_S

log = logging.getLogger(__name__)

_POLL_S = 0.5
#: Signs of life in one lease.
_SIGNS = 5
_JOIN_S = 5.0


@contextmanager
def hold(
    connect: Callable[[], Connection],
    keep: Callable[[Connection], None],
    name: str,
    on_wait: Callable[[], None] | None,
    patience_s: float | None,
) -> Iterator[bool]:
    """Hold the advisory lock `name` on a connection of its own; True if we have it.

    `connect` gives a connection that nobody uses, maybe one that `keep` has got: that is one whose
    lock was freed. Waits as `Warehouse.lock` says. Raises what `connect` raises.
    """
    conn = connect()
    began = time.monotonic()
    told: float | None = None
    held: bool | None = None
    try:
        # Polling, because Ctrl-C cannot interrupt psycopg2 in a blocking call.
        while not held:
            held = _try(conn, name)
            if held is None:  # the server went away
                conn = connect()
            if held is not False:
                continue
            now = time.monotonic()
            if told is None and on_wait is not None:
                on_wait()
            if told is None or now - told >= TELL_EVERY_S:
                told = now
                log.info("%s: held by %s; waiting", name, _holders(conn, name))
            if patience_s is not None and now - began >= patience_s:
                log.error(
                    "%s: held by %s for too long, now %.1f h: no longer waiting for it",
                    name, _holders(conn, name), (now - began) / 3600,
                )  # fmt: skip
                break
            time.sleep(_POLL_S)
    except BaseException:
        conn.close()
        raise
    if held:
        with _signs_of_life(conn, keep, name):
            yield True
    else:
        conn.close()
        yield False


def _try(conn: Connection, name: str) -> bool | None:
    """Whether we hold it now; None with `conn` closed where the server went away."""
    if conn.closed:
        return None
    try:
        if not conn.autocommit:
            conn.autocommit = True
            with conn.cursor() as cursor:
                lease_ms = milliseconds(limits_of(conn).lease_s)
                cursor.execute(f"SET idle_session_timeout = {lease_ms}")
        with conn.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_lock(%s)", (locks.key(name),))
            return cursor.fetchone() == (True,)
    except psycopg2.OperationalError:
        if conn.closed:
            return None
        raise


def _holders(conn: Connection, name: str) -> str:
    try:
        return locks.holders(conn, name)
    except psycopg2.OperationalError:
        if conn.closed:  # `_try` notices
            return "a session that cannot be asked for: the server went away"
        raise


@contextmanager
def _signs_of_life(
    conn: Connection, keep: Callable[[Connection], None], name: str
) -> Iterator[None]:
    """Give them, from a thread, while the block runs: the lock `name` is held on `conn`.

    A lock that is lost on the way is reported and no error: it saves work, and what makes the
    result right is the commit.
    """
    done, freed = threading.Event(), threading.Event()

    def speak() -> None:
        try:
            with conn.cursor() as cursor:
                while not done.wait(limits_of(conn).lease_s / _SIGNS):
                    cursor.execute("SELECT 1")
                # Here, because psycopg2 has no limit for a server that hangs.
                cursor.execute("SELECT pg_advisory_unlock(%s)", (locks.key(name),))
                if cursor.fetchone() == (True,):
                    freed.set()
        except psycopg2.Error as error:
            log.warning(
                "The lock %s was lost: %s. Another runner may do the same work now; one of "
                "the two will commit it.", name, " ".join(str(error).split()),
            )  # fmt: skip

    thread = threading.Thread(target=speak, name=f"lock {name}", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join(_JOIN_S)
        if freed.is_set():
            keep(conn)
        elif not thread.is_alive():  # else it waits for a server that hangs; closing would, too
            conn.close()
