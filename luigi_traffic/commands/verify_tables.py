"""The tables of the warehouse against the ledger: numbers of rows, and their hashes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from luigi_traffic.warehouse.content import checksum, kind_of, row_hash
from luigi_traffic.warehouse.ledger import LedgerRow
from luigi_traffic.warehouse.sql_names import quote

if TYPE_CHECKING:
    from luigi_traffic.warehouse.connection import Warehouse

#: What names the part of a row, and the schema, by the stage.
_PART = {
    "gold": '"timestamp"::date::text', "forecast": "part",
    "evaluation": "day::text || '/' || target", "insight": "day::text",
}  # fmt: skip
SCHEMA = {
    "gold": "gold", "forecast": "forecast_versions", "evaluation": "evaluation",
    "insight": "insight",
}  # fmt: skip


def table_damage(
    warehouse: Warehouse, stage: str, dataset: str, live: Mapping[str, LedgerRow], deep: bool
) -> dict[str, list[str]]:
    """Part → what is wrong with it, of the parts that are damaged."""
    if not live:
        return {}
    with warehouse.connect() as connection:
        columns = _columns(connection, stage, dataset)
        if not columns:
            return {part: ["its table is missing"] for part in live}
        there = _counts(connection, stage, dataset)
        damage = {
            part: [f"{there.get(part, 0):,} rows of the {row.rows:,} that were committed"]
            for part, row in live.items()
            if there.get(part, 0) != row.rows
        }
        if deep:
            left = {part: row for part, row in live.items() if part not in damage and row.rows}
            for part in _altered(connection, stage, dataset, columns, left):
                damage[part] = ["its rows differ from those that were committed"]
    return damage


def _table(stage: str, dataset: str) -> str:
    return f"{quote(SCHEMA[stage])}.{quote(dataset)}"


def _columns(connection: Any, stage: str, dataset: str) -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT attname FROM pg_attribute WHERE attrelid = to_regclass(%s)"
            " AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
            (_table(stage, dataset),),
        )
        return [name for (name,) in cursor.fetchall()]


def _counts(connection: Any, stage: str, dataset: str) -> dict[str, int]:
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {_PART[stage]}, count(*) FROM {_table(stage, dataset)} GROUP BY 1"  # noqa: S608
        )
        return dict(cursor.fetchall())


def _altered(
    connection: Any, stage: str, dataset: str, columns: Sequence[str], live: Mapping[str, LedgerRow]
) -> list[str]:
    """Parts whose rows do not have the checksum of the ledger (see `warehouse.content`).

    A column that was added since is no part of it; it is the last one, and empty.
    """
    left = {part: row.checksum for part, row in live.items()}
    for kind in sorted({kind_of(found) for found in left.values()}):
        for width in range(len(columns), 0, -1):
            parts = [part for part in left if kind_of(left[part]) == kind]
            if not parts:
                break
            names = ", ".join(quote(name) for name in columns[:width])
            empty = " AND ".join(f"{quote(name)} IS NULL" for name in columns[width:]) or "true"
            with connection.cursor() as cursor:
                cursor.execute(
                    f"SELECT {_PART[stage]}, count(*), sum({row_hash(f'ROW({names})', kind)}),"  # noqa: S608
                    f" bool_and({empty}) FROM {_table(stage, dataset)}"
                    f" WHERE {_PART[stage]} = ANY(%s) GROUP BY 1",
                    (parts,),
                )
                for part, rows, total, only_new in cursor.fetchall():
                    if only_new and checksum(rows, total, kind) == left[part]:
                        del left[part]
    return sorted(left)
