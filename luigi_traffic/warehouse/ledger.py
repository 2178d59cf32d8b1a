"""The ledger: the manifest of warehouse partitions.

A row of `meta.ledger` is to the warehouse what a manifest object is to the lake: a
partition exists when it has a row that is not superseded. Rows are never deleted or
changed, but for `superseded_at` and `damage`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime
from typing import Any, cast

from psycopg2.extensions import connection as Connection
from psycopg2.extras import Json

from luigi_traffic.recipe import Input, canonical_json, short_hash
from luigi_traffic.warehouse import locks

_COLUMNS = (
    "stage, dataset, part, partition_id, recipe, inputs, rows, checksum, details, committed_at"
)


@dataclass(frozen=True)
class LedgerRow:
    """One committed partition.

    `part` is `2012-03-28` for gold, `2012-03-28/<model>:<version>` for forecasts,
    `2012-03-28/<measure>` for evaluations, the partition id for models. `recipe` and `details` must
    be JSON without NaN. `committed_at` is the server's.
    """

    stage: str
    dataset: str
    part: str
    partition_id: str
    recipe: Mapping[str, Any]
    inputs: Sequence[Input]
    rows: int
    checksum: str
    details: Mapping[str, Any]
    committed_at: datetime | None = None


def current(conn: Connection, stage: str, dataset: str) -> dict[str, LedgerRow]:
    """Part -> the row that is not superseded, ordered by part."""
    with conn.cursor() as cursor:
        cursor.execute(
            f"SELECT {_COLUMNS} FROM meta.ledger"  # noqa: S608 - our own column list
            " WHERE stage = %s AND dataset = %s AND superseded_at IS NULL ORDER BY part",
            (stage, dataset),
        )
        rows = [_row(values) for values in cursor.fetchall()]
    return {row.part: row for row in rows}


def every(conn: Connection, stage: str, dataset: str) -> list[LedgerRow]:
    """All rows of a stage, those that are superseded too, the oldest first."""
    with conn.cursor() as cursor:
        cursor.execute(
            f"SELECT {_COLUMNS} FROM meta.ledger"  # noqa: S608 - our own column list
            " WHERE stage = %s AND dataset = %s ORDER BY seq",
            (stage, dataset),
        )
        return [_row(values) for values in cursor.fetchall()]


def current_ids(conn: Connection, stage: str, dataset: str) -> dict[str, str]:
    """Part -> partition id of all live rows of a stage, in one query."""
    with conn.cursor() as cursor:
        cursor.execute(
            "SELECT part, partition_id FROM meta.ledger"
            " WHERE stage = %s AND dataset = %s AND superseded_at IS NULL ORDER BY part",
            (stage, dataset),
        )
        return dict(cursor.fetchall())


def datasets(conn: Connection) -> list[str]:
    """Names of all datasets that have, or had, a row."""
    with conn.cursor() as cursor:
        cursor.execute("SELECT DISTINCT dataset FROM meta.ledger ORDER BY 1")
        return [name for (name,) in cursor.fetchall()]


def commit_times(conn: Connection, stage: str, dataset: str) -> dict[str, datetime]:
    """Partition id -> when it was committed, of all live rows of a stage, in one query."""
    with conn.cursor() as cursor:
        cursor.execute(
            "SELECT partition_id, committed_at FROM meta.ledger"
            " WHERE stage = %s AND dataset = %s AND superseded_at IS NULL",
            (stage, dataset),
        )
        return dict(cursor.fetchall())


def training_days(conn: Connection, dataset: str, model: str, target: str) -> list[date]:
    """The last days of the windows of the models that are live, of that model plugin and target.

    Rows of earlier versions have the last day that has data instead, and no target but the speed.
    """
    with conn.cursor() as cursor:
        cursor.execute(
            "SELECT DISTINCT coalesce(recipe->'window'->>1, details->>'last_day')::date"
            " FROM meta.ledger WHERE stage = 'model' AND dataset = %s AND superseded_at IS NULL"
            " AND recipe->>'model' = %s AND coalesce(recipe->>'target', 'speed') = %s",
            (dataset, model, target),
        )
        return sorted(day for (day,) in cursor.fetchall())


def current_id(conn: Connection, stage: str, dataset: str, part: str) -> str | None:
    """The partition id of the live row of one part."""
    with conn.cursor() as cursor:
        cursor.execute(
            "SELECT partition_id FROM meta.ledger"
            " WHERE stage = %s AND dataset = %s AND part = %s AND superseded_at IS NULL",
            (stage, dataset, part),
        )
        found = cursor.fetchone()
    return found[0] if found else None


def live(conn: Connection, stage: str, dataset: str, part: str) -> LedgerRow | None:
    """The row of one part that is not superseded."""
    with conn.cursor() as cursor:
        cursor.execute(
            f"SELECT {_COLUMNS} FROM meta.ledger"  # noqa: S608 - our own column list
            " WHERE stage = %s AND dataset = %s AND part = %s AND superseded_at IS NULL",
            (stage, dataset, part),
        )
        values = cursor.fetchone()
    return _row(values) if values else None


def promised_rows(conn: Connection, stage: str, dataset: str) -> dict[str, tuple[str, int]]:
    """Part -> partition id and number of rows of all live rows of a stage, in one query."""
    with conn.cursor() as cursor:
        cursor.execute(
            "SELECT part, partition_id, rows FROM meta.ledger"
            " WHERE stage = %s AND dataset = %s AND superseded_at IS NULL",
            (stage, dataset),
        )
        return {part: (partition_id, rows) for part, partition_id, rows in cursor.fetchall()}


def void(
    conn: Connection,
    stage: str,
    dataset: str,
    part: str,
    reason: str,
    partition_id: str | None = None,
) -> bool:
    """Let the live row of a part count no more, so that the part is made anew; False if there is
    none (with that id, if one is given).

    In the caller's transaction. `reason` is kept in the row.
    """
    locks.lock_transaction(conn, f"ledger:{canonical_json((stage, dataset, part))}")
    with conn.cursor() as cursor:
        cursor.execute(
            "UPDATE meta.ledger SET superseded_at = clock_timestamp(), damage = %s"
            " WHERE stage = %s AND dataset = %s AND part = %s AND superseded_at IS NULL"
            " AND (%s::text IS NULL OR partition_id = %s)",
            (reason, stage, dataset, part, partition_id, partition_id),
        )
        return bool(cursor.rowcount)


def find(conn: Connection, partition_id: str) -> LedgerRow | None:
    """The row of a partition id, a live one before the latest superseded one."""
    with conn.cursor() as cursor:
        cursor.execute(
            f"SELECT {_COLUMNS} FROM meta.ledger WHERE partition_id = %s"  # noqa: S608
            " ORDER BY superseded_at IS NULL DESC, seq DESC LIMIT 1",
            (partition_id,),
        )
        values = cursor.fetchone()
    return _row(values) if values else None


def write(conn: Connection, row: LedgerRow) -> bool:
    """Supersede the live row of (stage, dataset, part) and insert this one.

    In the caller's transaction, which must be READ COMMITTED (the default). False, and
    nothing written, if this very partition id is live already: somebody else committed
    it. Writers of the same part wait for each other until their transactions end.
    """
    part = (row.stage, row.dataset, row.part)
    locks.lock_transaction(conn, f"ledger:{canonical_json(part)}")
    live = "stage = %s AND dataset = %s AND part = %s AND superseded_at IS NULL"
    with conn.cursor() as cursor:
        cursor.execute(f"SELECT partition_id FROM meta.ledger WHERE {live}", part)  # noqa: S608
        if cursor.fetchone() == (row.partition_id,):
            return False
        cursor.execute(
            f"UPDATE meta.ledger SET superseded_at = clock_timestamp() WHERE {live}",  # noqa: S608
            part,
        )
        cursor.execute(
            "INSERT INTO meta.ledger (stage, dataset, part, partition_id, recipe_hash,"
            " recipe, inputs, rows, checksum, details)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
            (
                *part,
                row.partition_id,
                short_hash(canonical_json(row.recipe)),
                _json(row.recipe),
                _json([asdict(one) for one in row.inputs]),
                row.rows,
                row.checksum,
                _json(row.details),
            ),
        )
    return True


def _row(values: tuple[Any, ...]) -> LedgerRow:
    """The row of what a query for `_COLUMNS` gave."""
    row = LedgerRow(*values)
    return replace(row, inputs=[Input(**cast("dict[str, str]", one)) for one in row.inputs])


def _json(value: Any) -> Json:
    def dumps(value: Any) -> str:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, default=str)

    return Json(value, dumps=dumps)
