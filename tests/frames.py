"""Rows as Arrow tables, for the frames of either engine."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pyarrow as pa

_TYPES = {
    "string": pa.string(), "double": pa.float64(), "boolean": pa.bool_(), "int": pa.int32(),
    "bigint": pa.int64(), "date": pa.date32(), "timestamp_ntz": pa.timestamp("us"),
    "timestamp": pa.timestamp("us", "UTC"),
}  # fmt: skip


def arrow(rows: Sequence[tuple[Any, ...]], columns: str) -> pa.Table:
    """Rows of these columns, each a name and its type by Spark's name: `link_id string, n int`."""
    named = [column.split() for column in columns.split(",")]
    schema = pa.schema([(name, _TYPES[kind]) for name, kind in named])
    values = list(zip(*rows, strict=True)) or [()] * len(named)
    return pa.table([pa.array(v, f.type) for v, f in zip(values, schema, strict=True)], schema)


def rows_of(engine: Any, frame: Any) -> list[SimpleNamespace]:
    """The rows of a frame of that engine; their columns are attributes."""
    return [SimpleNamespace(**row) for row in engine.collect(frame)]
