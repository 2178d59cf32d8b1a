"""Transactions, locks and read-only queries on the warehouse."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import psycopg2
import psycopg2.errors
from psycopg2.extensions import connection as Connection
from tenacity import RetryCallState

from luigi_traffic.errors import DataError, SettingsError, StoreError
from luigi_traffic.warehouse import connect, lease, schema
from luigi_traffic.warehouse.dsn import Dsn
from luigi_traffic.warehouse.limits import limits_of
from luigi_traffic.warehouse.patience import described
from luigi_traffic.warehouse.server_errors import server_message, translated

log = logging.getLogger(__name__)

#: How long a server that does not answer is waited for: one that this process has never reached,
#: and one that it has (so a run outlives a restart of the server, and a command ends soon).
RETRY_CONNECT_S = 10.0
RETRY_AGAIN_S = 90.0
QUERY_TIMEOUT_S = 60
_DENIED = (psycopg2.errors.InsufficientPrivilege, psycopg2.errors.ReadOnlySqlTransaction)

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
    #: A session that held a lock, for the next one. The server ends it after a lease without use.
    lock_session: Connection | None = None
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
        self._reached = False
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
        The first use in a process migrates the database. Raises StoreError if the server
        cannot be reached for about 10 s (90 s if this process had reached it before), or is
        lost on the way; SettingsError if it does not let us in, or not migrate. What the server
        refuses in the transaction is a StoreError, SettingsError or DataError: `server_errors`.
        """
        if not self._here().migrated:
            self.migrate()
        with self._transaction() as conn:
            yield conn

    def migrate(self) -> None:
        """Create or update the warehouse's own tables; one query if they are up to date.

        Raises SettingsError if they are not and our role may only read.
        """
        try:
            with self._transaction() as conn:
                for number in schema.migrate(conn):
                    log.info("Warehouse %s: migration %d done.", self.dsn(), number)
        except SettingsError as error:
            denied = error.__cause__
            if not isinstance(denied, _DENIED):
                raise
            raise SettingsError(
                f"The tables of the warehouse {self.dsn()} are missing or of an older version, "
                f"but {self.dsn().user} may not change that: {server_message(denied)} First run "
                "any command as the writer (warehouse.user luigi_traffic_writer)."
            ) from denied
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
    def lock(
        self,
        name: str,
        on_wait: Callable[[], None] | None = None,
        patience_s: float | None = None,
    ) -> Iterator[bool]:
        """Hold the advisory lock `name`, on a connection of its own; True if we have it.

        `on_wait` is called once if somebody else holds it, who is named in the log, then and now
        and then. False, and without the lock, after `patience_s` (None: wait on). The server
        frees it if its holder dies, is stopped for `warehouse.lease_seconds`, or if it dies
        itself: the lock saves work, what makes it right is the commit. Raises StoreError if the
        server cannot be reached, as `connect`.
        """
        try:
            with lease.hold(
                self._lock_session, self._keep_lock_session, name, on_wait, patience_s
            ) as held:
                yield held
        except psycopg2.Error as error:
            self._raise_translated(error)
            raise

    def close(self) -> None:
        """Close this process's cached connections; the next use opens others."""
        here = self._here()
        with here.guard:
            if here.lock_session is not None:
                here.lock_session.close()
                here.lock_session = None
            if here.connection is not None and not here.busy:
                here.connection.close()
                here.connection = None

    def _lock_session(self) -> Connection:
        here = self._here()
        with here.guard:
            kept, here.lock_session = here.lock_session, None
        return kept or self._open()

    def _keep_lock_session(self, conn: Connection) -> None:
        here = self._here()
        with here.guard:
            if here.lock_session is None:
                here.lock_session = conn
                return
        conn.close()

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
                if isinstance(error, psycopg2.Error):
                    if conn.closed:
                        raise self._lost(error) from error
                    if isinstance(error, psycopg2.errors.LockNotAvailable):
                        raise self._kept_out(conn, error) from error
                    self._raise_translated(error)
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
        patience = RETRY_AGAIN_S if self._reached else RETRY_CONNECT_S
        retrying = connect.retrying(patience)
        retrying.before_sleep = self._tell_waiting
        try:
            return retrying(self._open_once)
        except psycopg2.OperationalError as error:
            raise StoreError(
                f"No connection to the warehouse {self._dsn} within {patience:.0f} s: "
                f"{str(error).strip()}. Is the server up, and are the settings `warehouse.*` right?"
            ) from error

    def _open_once(self) -> Connection:
        fresh = self._unreachable or self._dsn is None
        if self._unreachable:  # ask again: an embedded server may have to be started anew
            self._dsn = self._source()
        try:
            conn = connect.connect(self.dsn())
        except psycopg2.OperationalError:
            self._unreachable = True
            raise
        except SettingsError:
            if fresh:
                raise
            # Maybe somebody else's server now, where our embedded one was before.
            self._dsn = self._source()
            conn = connect.connect(self._dsn)
        self._unreachable, self._reached = False, True
        return conn

    def _tell_waiting(self, state: RetryCallState) -> None:
        if state.attempt_number == 3:  # one that starts up is not worth a word
            error = state.outcome.exception() if state.outcome else None
            log.warning("Waiting for the warehouse %s: %s", self._dsn, str(error).strip())

    def _raise_translated(self, error: psycopg2.Error) -> None:
        if ours := translated(error, self._dsn):
            raise ours from error

    def _kept_out(self, conn: Connection, error: psycopg2.Error) -> StoreError:
        seconds = limits_of(conn).lock_wait_s
        older = "a.xact_start < now() - %(seconds)s * interval '1 second'"
        who = described(conn, older, {"seconds": seconds})
        with suppress(psycopg2.Error):
            conn.rollback()
        return StoreError(
            f"The warehouse {self._dsn}: {server_message(error)} Other sessions have held the "
            f"lock for longer than {seconds:.0f} s (warehouse.lock_wait_seconds). Transactions of "
            f"that age: {who}. End those that block it, then run again."
        )

    def _lost(self, error: psycopg2.Error) -> StoreError:
        # The server says why to a client that is gone, or stopped: libpq cannot pass it on.
        limits = self.dsn().limits
        return StoreError(
            f"The connection to the warehouse {self._dsn} was lost: "
            f"{' '.join(str(error).split())} It is unknown whether the last transaction was "
            "committed; the next run finds out from the ledger: run again. If the server was up, "
            "this process was idle in a transaction, because it was stopped or its machine "
            "slept, for longer than warehouse.idle_transaction_seconds "
            f"({limits.idle_transaction_s:g}), or warehouse.idle_commit_seconds "
            f"({limits.idle_commit_s:g}) while it kept readers out."
        )
