"""A Parquet file as lines of text: raw is text, whatever a source sends (decision 0005)."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import IO

from luigi_traffic.errors import SourceError
from luigi_traffic.ingest.archive import Limits

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
        yield _header(wanted)
        for group in range(table.num_row_groups):
            for batch in table.iter_batches(_BATCH_ROWS, row_groups=[group], columns=wanted):
                text = io.BytesIO()
                rows = pa.record_batch(
                    [_one_line(column) for column in batch.columns], names=batch.schema.names
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


def _one_line(column: object) -> object:
    """The column, text without line breaks in it."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.types as t

    if t.is_dictionary(column.type):  # type: ignore[attr-defined]
        column = column.dictionary_decode()  # type: ignore[attr-defined]
    if t.is_string_view(column.type):  # type: ignore[attr-defined]
        column = column.cast(pa.large_string())  # type: ignore[attr-defined]
    if t.is_string(column.type) or t.is_large_string(column.type):  # type: ignore[attr-defined]
        return pc.replace_substring_regex(column, r"[\r\n]+", " ")
    return column
