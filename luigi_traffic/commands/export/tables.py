"""Days of `gold.<dataset>` and `forecast.<dataset>` as record batches."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.csv as pacsv

from luigi_traffic.errors import DamageError, TransientError
from luigi_traffic.warehouse import ledger, partitions, published
from luigi_traffic.warehouse.partitions import PartitionedTable
from luigi_traffic.warehouse.sql_names import literal, quote
from luigi_traffic.warehouse.tables import forecast_table, gold_table

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection

    from luigi_traffic.warehouse.connection import Warehouse
    from luigi_traffic.warehouse.ledger import LedgerRow

#: How Arrow has the types of our tables.
_TYPES = {
    "timestamp without time zone": pa.timestamp("us"), "text": pa.string(),
    "double precision": pa.float64(), "real": pa.float32(), "bigint": pa.int64(),
    "integer": pa.int32(), "smallint": pa.int16(), "boolean": pa.bool_(), "date": pa.date32(),
}  # fmt: skip
_BLOCK_BYTES = 8 << 20


@dataclass(frozen=True)
class Day:
    """A day of gold, or what is published as its forecast: all rows of its ledger rows."""

    warehouse: Warehouse
    stage: str
    dataset: str
    part: date
    rows: Mapping[str, LedgerRow]
    """By the ledger's name of the part: one of gold, one a target of the forecasts."""
    key = "day"

    @property
    def metadata(self) -> Mapping[bytes, bytes]:
        """None beside what it is made of."""
        return {}

    @property
    def partition_id(self) -> str:
        """Of all of them."""
        return "+".join(sorted(row.partition_id for row in self.rows.values()))

    @property
    def made_of(self) -> Mapping[str, object]:
        """Ids, rows and checksums of the ledger (docs/engines.md)."""
        return {
            "dataset": self.dataset, "stage": self.stage, "day": str(self.part),
            "partition_id": self.partition_id,
            "partitions": [
                {"part": part, "partition_id": row.partition_id, "rows": row.rows,
                 "checksum": row.checksum}
                for part, row in self.rows.items()
            ],
        }  # fmt: skip

    @contextmanager
    def open(self) -> Iterator[tuple[pa.Schema, Iterator[pa.RecordBatch]]]:
        """The rows, sorted by time and link.

        Raises `TransientError` if another run has replaced the day since it was listed, and
        `DamageError` if it does not have the rows that were committed.
        """
        with self.warehouse.connect() as connection, tempfile.TemporaryFile() as spool:
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            table = self._table(connection)
            columns = table.existing_columns(connection)
            self._expect_unchanged(connection)
            with connection.cursor() as cursor:
                names = ", ".join(quote(name) for name in columns)
                asked = f"SELECT {names} FROM {table.qualified} WHERE {self._where()}"  # noqa: S608
                order = ", ".join(quote(name) for name in table.key)
                cursor.copy_expert(f"COPY ({asked} ORDER BY {order}) TO STDOUT (FORMAT csv)", spool)
            schema = pa.schema([(name, _TYPES[kind]) for name, kind in columns.items()])
            spool.seek(0)
            yield schema, self._batches(spool, schema)

    def _table(self, connection: Connection) -> PartitionedTable:
        if self.stage == "gold":
            partitions.freeze(connection, "gold", self.dataset)
            return gold_table(self.dataset, ())
        partitions.freeze(connection, "forecast_versions", self.dataset)
        return forecast_table(self.dataset)

    def _where(self) -> str:
        if self.stage == "forecast":
            return f"part IN ({', '.join(literal(part) for part in self.rows)})"
        end = self.part + timedelta(days=1)
        return f"\"timestamp\" >= '{self.part}' AND \"timestamp\" < '{end}'"

    def _expect_unchanged(self, connection: Connection) -> None:
        for part, row in self.rows.items():
            now = ledger.current_id(connection, self.stage, self.dataset, part)
            if now != row.partition_id:
                raise TransientError(
                    f"{self.stage} of {self.dataset} {part} was replaced by another run during "
                    "the export. Export again: files that are written stay."
                )

    def _batches(self, spool: object, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        wanted, rows = sum(row.rows for row in self.rows.values()), 0
        if wanted:
            reader = pacsv.open_csv(
                spool,
                pacsv.ReadOptions(column_names=schema.names, block_size=_BLOCK_BYTES),
                convert_options=pacsv.ConvertOptions(
                    column_types=schema, null_values=[""], strings_can_be_null=True,
                    quoted_strings_can_be_null=False, true_values=["t"], false_values=["f"],
                ),
                parse_options=pacsv.ParseOptions(newlines_in_values=True),
            )  # fmt: skip
            for batch in reader:
                rows += batch.num_rows
                yield batch
        if rows != wanted:
            with self.warehouse.connect() as connection:  # another snapshot
                self._expect_unchanged(connection)
            raise DamageError(
                f"{self.stage} of {self.dataset} {self.part} has {rows:,} rows of the {wanted:,} "
                "that were committed. See `luigi-traffic verify`"
            )


def days(
    warehouse: Warehouse, dataset: str, stage: str, first: date | None, last: date | None
) -> list[Day]:
    """The days of the range that the ledger has; of forecasts, what is published. None: no end."""
    with warehouse.connect() as connection:
        known = ledger.current(connection, stage, dataset)
        shown = published.parts(connection, dataset) if stage == "forecast" else known.keys()
    found: dict[date, dict[str, LedgerRow]] = {}
    for part, row in known.items():
        day = date.fromisoformat(part.partition("/")[0])
        if part in shown and (first or day) <= day <= (last or day):
            found.setdefault(day, {})[part] = row
    return [Day(warehouse, stage, dataset, day, rows) for day, rows in sorted(found.items())]
