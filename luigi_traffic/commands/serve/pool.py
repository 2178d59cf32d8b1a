"""Connections to the warehouse for many threads: read-only, few, and never waited for long."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import psycopg2
import psycopg2.errors
from psycopg2.extensions import connection as Connection

from luigi_traffic.commands.serve.problem import Problem
from luigi_traffic.errors import SettingsError, TrafficError
from luigi_traffic.warehouse import connect
from luigi_traffic.warehouse.dsn import Dsn
from luigi_traffic.warehouse.limits import milliseconds
from luigi_traffic.warehouse.server_errors import server_message

logger = logging.getLogger("luigi_traffic")

#: After a failed attempt nobody tries again for this long: many clients must not add to the load.
_PAUSE_S = 1.0
_MAY_WRITE = "SELECT has_table_privilege('meta.ledger', 'INSERT, UPDATE, DELETE')"
_ABSENT = (
    psycopg2.errors.UndefinedTable, psycopg2.errors.InvalidSchemaName,
    psycopg2.errors.UndefinedColumn,
)  # fmt: skip


class Pool:
    """At most `size` connections; every statement is a read-only transaction of its own.

    `dsn` is asked again when the server cannot be reached: an embedded one is started by that.
    """

    def __init__(self, dsn: Callable[[], Dsn], size: int, timeout_s: float) -> None:
        self._source, self._timeout_s = dsn, timeout_s
        self._turns = threading.BoundedSemaphore(size)
        self._guard = threading.Lock()
        self._asking = threading.Lock()
        self._idle: list[Connection] = []
        self._dsn: Dsn | None = None
        self._down_until = 0.0
        self._down = False

    def rows(
        self, statement: str, parameters: Sequence[Any] | Mapping[str, Any] = ()
    ) -> list[tuple[Any, ...]]:
        """The rows of one statement.

        Raises `Problem`: 503 if the warehouse does not answer, or not in time; 404 if a table is
        gone; 422 if it refuses a value. Raises `SettingsError` if our role may write.
        """
        if not self._turns.acquire(timeout=self._timeout_s):
            raise Problem(503, "The server is busy: try again.", 1)
        try:
            while True:
                conn, kept = self._taken()
                try:
                    with conn.cursor() as cursor:
                        cursor.execute(statement, parameters)
                        found = cursor.fetchall()
                except psycopg2.Error as error:
                    if conn.closed or isinstance(error, psycopg2.InterfaceError):
                        self.close()  # the others are of the same server
                        if kept:
                            continue
                        raise self._unreachable(error) from error
                    self._give_back(conn)
                    raise self._refused(error) from error
                except BaseException:
                    conn.close()
                    raise
                self._give_back(conn)
                return found
        finally:
            self._turns.release()

    def close(self) -> None:
        """Close the connections that nobody uses."""
        with self._guard:
            idle, self._idle = self._idle, []
        for conn in idle:
            with suppress(psycopg2.Error):
                conn.close()

    def _taken(self) -> tuple[Connection, bool]:
        """A connection, and whether it has been used before."""
        with self._guard:
            if self._idle:
                return self._idle.pop(), True
        return self._opened(), False

    def _give_back(self, conn: Connection) -> None:
        with self._guard:
            self._idle.append(conn)

    def _opened(self) -> Connection:
        if time.monotonic() < self._down_until:
            raise _no_answer()
        try:
            if self._dsn is None:
                with self._asking:
                    self._dsn = self._source()
            try:
                conn = connect.connect(self._dsn)
            except (psycopg2.OperationalError, SettingsError):
                # Perhaps an embedded server that was stopped, or has another port now.
                if not self._asking.acquire(blocking=False):
                    raise
                try:
                    self._dsn = self._source()
                finally:
                    self._asking.release()
                conn = connect.connect(self._dsn)
            self._prepare(conn)
        except (psycopg2.Error, TrafficError) as error:
            if isinstance(error, MayWriteError):
                raise
            raise self._unreachable(error) from error
        if self._down:
            logger.info("serve: the warehouse answers again")
            self._down = False
        return conn

    def _prepare(self, conn: Connection) -> None:
        conn.set_session(readonly=True, autocommit=True)
        with conn.cursor() as cursor:
            cursor.execute(_MAY_WRITE)
            if cursor.fetchone() == (True,):
                user = conn.info.user
                conn.close()
                raise MayWriteError(
                    f"serve reads as a role that may do nothing else, but {user} may write. Set "
                    "warehouse.user to luigi_traffic_reader, and its password (docs/stack.md)"
                )
            cursor.execute("SET statement_timeout = %s", (milliseconds(self._timeout_s),))

    def _unreachable(self, error: Exception) -> Problem:
        self._down_until = time.monotonic() + _PAUSE_S
        if not self._down:
            said = " ".join(str(error).split())
            logger.error("serve: the warehouse does not answer: %s", said)
            self._down = True
        return _no_answer()

    def _refused(self, error: psycopg2.Error) -> Problem | psycopg2.Error:
        if isinstance(error, psycopg2.errors.QueryCanceled):
            return Problem(
                503,
                f"The warehouse took longer than {self._timeout_s:g} s for this: ask for less, or "
                "try again.",
                1,
            )
        if isinstance(error, _ABSENT):
            return Problem(404, f"The warehouse does not have this: {server_message(error)}")
        if isinstance(error, psycopg2.DataError):
            return Problem(422, f"The warehouse refused a value: {server_message(error)}")
        if isinstance(error, psycopg2.errors.InsufficientPrivilege | psycopg2.OperationalError):
            logger.error("serve: the warehouse refused: %s", server_message(error))
            return Problem(503, "The warehouse refused to answer: its log and ours say why.", 5)
        return error


class MayWriteError(SettingsError):
    """The role that serve was given is not one that may only read."""


def _no_answer() -> Problem:
    return Problem(503, "The warehouse does not answer. It is tried again with each request.", 1)
