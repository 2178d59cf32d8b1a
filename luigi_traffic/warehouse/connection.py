"""Transactions, locks and read-only queries on the warehouse."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import psycopg2
from psycopg2.extensions import connection as Connection
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_exponential

from luigi_traffic.errors import DataError, StoreError
from luigi_traffic.warehouse import advisory, schema
from luigi_traffic.warehouse.dsn import Dsn

log = logging.getLogger(__name__)

RETRY_CONNECT_S = 10.0
QUERY_TIMEOUT_S = 60
_LOCK_POLL_S = 0.5

# The user's text is opened as a cursor by the server: one statement that returns rows,
# or an error. Text sent as it is could end our READ ONLY transaction with its own COMMIT.
_OPEN_CURSOR = """
DO $$ DECLARE rows refcursor := 'luigi_traffic_rows'; BEGIN
    OPEN rows NO SCROLL FOR EXECUTE current_setting('luigi_traffic.query');
END $$"""


@dataclass
class _Process:
    """What belongs to one process: a connection must never be used on both sides of a fork."""

    pid: int = field(default_factory=os.getpid)
    guard: threading.Lock = field(default_factory=threading.Lock)
    connection: Connection | None = None
    busy: bool = False
    migrated: bool = False


class Warehouse:
    """A PostgreSQL database, opened when it is first used.

    `dsn` is called at first use in a process, and again when the server cannot be
    reached, so an embedded server that was killed comes back, on another port if need be.
    """

    def __init__(self, dsn: Callable[[], Dsn]) -> None:
        self._source = dsn
        self._dsn: Dsn | None = None
        self._unreachable = False
        self._process = _Process()

    def dsn(self) -> Dsn:
        """Where the database is; starts an embedded server."""
        if self._dsn is None:
            self._dsn = self._source()
        return self._dsn

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        """One transaction: committed at the end, rolled back on an error.

        Uses the process's one cached connection; inside another `connect()`, or beside
        one in another thread, a connection of its own, so transactions are never shared.
        The first use in a process migrates the database. Raises StoreError if the
        server cannot be reached for about 10 s, or is lost on the way.
        """
        if not self._here().migrated:
            self.migrate()
        with self._transaction() as conn:
            yield conn

    def migrate(self) -> None:
        """Create or update the warehouse's own tables; one query if they are up to date."""
        with self._transaction() as conn:
            for number in schema.migrate(conn):
                log.info("Warehouse %s: migration %d done.", self.dsn(), number)
        self._here().migrated = True

    def query(self, sql: str, limit: int | None) -> tuple[list[str], list[tuple[Any, ...]]]:
        """Column names and the first `limit` rows (all: None) of one statement that only reads.

        Raises DataError with the server's message if the statement is wrong, tries to
        write, or takes longer than a minute.
        """
        with self.connect() as conn:
            try:
                with conn.cursor() as cursor:
                    cursor.execute("SET TRANSACTION READ ONLY")
                    cursor.execute(
                        "SELECT set_config('statement_timeout', %s, true),"
                        " set_config('luigi_traffic.query', %s, true)",
                        (str(QUERY_TIMEOUT_S * 1000), sql),
                    )
                    cursor.execute(_OPEN_CURSOR)
                    count = "ALL" if limit is None else str(int(limit))
                    cursor.execute(f"FETCH {count} FROM luigi_traffic_rows")
                    names = [column.name for column in cursor.description or ()]
                    return names, cursor.fetchall()
            except psycopg2.Error as error:
                if conn.closed:
                    raise
                raise DataError(f"The query was refused: {server_message(error)}") from error

    @contextmanager
    def lock(self, name: str, on_wait: Callable[[], None] | None = None) -> Iterator[None]:
        """Hold the advisory lock `name`, on a connection of its own.

        `on_wait` is called once if somebody else holds it. The server releases the
        lock when this process dies. Raises StoreError if the server is lost.
        """
        conn = self._open()
        try:
            conn.autocommit = True
            try:
                waited = False
                # Polling, because Ctrl-C cannot interrupt psycopg2 in a blocking call.
                while not _try_lock(conn, name):
                    if on_wait is not None and not waited:
                        on_wait()
                    waited = True
                    time.sleep(_LOCK_POLL_S)
            except psycopg2.Error as error:
                raise self._lost(error) from error
            yield
        finally:
            conn.close()

    def close(self) -> None:
        """Close this process's cached connection; the next use opens another."""
        here = self._here()
        with here.guard:
            if here.connection is not None and not here.busy:
                here.connection.close()
                here.connection = None

    def _here(self) -> _Process:
        if self._process.pid != os.getpid():
            # Forgotten, not closed: closing would end the parent's session
            # (psycopg2 does not close a connection of another process by itself).
            self._process = _Process()
        return self._process

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        here = self._here()
        with here.guard:
            cached = not here.busy
            here.busy = True
        conn: Connection | None = None
        try:
            conn = self._cached(here) if cached else self._open()
            yield conn
            conn.commit()
        except BaseException as error:
            if conn is not None:
                # A failed rollback means that the connection is gone, and with it the transaction.
                with suppress(psycopg2.Error):
                    conn.rollback()
                if isinstance(error, psycopg2.Error) and conn.closed:
                    raise self._lost(error) from error
            raise
        finally:
            if cached:
                here.busy = False
            elif conn is not None:
                conn.close()

    def _cached(self, here: _Process) -> Connection:
        conn = here.connection
        if conn is not None and not conn.closed:
            try:
                with conn.cursor() as cursor:
                    cursor.execute("SELECT 1")
                conn.rollback()
                return conn
            except psycopg2.Error:
                conn.close()
        here.connection = self._open()
        return here.connection

    def _open(self) -> Connection:
        retry = Retrying(
            retry=retry_if_exception_type(psycopg2.OperationalError),
            stop=stop_after_delay(RETRY_CONNECT_S),
            wait=wait_exponential(multiplier=0.1, max=2),
            reraise=True,
        )
        try:
            return retry(self._open_once)
        except psycopg2.OperationalError as error:
            raise StoreError(
                f"No connection to the warehouse {self._dsn}: {str(error).strip()}. "
                "Is the server up, and are the settings `warehouse.*` right?"
            ) from error

    def _open_once(self) -> Connection:
        if self._unreachable:  # ask again: an embedded server may have to be started anew
            self._dsn = self._source()
        conn: Connection
        try:
            conn = psycopg2.connect(**self.dsn().kwargs())
        except psycopg2.OperationalError:
            self._unreachable = True
            raise
        self._unreachable = False
        return conn

    def _lost(self, error: psycopg2.Error) -> StoreError:
        return StoreError(
            f"The connection to the warehouse {self._dsn} was lost: {str(error).strip()}. "
            "Whether the last transaction was committed is known by reading the ledger."
        )


def server_message(error: psycopg2.Error) -> str:
    """What the server said, with its detail and hint, on one line."""
    diag = error.diag
    parts = [diag.message_primary or str(error).strip(), diag.message_detail, diag.message_hint]
    return " ".join(f"{part.rstrip('.')}." for part in parts if part)


def _try_lock(conn: Connection, name: str) -> bool:
    with conn.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", (advisory.key(name),))
        return cursor.fetchone() == (True,)
