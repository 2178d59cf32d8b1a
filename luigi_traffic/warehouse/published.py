"""Which version's forecast of a day is published: `meta.published` and the view of it.

    forecast_versions.its   the forecasts of all versions, see `tables.forecast_table`
    forecast_live.its       what was forecast while the day went on, see `live`
    forecast.its            of each day those of the version that is published, the day's champion;
                            and all that was forecast while a day went on, kind "live"

`publish` belongs into the transaction that commits the forecast: readers of the view see the day of
the version before until that COMMIT.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import cast

from psycopg2.extensions import connection as Connection

from luigi_traffic.warehouse import locks
from luigi_traffic.warehouse.partitions import PartitionedTable
from luigi_traffic.warehouse.sql_names import literal, quote

#: Schema of what was forecast while a day went on, see `live`.
LIVE_SCHEMA = "forecast_live"


@dataclass(frozen=True)
class Published:
    """A day's published forecast, whose row of the ledger is live."""

    part: str
    partition_id: str
    #: When it was looked up who the champion is.
    champion_at: datetime
    #: Day → id of the gold that it was made from.
    gold: dict[str, str]


def ensure(conn: Connection, table: PartitionedTable, live: PartitionedTable | None = None) -> None:
    """Create the table of forecasts and its view, or add the columns that they lack.

    `live` has what was forecast while a day went on: once it is given, the view has its rows, too.
    Use a transaction of its own: others wait for its end.
    """
    table.ensure(conn)
    columns = list(table.existing_columns(conn).items())
    view = PartitionedTable("forecast", table.name, table.columns, table.key, table.by)
    if live is None:
        live = replace(table, schema=LIVE_SCHEMA)
    else:
        live.ensure(conn)
    of_live = live.existing_columns(conn)
    shown = view.existing_columns(conn)
    # A view's columns keep their order: new ones follow.
    wanted = shown | {
        name: kind for name, kind in [*columns, *of_live.items()] if name not in shown
    }
    if shown == wanted:
        return
    locks.lock_transaction(conn, f"table:{view.qualified}")
    locks.lock_transaction(conn, f"schema:{view.schema}")
    made = (
        f"CREATE OR REPLACE VIEW {view.qualified} AS {_select(dict(columns), wanted, table)}"
        f" JOIN meta.published p ON p.dataset = {literal(table.name)} AND p.part = f.part"
    )
    if of_live:
        made += f" UNION ALL {_select(of_live, wanted, live)}"
    with conn.cursor() as cursor:
        cursor.execute(f"CREATE SCHEMA IF NOT EXISTS {quote(view.schema)}")
        locks.between_readers(conn, view.qualified, lambda: cursor.execute(made))


def _select(there: dict[str, str], wanted: dict[str, str], table: PartitionedTable) -> str:
    """The wanted columns of a table, NULL for those that it lacks."""
    columns = ", ".join(
        f"f.{quote(name)}" if name in there else f"NULL::{kind} AS {quote(name)}"
        for name, kind in wanted.items()
    )
    return f"SELECT {columns} FROM {table.qualified} f"  # noqa: S608


def now(conn: Connection) -> datetime:
    """The server's time, by which the ledger says when a model was trained."""
    with conn.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        (found,) = cursor.fetchone() or (None,)
    return cast("datetime", found)


def publish(
    conn: Connection, dataset: str, target: str, day: date, part: str, champion_at: datetime
) -> None:
    """Let the view show that part of the day, in the caller's transaction.

    `target` is empty for the dataset's own; `champion_at` is `now` before it was looked up who the
    champion is. Of two that publish the same day the last one stands.
    """
    with conn.cursor() as cursor:
        cursor.execute(
            "INSERT INTO meta.published (dataset, target, day, part, champion_at)"
            " VALUES (%s, %s, %s, %s, %s) ON CONFLICT (dataset, target, day)"
            " DO UPDATE SET part = excluded.part, champion_at = excluded.champion_at",
            (dataset, target, day, part, champion_at),
        )


def published(
    conn: Connection, dataset: str, target: str, day: date | None = None
) -> dict[str, Published]:
    """Day → what is published of it, of all days or of one, in one query."""
    with conn.cursor() as cursor:
        cursor.execute(
            "SELECT p.day::text, p.part, l.partition_id, p.champion_at, l.inputs"
            " FROM meta.published p JOIN meta.ledger l ON l.stage = 'forecast'"
            "  AND l.dataset = p.dataset AND l.part = p.part AND l.superseded_at IS NULL"
            " WHERE p.dataset = %(dataset)s AND p.target = %(target)s"
            "  AND (%(day)s::date IS NULL OR p.day = %(day)s)",
            {"dataset": dataset, "target": target, "day": day},
        )
        found = cursor.fetchall()
    return {
        of: Published(part, partition_id, at, gold_of(inputs))
        for of, part, partition_id, at, inputs in found
    }


def parts(conn: Connection, dataset: str) -> set[str]:
    """All parts of a dataset that are published."""
    with conn.cursor() as cursor:
        cursor.execute("SELECT part FROM meta.published WHERE dataset = %s", (dataset,))
        return {part for (part,) in cursor.fetchall()}


def days_by_version(conn: Connection, dataset: str, target: str) -> dict[str, int]:
    """Version of the registered model → number of days whose published forecast is its own.

    Parts of an earlier version of this program do not name the version: the ledger has it.
    """
    with conn.cursor() as cursor:
        cursor.execute(
            "SELECT coalesce(substring(p.part FROM ':(\\d+)$'), m.version), count(*)"
            " FROM meta.published p JOIN meta.ledger l ON l.stage = 'forecast'"
            "  AND l.dataset = p.dataset AND l.part = p.part AND l.superseded_at IS NULL"
            " LEFT JOIN LATERAL (SELECT m.details->>'version' AS version"
            "  FROM jsonb_array_elements(l.inputs) i JOIN meta.ledger m"
            "  ON m.stage = 'model' AND m.partition_id = i->>'id' WHERE i->>'stage' = 'model'"
            "  ORDER BY m.seq DESC LIMIT 1) m ON true"
            " WHERE p.dataset = %s AND p.target = %s GROUP BY 1",
            (dataset, target),
        )
        return dict(cursor.fetchall())


def gold_of(inputs: list[dict[str, str]]) -> dict[str, str]:
    """Day → id of gold among the inputs of a ledger row, as JSON has them."""
    return {one["part"]: one["id"] for one in inputs if one["stage"] == "gold"}
