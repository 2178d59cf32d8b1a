"""Every try of a stage, in `meta.attempts`: when, where, how it ended, and what it said.

An attempt is written down when its work begins and again when it ends. Of one whose process was
killed nothing says the end: it is lost once nobody holds its lock.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from psycopg2.extensions import connection as Connection

from luigi_traffic.warehouse import locks

DONE, FAILED, STOPPED, LOST, RUNNING = "done", "failed", "stopped", "lost", "running"
OUTCOMES = (DONE, FAILED, STOPPED, LOST, RUNNING)
#: What is said of one that has no end.
SILENT = (
    "its process ended without a word: it was killed, the machine went down, or the stage took "
    "longer than pipeline.stage_timeout_hours (the log of the run says that)"
)
#: A message may hold the rows that were rejected.
_LONGEST = 4_000

# The lock of a session is one bigint in two halves.
_OUTCOME = """
coalesce(a.outcome, CASE WHEN EXISTS (
    SELECT FROM pg_locks l WHERE l.locktype = 'advisory' AND l.objsubid = 1
    AND (l.classid::bigint << 32 | l.objid::bigint) = a.lock_key) THEN 'running' ELSE 'lost' END)
"""
_COLUMNS = (
    "a.id, a.task_id, a.stage, a.dataset, a.part, a.host, a.pid, a.began_at, a.ended_at,"
    f" {_OUTCOME} AS outcome, a.message, a.rows"
)


@dataclass(frozen=True)
class Work:
    """What is tried: `part` is the day, of a model the last day of its window."""

    task_id: str
    stage: str
    dataset: str
    part: str
    lock_name: str


@dataclass(frozen=True)
class Attempt:
    """One row."""

    id: int
    task_id: str
    stage: str
    dataset: str
    part: str
    host: str
    pid: int
    began_at: datetime
    ended_at: datetime | None
    outcome: str
    """One of `OUTCOMES`."""
    message: str | None
    rows: int | None

    @property
    def seconds(self) -> float | None:
        """How long it took; None if nobody knows when it ended."""
        return (self.ended_at - self.began_at).total_seconds() if self.ended_at else None

    @property
    def said(self) -> str:
        """How it ended, in a sentence for people."""
        when = f"{self.began_at:%Y-%m-%d %H:%M} UTC"
        if self.outcome == RUNNING:
            return f"at work since {when} on {self.host}"
        why = self.message or SILENT
        return f"{self.outcome} at {when}: {why}" if self.outcome != DONE else f"done at {when}"


def begin(conn: Connection, work: Work) -> int:
    """Write down that the work begins, by this process, which holds its lock; the attempt's id.

    What an earlier holder of the lock left without an end is lost.
    """
    key = locks.key(work.lock_name)
    with conn.cursor() as cursor:
        _let_go(conn)
        cursor.execute(
            "UPDATE meta.attempts SET outcome = %s, ended_at = clock_timestamp(), message = %s"
            " WHERE lock_key = %s AND outcome IS NULL",
            (LOST, SILENT, key),
        )
        cursor.execute(
            "INSERT INTO meta.attempts (task_id, stage, dataset, part, lock_key, host, pid)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s) RETURNING id",
            (
                work.task_id, work.stage, work.dataset, work.part, key, socket.gethostname(),
                os.getpid(),
            ),
        )  # fmt: skip
        row = cursor.fetchone()
    assert row
    return int(row[0])


def end(conn: Connection, attempt: int, outcome: str, message: str, rows: int | None) -> None:
    """Write down how it ended."""
    with conn.cursor() as cursor:
        _let_go(conn)
        cursor.execute(
            "UPDATE meta.attempts SET outcome = %s, ended_at = clock_timestamp(), message = %s,"
            " rows = %s WHERE id = %s",
            (outcome, message.replace("\0", "")[:_LONGEST], rows, attempt),
        )


def last(conn: Connection, dataset: str, days: Sequence[date]) -> dict[tuple[str, str], Attempt]:
    """(stage, part) → its newest attempt, of those days, in one query."""
    if not days:
        return {}
    with conn.cursor() as cursor:
        cursor.execute(
            f"SELECT DISTINCT ON (a.stage, a.part) {_COLUMNS} FROM meta.attempts a"  # noqa: S608
            " WHERE a.dataset = %s AND a.part BETWEEN %s AND %s"
            " ORDER BY a.stage, a.part, a.id DESC",
            (dataset, min(days).isoformat(), max(days).isoformat()),
        )
        found = [Attempt(*values) for values in cursor.fetchall()]
    return {(one.stage, one.part): one for one in found}


def find(
    conn: Connection,
    dataset: str | None,
    stage: str | None,
    first: date | None,
    last: date | None,
    outcomes: Sequence[str],
    limit: int,
) -> list[Attempt]:
    """Attempts that fit, the newest first; None: any."""
    with conn.cursor() as cursor:
        cursor.execute(
            f"SELECT * FROM (SELECT {_COLUMNS} FROM meta.attempts a"  # noqa: S608
            " WHERE (a.dataset = %(dataset)s OR %(dataset)s IS NULL)"
            " AND (a.stage = %(stage)s OR %(stage)s IS NULL)"
            " AND (a.part >= %(first)s OR %(first)s IS NULL)"
            " AND (a.part <= %(last)s OR %(last)s IS NULL)) q"
            " WHERE outcome = ANY(%(outcomes)s) ORDER BY id DESC LIMIT %(limit)s",
            {
                "dataset": dataset, "stage": stage, "first": first and first.isoformat(),
                "last": last and last.isoformat(), "outcomes": list(outcomes), "limit": limit,
            },
        )  # fmt: skip
        return [Attempt(*values) for values in cursor.fetchall()]


def _let_go(conn: Connection) -> None:
    """Do not wait for the disk: a server that crashes may forget the last attempts."""
    with conn.cursor() as cursor:
        cursor.execute("SET LOCAL synchronous_commit = off")
