"""`links.<dataset>`: what is known of the links of the roads, by versions.

A version is all links that were imported for the days from one date on. It is valid until the day
before the next version begins, or still. So the links of an observation are found by

    JOIN links.its l ON l.link_id = g.link_id AND g.timestamp >= l.valid_from
        AND (l.valid_to IS NULL OR g.timestamp < l.valid_to)

A version is replaced as a whole in one transaction. Readers see the old rows until its COMMIT, and
are never kept waiting: rows are deleted and inserted, no table takes the place of another.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from psycopg2.extensions import connection as Connection

from luigi_traffic.errors import DataError
from luigi_traffic.warehouse import locks
from luigi_traffic.warehouse.binary import copy_batches
from luigi_traffic.warehouse.content import Content
from luigi_traffic.warehouse.partitions import Column
from luigi_traffic.warehouse.sql_names import quote

if TYPE_CHECKING:
    import pyarrow as pa

#: What is known of a link; all but the first may be NULL. `docs/links.md` defines the columns.
FACTS = (
    Column("link_id", "text"),
    Column("name", "text"),
    Column("length_m", "double precision"),
    Column("speed_limit", "double precision"),
    Column("road_class", "text"),
    Column("lanes", "smallint"),
    Column("start_node", "text"),
    Column("end_node", "text"),
    Column("geometry", "bytea"),
)
#: The columns of the table.
COLUMNS = (FACTS[0], Column("valid_from", "date"), Column("valid_to", "date"), *FACTS[1:])
#: What an import brings: the facts, and the number of the row in its source, for messages.
IMPORTED = (Column("row", "integer"), *FACTS)
#: Links of gold are those of the newest days of gold: a scan of all days would take minutes.
GOLD_DAYS = 7

_FACTS = ", ".join(quote(column.name) for column in FACTS)
_ROWS = "link_rows"


@dataclass(frozen=True)
class LinkVersion:
    """What `meta.link_versions` says of a version.

    valid_to       the first day on which it is no longer valid; None: it still is
    with_geometry  how many of its links have a geometry
    """

    valid_from: date
    valid_to: date | None
    source: str
    links: int
    with_geometry: int
    imported_at: datetime


@dataclass(frozen=True)
class LinkImport:
    """What an import did: how many links the version has, how many were left out because gold does
    not have them, and whether anything was changed."""

    links: int
    left_out: int
    changed: bool


def link_table(dataset: str) -> str:
    """The name of the table, quoted for SQL."""
    return f"links.{quote(dataset)}"


def replace_version(
    conn: Connection,
    dataset: str,
    valid_from: date,
    source: str,
    batches: Iterable[pa.RecordBatch],
    *,
    only_known: bool = False,
) -> LinkImport:
    """Make `batches`, with the columns `IMPORTED`, the version of that date.

    In the caller's transaction: before its COMMIT nobody sees anything of it. The version before
    then ends on that date; the new one ends where the next one begins. The same rows again change
    nothing. Two who import into a dataset wait for each other once their rows are here. With
    `only_known`, links that gold does not have are left out.

    Raises `DataError` for a link that comes twice, for no links at all, if gold is asked for and
    has no day; and what `batches` raises.
    """
    with conn.cursor() as cursor:
        columns = ", ".join(f"{quote(column.name)} {column.type}" for column in IMPORTED)
        # Unseen by others, written without a log, gone with the transaction.
        cursor.execute(f"CREATE TEMP TABLE {_ROWS} ({columns}) ON COMMIT DROP")
        copy_batches(conn, _ROWS, IMPORTED, batches)
        _expect_once(cursor, source)
        left_out = _leave_out_unknown(cursor, dataset) if only_known else 0
        content = Content.measure(conn, f"(SELECT {_FACTS} FROM {_ROWS})")  # noqa: S608
        if not content.rows:
            found = f"none of its {left_out:,} links is in gold" if left_out else "it has no links"
            raise DataError(f"{source}: {found}, so nothing was imported.")
        locks.lock_transaction(conn, f"links:{dataset}")
        cursor.execute(
            "SELECT checksum FROM meta.link_versions WHERE dataset = %s AND valid_from = %s",
            (dataset, valid_from),
        )
        if cursor.fetchone() == (content.checksum,):
            return LinkImport(content.rows, left_out, False)
        _put(cursor, dataset, valid_from)
        cursor.execute(
            "INSERT INTO meta.link_versions"  # noqa: S608
            " (dataset, valid_from, source, links, with_geometry, checksum)"
            f" SELECT %s, %s, %s, count(*), count(geometry), %s FROM {_ROWS}"
            " ON CONFLICT (dataset, valid_from) DO UPDATE SET source = excluded.source,"
            " links = excluded.links, with_geometry = excluded.with_geometry,"
            " checksum = excluded.checksum, imported_at = excluded.imported_at",
            (dataset, valid_from, source, content.checksum),
        )
    return LinkImport(content.rows, left_out, True)


def versions(conn: Connection, dataset: str) -> list[LinkVersion]:
    """The versions of a dataset, the oldest first."""
    with conn.cursor() as cursor:
        cursor.execute(
            "SELECT valid_from, lead(valid_from) OVER (ORDER BY valid_from), source, links,"
            " with_geometry, imported_at FROM meta.link_versions WHERE dataset = %s"
            " ORDER BY valid_from",
            (dataset,),
        )
        return [LinkVersion(*row) for row in cursor.fetchall()]


def known_links(conn: Connection, dataset: str) -> str | None:
    """SQL of the links that gold has on its newest `GOLD_DAYS` days; None: gold has no day."""
    with conn.cursor() as cursor:
        cursor.execute(
            "SELECT min(part) FROM (SELECT part FROM meta.ledger WHERE stage = 'gold'"
            " AND dataset = %s AND superseded_at IS NULL ORDER BY part DESC LIMIT %s) newest",
            (dataset, GOLD_DAYS),
        )
        (first,) = cursor.fetchone() or (None,)
    if first is None:
        return None
    return (
        f"SELECT DISTINCT link_id FROM gold.{quote(dataset)}"  # noqa: S608
        f" WHERE \"timestamp\" >= '{date.fromisoformat(first)}'"
    )


def _put(cursor: Any, dataset: str, valid_from: date) -> None:
    table = link_table(dataset)
    cursor.execute(
        "SELECT min(valid_from) FILTER (WHERE valid_from > %(date)s),"
        " max(valid_from) FILTER (WHERE valid_from < %(date)s)"
        " FROM meta.link_versions WHERE dataset = %(dataset)s",
        {"date": valid_from, "dataset": dataset},
    )
    following, before = cursor.fetchone()
    columns = ", ".join(f"{quote(column.name)} {column.type}" for column in COLUMNS)
    cursor.execute(
        f"CREATE TABLE IF NOT EXISTS {table} ({columns}, PRIMARY KEY (link_id, valid_from))"
    )
    cursor.execute(f"DELETE FROM {table} WHERE valid_from = %s", (valid_from,))  # noqa: S608
    cursor.execute(
        f"INSERT INTO {table} ({_FACTS}, valid_from, valid_to)"  # noqa: S608
        f" SELECT {_FACTS}, %s, %s FROM {_ROWS} ORDER BY link_id",
        (valid_from, following),
    )
    cursor.execute(
        f"UPDATE {table} SET valid_to = %(date)s"  # noqa: S608
        " WHERE valid_from = %(before)s AND valid_to IS DISTINCT FROM %(date)s",
        {"date": valid_from, "before": before},
    )


def _expect_once(cursor: Any, source: str) -> None:
    cursor.execute(
        f"SELECT link_id, (array_agg(row ORDER BY row))[:2] FROM {_ROWS}"  # noqa: S608
        " GROUP BY link_id HAVING count(*) > 1 ORDER BY min(row) LIMIT 1"
    )
    if found := cursor.fetchone():
        link, (first, second) = found
        raise DataError(
            f"{source}: rows {first:,} and {second:,} are of the same link {link!r}. Give each "
            "link once, and two versions of it in two files with a --valid-from of their own."
        )


def _leave_out_unknown(cursor: Any, dataset: str) -> int:
    known = known_links(cursor.connection, dataset)
    if known is None:
        raise DataError(
            f"gold has no day of {dataset}, so its links are not known: run the pipeline for a day "
            "first, or leave out --only-known."
        )
    cursor.execute(
        f"DELETE FROM {_ROWS} r WHERE NOT EXISTS"  # noqa: S608
        f" (SELECT FROM ({known}) k WHERE k.link_id = r.link_id)"
    )
    return int(cursor.rowcount)
