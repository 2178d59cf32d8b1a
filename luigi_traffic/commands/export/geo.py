"""Versions of `links.<dataset>` as GeoParquet 1.1 (https://geoparquet.org/releases/v1.1.0)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

import pyarrow as pa

from luigi_traffic.warehouse import links
from luigi_traffic.warehouse.links import COLUMNS, LinkVersion
from luigi_traffic.warehouse.sql_names import quote

if TYPE_CHECKING:
    from luigi_traffic.warehouse.connection import Warehouse

_TYPES = {
    "text": pa.string(), "double precision": pa.float64(), "smallint": pa.int16(),
    "date": pa.date32(), "bytea": pa.binary(),
}  # fmt: skip
_BATCH_ROWS = 20_000
# Without `crs` it is longitude and latitude (OGC:CRS84), which the table has. No types: any.
_GEO = {
    "version": "1.1.0",
    "primary_column": "geometry",
    "columns": {"geometry": {"encoding": "WKB", "geometry_types": []}},
}


@dataclass(frozen=True)
class Version:
    """A version of the links of a dataset; `part` is the first day on which it is valid."""

    warehouse: Warehouse
    dataset: str
    found: LinkVersion
    key = "valid_from"

    @property
    def part(self) -> date:
        """The first day on which it is valid."""
        return self.found.valid_from

    @property
    def partition_id(self) -> str:
        """When it was imported, and until when it is valid: nothing else changes its rows."""
        return f"{self.found.imported_at.isoformat()}/{self.found.valid_to}"

    @property
    def made_of(self) -> Mapping[str, object]:
        """What the file is to say of it."""
        return {
            "dataset": self.dataset, "source": self.found.source, "links": self.found.links,
            "partition_id": self.partition_id,
        }  # fmt: skip

    @property
    def metadata(self) -> Mapping[bytes, bytes]:
        """What makes a Parquet file GeoParquet."""
        return {b"geo": json.dumps(_GEO).encode()}

    @contextmanager
    def open(self) -> Iterator[tuple[pa.Schema, Iterator[pa.RecordBatch]]]:
        """The links, sorted by their ids."""
        # The folder has the date on which it becomes valid.
        columns = [column for column in COLUMNS if column.name != "valid_from"]
        schema = pa.schema([(column.name, _TYPES[column.type]) for column in columns])
        with self.warehouse.connect() as connection, connection.cursor(name="links") as cursor:
            cursor.itersize = _BATCH_ROWS
            cursor.execute(
                f"SELECT {', '.join(quote(name) for name in schema.names)}"  # noqa: S608
                f" FROM {links.link_table(self.dataset)} WHERE valid_from = %s ORDER BY link_id",
                (self.part,),
            )

            def batches() -> Iterator[pa.RecordBatch]:
                while rows := cursor.fetchmany(_BATCH_ROWS):
                    values = zip(*rows, strict=True)
                    yield pa.record_batch(
                        [
                            _array(each, kind)
                            for each, kind in zip(values, schema.types, strict=True)
                        ],
                        schema=schema,
                    )

            yield schema, batches()


def _array(values: tuple[object, ...], kind: pa.DataType) -> pa.Array:
    if pa.types.is_binary(kind):
        values = tuple(None if one is None else bytes(one) for one in values)  # type: ignore[call-overload]
    return pa.array(values, kind)


def versions(
    warehouse: Warehouse, dataset: str, first: date | None, last: date | None
) -> list[Version]:
    """Those that are valid on a day of the range; None: it has no end there."""
    with warehouse.connect() as connection:
        found = links.versions(connection, dataset)
    return [
        Version(warehouse, dataset, one)
        for one in found
        if one.valid_from <= (last or date.max) and (one.valid_to or date.max) > (first or date.min)
    ]
