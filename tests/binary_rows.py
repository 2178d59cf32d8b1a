"""A table and the rows of a query, for the tests of binary COPY."""

from __future__ import annotations

from typing import Any

import numpy as np

from luigi_traffic.warehouse.binary import Block, copy_out
from luigi_traffic.warehouse.partitions import Column


def create(conn: Any, columns: tuple[Column, ...], name: str = "x") -> None:
    with conn.cursor() as cursor:
        cursor.execute(f"CREATE TEMP TABLE {name} (i serial)")
        for column in columns:
            cursor.execute(f"ALTER TABLE {name} ADD COLUMN {column.name} {column.type}")


def rows_of(conn: Any, sql: str) -> dict[str, Any]:
    """All blocks of a query as one array a column, text as a list."""
    blocks: list[Block] = []
    copy_out(conn, sql, blocks.append)
    out: dict[str, Any] = {}
    for name in blocks[0] if blocks else ():
        parts = [block[name] for block in blocks]
        if isinstance(parts[0], np.ndarray):
            out[name] = np.concatenate(parts)
        else:
            out[name] = [text for part in parts for text in part.to_pylist()]
    return out
