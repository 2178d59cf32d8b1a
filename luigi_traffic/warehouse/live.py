"""The present in the warehouse: observations and forecasts of days that are not over.

    live.its           rows of silver, one a link and interval, of days that have no gold yet
    forecast_live.its  what was forecast while the day went on; `forecast.its` shows it, kind "live"

Unlike partitions, their rows come and change one tick at a time. Each day is a table of its own, so
that a day goes in a moment.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

from psycopg2.extensions import connection as Connection

from luigi_traffic.warehouse import locks
from luigi_traffic.warehouse.binary import copy_in
from luigi_traffic.warehouse.partitions import Column, PartitionedTable
from luigi_traffic.warehouse.published import LIVE_SCHEMA
from luigi_traffic.warehouse.ranges import attached
from luigi_traffic.warehouse.sql_names import cut_to_fit, literal, quote
from luigi_traffic.warehouse.tables import forecast_table, gold_table

if TYPE_CHECKING:
    import pyarrow as pa

_ROWS, _KEY = "live_rows", ("timestamp", "link_id")


def live_table(dataset: str, columns: Sequence[str]) -> PartitionedTable:
    """`live.<dataset>`: the columns of silver, and when a row first came.

    arrived_at  when its interval was first reported for the link, by the clock of the runner
    """
    table = gold_table(dataset, columns)
    arrived = Column("arrived_at", "timestamp with time zone")
    return replace(table, schema="live", columns=(*table.columns, arrived))


def live_forecast_table(dataset: str, target: str) -> PartitionedTable:
    """`forecast_live.<dataset>`: the columns of `forecast_table`, and what a forecast rests on.

    part         "2012-03-28/<model>:7/live"
    age_seconds  age of the newest observation of the link when it was issued; NULL: none in the
                 model's window
    fallback     whether it is the link's profile of the week, because too little was observed
    """
    table = forecast_table(dataset, target)
    added = (
        Column("age_seconds", "integer"),
        Column("fallback", "boolean"),
    )
    return replace(
        table, schema=LIVE_SCHEMA, columns=(*table.columns, *added), then_by=None,
        key=("issued_at", "part", "step", "link_id"), narrow=(),
    )  # fmt: skip


def open_day(conn: Connection, table: PartitionedTable, day: date) -> str:
    """The table of a day, made if it is missing, quoted for SQL.

    Use a transaction of its own: others wait for its end.
    """
    table.ensure(conn)
    if found := _day_tables(conn, table, day):
        return found[0]
    locks.lock_transaction(conn, f"table:{table.qualified}")
    if found := _day_tables(conn, table, day):
        return found[0]
    made = f"{quote(table.schema)}.{quote(cut_to_fit(table.name, f'/{day.isoformat()}'))}"
    columns = ", ".join(f"{quote(c)} {kind}" for c, kind in table.existing_columns(conn).items())
    key = ", ".join(quote(name) for name in table.key)
    with conn.cursor() as cursor:
        # Not CREATE … PARTITION OF: that would lock the table against readers.
        cursor.execute(f"CREATE TABLE {made} ({columns}, PRIMARY KEY ({key}))")
        cursor.execute(f"ALTER TABLE {table.qualified} ATTACH PARTITION {made} {_bound(day)}")
    return made


def days(conn: Connection, table: PartitionedTable) -> list[date]:
    """The days that have a table, the oldest first."""
    with conn.cursor() as cursor:
        cursor.execute(
            "SELECT substring(pg_get_expr(c.relpartbound, c.oid) FROM '\\d{4}-\\d\\d-\\d\\d')::date"
            " FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid"
            " WHERE i.inhparent = to_regclass(%s) ORDER BY 1",
            (table.qualified,),
        )
        return [day for (day,) in cursor.fetchall()]


def drop_day(conn: Connection, table: PartitionedTable, day: date) -> None:
    """Remove a day's table, in the caller's transaction."""
    for found in _day_tables(conn, table, day):
        drop = f"DROP TABLE {found}"

        def act(drop: str = drop) -> None:
            with conn.cursor() as cursor:
                cursor.execute(drop)

        locks.between_readers(conn, table.qualified, act)


def upsert(
    conn: Connection, table: PartitionedTable, day: date, rows: pa.Table, arrived_at: datetime
) -> int:
    """Put rows of a day into the live table; how many are new or changed.

    A row that is there already keeps the time at which it came.
    """
    day_table = open_day(conn, table, day)
    columns = [column for column in table.columns if column.name in rows.column_names]
    names = ", ".join(quote(column.name) for column in columns)
    values = [quote(column.name) for column in columns if column.name not in _KEY]
    kinds = ", ".join(f"{quote(column.name)} {column.type}" for column in columns)
    with conn.cursor() as cursor:
        cursor.execute(f"CREATE TEMP TABLE {_ROWS} ({kinds}) ON COMMIT DROP")
        copy_in(conn, _ROWS, columns, rows)
        cursor.execute(
            f"INSERT INTO {day_table} AS old ({names}, arrived_at)"  # noqa: S608
            f" SELECT {names}, %s FROM {_ROWS}"
            f" ON CONFLICT ({', '.join(map(quote, _KEY))}) DO UPDATE"
            f" SET {', '.join(f'{name} = excluded.{name}' for name in values)}"
            f" WHERE ({', '.join(f'old.{name}' for name in values)})"
            f" IS DISTINCT FROM ({', '.join(f'excluded.{name}' for name in values)})",
            (arrived_at,),
        )
        return cursor.rowcount


def replace_forecast(
    conn: Connection,
    table: PartitionedTable,
    target: str,
    rows: pa.Table,
    issued_at: datetime,
    kept_steps: Sequence[int],
) -> None:
    """Put what was issued at that time in the place of what was issued at it before.

    Of what was issued in the hour before, only `kept_steps` stay; all, if there are none.
    """
    day_table = open_day(conn, table, issued_at.date())
    columns = [column for column in table.columns if column.name in rows.column_names]
    ours = f"{quote(target)} IS NOT NULL"
    with conn.cursor() as cursor:
        cursor.execute(
            f"DELETE FROM {day_table} WHERE issued_at = %s AND {ours}",  # noqa: S608
            (issued_at,),
        )
        copy_in(conn, day_table, columns, rows)
        if kept_steps:
            cursor.execute(
                f"DELETE FROM {table.qualified} WHERE issued_at < %s AND issued_at >= %s"  # noqa: S608
                f" AND NOT step = ANY(%s) AND {ours}",
                (issued_at, issued_at - timedelta(hours=1), list(kept_steps)),
            )


def differences(
    conn: Connection, dataset: str, columns: Sequence[str], day: date
) -> tuple[int, int]:
    """Rows of a day in `live` that gold lacks, and the other way round, by all `columns`."""
    names = ", ".join(quote(name) for name in columns)
    of_day = f"WHERE \"timestamp\" >= '{day}' AND \"timestamp\" < '{day + timedelta(days=1)}'"
    live, gold = (
        f"SELECT {names} FROM {schema}.{quote(dataset)} {of_day}"  # noqa: S608
        for schema in ("live", "gold")
    )
    with conn.cursor() as cursor:
        cursor.execute(
            f"SELECT (SELECT count(*) FROM ({live} EXCEPT {gold}) a),"  # noqa: S608
            f" (SELECT count(*) FROM ({gold} EXCEPT {live}) b)"
        )
        ours, theirs = cursor.fetchone() or (0, 0)
    return ours, theirs


def _day_tables(conn: Connection, table: PartitionedTable, day: date) -> list[str]:
    return attached(conn, table.qualified, _bound(day))


def _bound(day: date) -> str:
    """As the server prints it, for `attached`."""
    low, high = (f"{day + timedelta(days=n)} 00:00:00" for n in (0, 1))
    return f"FOR VALUES FROM ({literal(low)}) TO ({literal(high)})"
