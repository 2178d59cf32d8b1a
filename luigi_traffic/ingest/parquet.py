"""A Parquet file as lines of text: raw is text, whatever a source sends (decision 0005)."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import IO, TYPE_CHECKING

from luigi_traffic.errors import SourceError
from luigi_traffic.ingest.archive import Limits

if TYPE_CHECKING:
    import pyarrow.parquet as pq

#: Key of the footer under which Spark keeps its schema, as JSON.
_SPARK_SCHEMA = b"org.apache.spark.sql.parquet.row.metadata"
#: Rows turned into text at a time.
_BATCH_ROWS = 50_000


def parquet_lines(file: IO[bytes], name: str, limits: Limits) -> Iterator[bytes]:
    """A header line, then the rows as comma-separated text quoted as RFC 4180 says.

    Read a row group at a time. Columns of lists, structs and bytes are left out: a line of text
    has no place for them. NULL is an empty field; a line break within a text becomes a blank.
    Raises `SourceError` for what is no Parquet file, is damaged or is larger than `limits`.
    """
    import pyarrow as pa
    import pyarrow.csv
    import pyarrow.parquet as pq

    file.seek(0)
    try:
        table = pq.ParquetFile(file)
        wanted = [f.name for f in table.schema_arrow if _fits_a_line(f.type)]
        given = 0
        options = pyarrow.csv.WriteOptions(include_header=False)
        instants = _instants(table)
        yield _header(wanted)
        for group in range(table.num_row_groups):
            for batch in table.iter_batches(_BATCH_ROWS, row_groups=[group], columns=wanted):
                text = io.BytesIO()
                rows = pa.record_batch(
                    [
                        _one_line(column, name in instants)
                        for name, column in zip(batch.schema.names, batch.columns, strict=True)
                    ],
                    names=batch.schema.names,
                )
                pyarrow.csv.write_csv(rows, text, options)
                given += text.tell()
                if given > limits.max_bytes:
                    raise SourceError(
                        f"{name}: its rows are more than {limits.max_bytes:,} bytes of text "
                        "(setting ingest.max_bytes)"
                    )
                yield text.getvalue()
    except (pa.ArrowException, OSError) as e:
        file.seek(0)
        raise SourceError(
            f"{name}: expected a readable Parquet file, got data that begins with "
            f"{file.read(60)!r}: {e}"
        ) from e


def _header(names: list[str]) -> bytes:
    import csv

    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow([" ".join(name.split()) for name in names])
    return line.getvalue().encode()


def _fits_a_line(kind: object) -> bool:
    import pyarrow.types as t

    if t.is_dictionary(kind):
        return _fits_a_line(kind.value_type)  # type: ignore[attr-defined]
    return not (
        t.is_nested(kind) or t.is_binary(kind) or t.is_large_binary(kind)
        or t.is_fixed_size_binary(kind)
    )  # fmt: skip


def _instants(table: pq.ParquetFile) -> frozenset[str]:
    """Columns of instants that the file's types do not mark as such: INT96, in UTC.

    Spark writes its TIMESTAMP so by default, and Hive; Impala alone writes wall time. Where the
    footer has Spark's own schema, that says which it is.
    """
    made_by = (table.metadata.created_by or "").lower()
    if made_by.startswith("impala"):
        return frozenset()
    described = (table.metadata.metadata or {}).get(_SPARK_SCHEMA)
    fields = json.loads(described)["fields"] if described else []
    wall = {field["name"] for field in fields if field["type"] == "timestamp_ntz"}
    columns = [table.schema.column(n) for n in range(len(table.schema))]
    return frozenset(c.name for c in columns if c.physical_type == "INT96") - wall


def _one_line(column: object, instant: bool) -> object:
    """The column, text without line breaks in it, an instant with its offset."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.types as t

    if instant:
        return pc.cast(column, pa.timestamp("us", tz="UTC"), safe=False)
    if t.is_dictionary(column.type):  # type: ignore[attr-defined]
        column = column.dictionary_decode()  # type: ignore[attr-defined]
    if t.is_string_view(column.type):  # type: ignore[attr-defined]
        column = column.cast(pa.large_string())  # type: ignore[attr-defined]
    if t.is_string(column.type) or t.is_large_string(column.type):  # type: ignore[attr-defined]
        return pc.replace_substring_regex(column, r"[\r\n]+", " ")
    return column
