"""What a live runner did at each of its times: `meta.ticks`, and the polls it has taken in."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import astuple, dataclass, fields
from datetime import date, datetime, timedelta
from typing import Protocol

from psycopg2.extensions import connection as Connection

DONE, NO_DATA, MISSED = "done", "no data", "missed"
UP, DOWN = "up", "down"
#: Of a runner that was off, no more of the times it missed are written down.
_LONGEST = timedelta(days=1)


@dataclass(frozen=True)
class Tick:
    """One row of `meta.ticks`; times by the clock of the runner, `newest` and `issued_at` as wall
    time of the dataset."""

    dataset: str
    target: str
    due_at: datetime
    outcome: str
    message: str | None = None
    polled_at: datetime | None = None
    rows_at: datetime | None = None
    forecast_at: datetime | None = None
    polls: int = 0
    rows: int = 0
    rejected: int = 0
    newest: datetime | None = None
    feed: str | None = None
    links: int | None = None
    silent: int | None = None
    issued_at: datetime | None = None
    version: int | None = None
    fallback: int | None = None
    announced: bool = False


class Poll(Protocol):
    """A poll that was typed."""

    @property
    def name(self) -> str:
        """Its own among those of its day."""

    @property
    def rows(self) -> int:
        """Good rows."""

    @property
    def rejected(self) -> int:
        """All others."""


_COLUMNS = [one.name for one in fields(Tick)]
_NAMES = ", ".join(_COLUMNS)


def write(conn: Connection, tick: Tick) -> None:
    """Write a tick down, over what is there of the same time."""
    changed = ", ".join(f"{name} = excluded.{name}" for name in _COLUMNS[3:])
    with conn.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO meta.ticks ({_NAMES}) VALUES ({', '.join(['%s'] * len(_COLUMNS))})"  # noqa: S608
            f" ON CONFLICT (dataset, target, due_at) DO UPDATE SET {changed}",
            astuple(tick),
        )


def newest(conn: Connection, dataset: str, target: str) -> Tick | None:
    """The last tick that was written down."""
    return next(iter(_read(conn, dataset, target, "true", "due_at DESC LIMIT 1")), None)


def last(conn: Connection, dataset: str) -> list[Tick]:
    """The last tick of each target of a dataset."""
    with conn.cursor() as cursor:
        cursor.execute(
            f"SELECT DISTINCT ON (target) {_NAMES} FROM meta.ticks WHERE dataset = %s"  # noqa: S608
            " ORDER BY target, due_at DESC",
            (dataset,),
        )
        return [Tick(*values) for values in cursor.fetchall()]


def newest_observation(conn: Connection, dataset: str) -> datetime | None:
    """Start of the newest interval that was observed of any link, by a runner for any target."""
    with conn.cursor() as cursor:
        cursor.execute(
            "SELECT newest FROM meta.ticks WHERE dataset = %s AND newest IS NOT NULL"
            " ORDER BY due_at DESC LIMIT 1",
            (dataset,),
        )
        row = cursor.fetchone()
        return row[0] if row else None


@dataclass(frozen=True)
class IssuedDay:
    """The live forecasts of a day: at how many of its intervals one was issued, and a hash of when
    and by whom."""

    intervals: int
    id: str


def issued_days(conn: Connection, dataset: str, target: str) -> dict[str, IssuedDay]:
    """Day → the live forecasts that were issued on it, of all days in one query.

    They are known longer than their rows are kept.
    """
    with conn.cursor() as cursor:
        cursor.execute(
            "SELECT issued_at::date::text, count(DISTINCT issued_at)::int,"
            " md5(string_agg(concat_ws(' ', issued_at, version, extract(epoch FROM forecast_at)),"
            "  ',' ORDER BY due_at))"
            " FROM meta.ticks WHERE dataset = %s AND target = %s AND issued_at IS NOT NULL"
            " GROUP BY 1",
            (dataset, target),
        )
        return {day: IssuedDay(intervals, made) for day, intervals, made in cursor.fetchall()}


def unannounced(conn: Connection, dataset: str, target: str) -> list[Tick]:
    """Ticks with data whose event is not known to be sent, the oldest first."""
    wanted = f"outcome = '{DONE}' AND NOT announced"
    return _read(conn, dataset, target, wanted, "due_at LIMIT 300")


def note_missed(
    conn: Connection, dataset: str, target: str, due_at: datetime, every: timedelta
) -> int:
    """Write down as missed each time between the last tick and `due_at`; how many there are."""
    last = newest(conn, dataset, target)
    if last is None:
        return 0
    first = max(last.due_at + every, due_at - _LONGEST)
    with conn.cursor() as cursor:
        cursor.execute(
            "INSERT INTO meta.ticks (dataset, target, due_at, outcome, message)"  # noqa: S608
            f" SELECT %s, %s, at, '{MISSED}', 'no runner was at work, or it was late'"
            " FROM generate_series(%s::timestamptz, %s::timestamptz, %s) at WHERE at < %s"
            " ON CONFLICT DO NOTHING",
            (dataset, target, first, due_at, every, due_at),
        )
        return cursor.rowcount


def taken(conn: Connection, dataset: str, day: date, recipe: str) -> set[str]:
    """Names of the polls of a day whose rows are in the live table, by that recipe."""
    with conn.cursor() as cursor:
        cursor.execute(
            "SELECT name FROM meta.live_polls WHERE dataset = %s AND day = %s AND recipe = %s",
            (dataset, day, recipe),
        )
        return {name for (name,) in cursor.fetchall()}


def other_recipe(conn: Connection, dataset: str, day: date, recipe: str) -> bool:
    """Whether a poll of that day was taken in by another recipe."""
    with conn.cursor() as cursor:
        cursor.execute(
            "SELECT EXISTS (SELECT FROM meta.live_polls"
            " WHERE dataset = %s AND day = %s AND recipe <> %s)",
            (dataset, day, recipe),
        )
        return cursor.fetchone() == (True,)


def take(conn: Connection, dataset: str, day: date, recipe: str, polls: Iterable[Poll]) -> None:
    """Note polls as taken in, in the transaction that has their rows."""
    with conn.cursor() as cursor:
        for poll in polls:
            cursor.execute(
                "INSERT INTO meta.live_polls (dataset, day, name, recipe, rows, rejected)"
                " VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT (dataset, day, name) DO UPDATE"
                " SET recipe = excluded.recipe, rows = excluded.rows,"
                " rejected = excluded.rejected, committed_at = clock_timestamp()",
                (dataset, day, poll.name, recipe, poll.rows, poll.rejected),
            )


def forget_polls(conn: Connection, dataset: str, day: date) -> None:
    """Of a day that has no live table any more."""
    with conn.cursor() as cursor:
        cursor.execute(
            "DELETE FROM meta.live_polls WHERE dataset = %s AND day = %s", (dataset, day)
        )


def _read(conn: Connection, dataset: str, target: str, wanted: str, order: str) -> list[Tick]:
    with conn.cursor() as cursor:
        cursor.execute(
            f"SELECT {_NAMES} FROM meta.ticks WHERE dataset = %s AND target = %s"  # noqa: S608
            f" AND {wanted} ORDER BY {order}",
            (dataset, target),
        )
        return [Tick(*values) for values in cursor.fetchall()]
