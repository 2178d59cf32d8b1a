"""Waiting for a lock that others hold: in short turns, not for ever, and saying who holds it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

import psycopg2.errors
from psycopg2.extensions import connection as Connection
from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

from luigi_traffic.errors import StoreError
from luigi_traffic.warehouse.limits import limits_of, milliseconds

log = logging.getLogger(__name__)

#: One try. Short, because Ctrl-C cannot interrupt psycopg2 in a blocking call.
LOCK_TIMEOUT_S = 2.0
TELL_EVERY_S = 60.0


def patiently(
    conn: Connection,
    action: Callable[[], None],
    *,
    what: str,
    holders: Callable[[], str],
    pause_s: float,
) -> None:
    """Run `action` in the caller's transaction, until it gets the locks that it needs.

    What it did is rolled back before each new try, `pause_s` seconds after the last one. `what` is
    told with `holders()`, those who hold the lock, at once and then every minute. Raises
    StoreError with both after `patience_s` of the connection's limits.
    """
    patience_s = limits_of(conn).patience_s
    began = time.monotonic()
    told = began - TELL_EVERY_S

    def attempt() -> None:
        with conn.cursor() as cursor:
            cursor.execute("SAVEPOINT patience")
            cursor.execute(f"SET LOCAL lock_timeout = {milliseconds(LOCK_TIMEOUT_S)}")
            try:
                action()
            except psycopg2.errors.LockNotAvailable:
                cursor.execute("ROLLBACK TO SAVEPOINT patience")
                raise
            cursor.execute("SET LOCAL lock_timeout TO DEFAULT")
            cursor.execute("RELEASE SAVEPOINT patience")

    def tell(_: RetryCallState) -> None:
        nonlocal told
        now = time.monotonic()
        if now - told >= TELL_EVERY_S:
            told = now
            log.warning("%s: waiting for %.0f s, in use: %s", what, now - began, holders())

    retry = Retrying(
        retry=retry_if_exception_type(psycopg2.errors.LockNotAvailable),
        stop=stop_after_delay(patience_s),
        wait=wait_fixed(pause_s),
        sleep=time.sleep,
        before_sleep=tell,
        reraise=True,
    )
    try:
        retry(attempt)
    except psycopg2.errors.LockNotAvailable as error:
        raise StoreError(
            f"{what}: given up after {_shown(time.monotonic() - began)} "
            f"(warehouse.patience_hours), in use: {holders()}. End the processes that use it, "
            "then run again."
        ) from error


def _shown(seconds: float) -> str:
    return f"{seconds / 3600:.1f} h" if seconds >= 3600 else f"{seconds:.0f} s"


def described(conn: Connection, locks: str, parameters: dict[str, object]) -> str:
    """The sessions, but for this one, that hold the locks of `pg_locks l` which `locks` selects."""
    with conn.cursor() as cursor:
        cursor.execute(
            "SELECT DISTINCT a.pid, a.usename, a.application_name, a.state,"  # noqa: S608 - ours
            " coalesce(a.xact_start, a.backend_start) AS since"
            " FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid"
            " WHERE l.granted AND l.pid <> pg_backend_pid()"
            " AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())"
            f" AND ({locks}) ORDER BY since",
            parameters,
        )
        users = [
            f"process {pid} of {user} ({application or 'no name'}), {state or 'state unknown'}"
            + (f", since {since:%H:%M:%S}" if since else "")
            for pid, user, application, state, since in cursor.fetchall()
        ]
    return "; ".join(users) or "nobody any more"
