"""Binary COPY: Arrow into the warehouse, and queries out of it as numpy arrays.

Vectorised: numpy writes and reads values at arbitrary byte offsets of the stream, so a
column costs a few vector operations whatever the lengths of the rows.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import psycopg2

from luigi_traffic.errors import DataError
from luigi_traffic.warehouse.binary_decode import BLOCK_BYTES, Block, Decoder
from luigi_traffic.warehouse.binary_encode import Reader, encode
from luigi_traffic.warehouse.binary_format import KINDS, TEXT_OIDS
from luigi_traffic.warehouse.partitions import Column
from luigi_traffic.warehouse.server_errors import server_message
from luigi_traffic.warehouse.sql_names import quote

if TYPE_CHECKING:
    import pyarrow as pa
    from psycopg2.extensions import connection as Connection

__all__ = ["Block", "copy_batches", "copy_in", "copy_out"]


def copy_in(
    conn: Connection, table: str, columns: Sequence[Column], batch: pa.RecordBatch | pa.Table
) -> int:
    """As `copy_batches`, for one batch or table."""
    import pyarrow as pa

    batches = batch.to_batches() if isinstance(batch, pa.Table) else [batch]
    return copy_batches(conn, table, columns, batches)


def copy_batches(
    conn: Connection, table: str, columns: Sequence[Column], batches: Iterable[pa.RecordBatch]
) -> int:
    """Append `batches` to `table` (quoted for SQL) by one COPY, in the caller's transaction.

    Returns the number of rows. Each batch is taken when the one before is sent, so that memory
    is that of a batch. A batch has the columns by name, in any order; values, also of
    dictionaries, are converted to the SQL type, never cut off. NULL stays NULL and NaN stays NaN.

    Raises DataError for a missing column, a value that does not fit, a timestamp with a zone, or a
    refusal of the server; and what `batches` raises. Then nothing of the COPY is in the table.
    """
    rows = 0

    def selected() -> Iterator[pa.RecordBatch]:
        nonlocal rows
        for batch in batches:
            missing = [column.name for column in columns if column.name not in batch.schema.names]
            if missing:
                raise DataError(
                    f"COPY into {table}: no column {', '.join(missing)} in {batch.schema.names}."
                )
            rows += batch.num_rows
            yield batch.select([column.name for column in columns])

    reader = Reader(encode(selected(), columns))
    names = ", ".join(quote(column.name) for column in columns)
    try:
        with conn.cursor() as cursor:
            cursor.copy_expert(
                f"COPY {table} ({names}) FROM STDIN (FORMAT binary)", reader, 1 << 20
            )
    except psycopg2.Error as error:
        if reader.error is not None:  # psycopg2 tells the server, and raises its own
            raise reader.error from error
        if isinstance(error, psycopg2.DataError):
            raise DataError(f"COPY into {table}: {server_message(error)}") from error
        raise
    return rows


def copy_out(conn: Connection, sql: str, take: Callable[[Block], object]) -> None:
    """Pass the rows of a query to `take` in blocks of about 1 MiB, in the query's order.

    A block is one array a column: numpy's, or for text pyarrow's `LargeStringArray`. timestamp
    is datetime64[us] and date datetime64[D], NULL being NaT; a NULL real or double precision is
    NaN. Fastest for rows whose fields have equal lengths. Raises DataError for another type,
    a repeated column name, a NULL integer or boolean, or an infinite timestamp; and what `take`
    raises.
    """
    sql = sql.strip().rstrip(";")
    with conn.cursor() as cursor:
        cursor.execute(f"SELECT * FROM ({sql}\n) q LIMIT 0")  # noqa: S608 - a query is what we are given
        columns = [(column.name, column.type_code) for column in cursor.description or ()]
        names = [name for name, _ in columns]
        if len(set(names)) != len(names):
            raise DataError(f"A query must give its columns different names: {', '.join(names)}.")
        for name, oid in columns:
            if oid not in KINDS and oid not in TEXT_OIDS:
                cursor.execute("SELECT format_type(%s, NULL)", (oid,))
                kind = (cursor.fetchone() or ("?",))[0]
                raise DataError(
                    f"Column {name!r} has type {kind}: cast it, for example {name}::float8."
                )
        decoder = Decoder(columns, take)
        stream = io.BufferedWriter(decoder, BLOCK_BYTES)
        cursor.copy_expert(f"COPY ({sql}\n) TO STDOUT (FORMAT binary)", stream)
        stream.flush()
    decoder.finish()
