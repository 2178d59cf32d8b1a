"""Arrow to PostgreSQL's binary COPY format, a chunk of rows at a time."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from luigi_traffic.errors import DataError
from luigi_traffic.warehouse.binary_format import KINDS, SIGNATURE, TRAILER, TYPE_OIDS, Array, at

if TYPE_CHECKING:
    import pyarrow as pa

    from luigi_traffic.warehouse.partitions import Column

CHUNK_ROWS = 32_768  # 2 to 4 MB on the wire: encoded in the cache, while the server reads the last


class Reader(io.RawIOBase):
    """The file that psycopg2 reads from; `error` is what went wrong while it did."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        super().__init__()
        self._chunks = chunks
        self._chunk = b""
        self._position = 0
        self.error: Exception | None = None

    def read(self, size: int = -1) -> bytes:
        """At most `size` bytes (-1: what is at hand); none at the end."""
        if self._position == len(self._chunk):
            try:
                self._chunk, self._position = next(self._chunks, b""), 0
            except Exception as error:
                self.error = error
                raise
        end = self._position + size if size >= 0 else len(self._chunk)
        piece = self._chunk[self._position : end]
        self._position += len(piece)
        return piece


def encode(batches: Iterable[pa.RecordBatch], columns: Sequence[Column]) -> Iterator[bytes]:
    """A COPY stream in pieces. Raises DataError for a value that does not fit its column.

    The batches have exactly `columns`, in their order.
    """
    yield SIGNATURE
    for batch in batches:
        for begin in range(0, batch.num_rows, CHUNK_ROWS):
            chunk = batch.slice(begin, CHUNK_ROWS)
            fields = [_wire(chunk.column(i), column) for i, column in enumerate(columns)]
            widths = [field.width() for field in fields]
            if None in widths:
                yield _encode_chunk(fields, chunk.num_rows)
            else:
                yield _encode_even(fields, [width or 0 for width in widths], chunk.num_rows)
    yield TRAILER


class _Field(NamedTuple):
    """A column of a chunk on its way out: fixed values, or the bytes of texts back to back."""

    lengths: Array  # int32; -1 where NULL
    values: Array
    kind: str | None  # numpy type of a fixed value on the wire; None: text or bytes

    def width(self) -> int | None:
        """Bytes of each value; None if they differ, or are NULL or empty."""
        width = int(self.lengths[0])
        return width if width > 0 and bool((self.lengths == width).all()) else None


def _wire(array: pa.Array, column: Column) -> _Field:
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_timestamp(array.type) and array.type.tz is not None:
        raise DataError(
            f"Column {column.name!r} has the zone {array.type.tz}: the warehouse stores local "
            "time without a zone."
        )
    targets = {
        "boolean": pa.bool_(),
        "bigint": pa.int64(),
        "smallint": pa.int16(),
        "integer": pa.int32(),
        "real": pa.float32(),
        "double precision": pa.float64(),
        "date": pa.date32(),
        "timestamp": pa.timestamp("us"),
        "text": pa.large_string(),
        "bytea": pa.large_binary(),
    }
    if column.type not in targets:
        raise DataError(
            f"Column {column.name!r} is {column.type!r}; COPY knows {', '.join(targets)}."
        )
    try:
        array = array.cast(targets[column.type])
    except pa.ArrowException as error:
        raise DataError(f"Column {column.name!r} does not fit {column.type!r}: {error}") from error
    valid = None if array.null_count == 0 else array.is_valid().to_numpy(zero_copy_only=False)
    if column.type in ("text", "bytea"):
        nothing = "" if column.type == "text" else b""
        array = array.fill_null(nothing) if valid is not None else array
        offsets = np.frombuffer(array.buffers()[1], np.int64)[array.offset :][: len(array) + 1]
        size = int(offsets[-1] - offsets[0])
        data = (
            np.frombuffer(array.buffers()[2], np.uint8)[offsets[0] :][:size]
            if size
            else np.empty(0, "u1")
        )
        lengths = np.diff(offsets).astype(np.int32)
        if valid is not None:
            lengths[~valid] = -1
        return _Field(lengths, data, None)
    kind = KINDS[TYPE_OIDS[column.type]]
    if kind.epoch:
        array = array.cast(pa.int64() if column.type == "timestamp" else pa.int32())
    if valid is not None:
        array = pc.fill_null(array, pa.scalar(0).cast(array.type))
    values = array.to_numpy(zero_copy_only=False)
    if kind.epoch:
        if values.min() < np.iinfo(values.dtype).min + kind.epoch:
            raise DataError(
                f"Column {column.name!r} has a {column.type} too long before the common era."
            )
        values = values - values.dtype.type(kind.epoch)
    size = np.dtype(kind.wire).itemsize
    lengths = np.full(len(values), size, np.int32)
    if valid is not None:
        lengths[~valid] = -1
    return _Field(lengths, values, kind.wire)


def _encode_even(fields: list[_Field], widths: list[int], rows: int) -> bytes:
    """Rows of equal layout: each value lies at an equal distance from the one before."""
    size = 2 + sum(4 + width for width in widths)
    buffer = np.empty(rows * size, np.uint8)
    np.ndarray(rows, ">i2", buffer, 0, (size,))[:] = len(fields)
    offset = 2
    for field, width in zip(fields, widths, strict=True):
        np.ndarray(rows, ">i4", buffer, offset, (size,))[:] = width
        kind = field.kind or f"V{width}"
        values = field.values if field.kind else field.values.view(kind)
        np.ndarray(rows, kind, buffer, offset + 4, (size,))[:] = values
        offset += 4 + width
    return buffer.tobytes()


def _encode_chunk(fields: list[_Field], rows: int) -> bytes:
    sizes = np.full(rows, 2 + 4 * len(fields), np.int64)
    for field in fields:
        sizes += np.maximum(field.lengths, 0)
    ends = np.cumsum(sizes)
    buffer = np.empty(int(ends[-1]), np.uint8)
    offset = ends - sizes
    at(buffer, ">i2")[offset] = len(fields)
    offset += 2
    for field in fields:
        at(buffer, ">i4")[offset] = field.lengths
        offset += 4
        present = field.lengths >= 0
        if field.kind is None:
            _scatter(buffer, offset, field)
        elif present.all():
            at(buffer, field.kind)[offset] = field.values
        else:
            at(buffer, field.kind)[offset[present]] = field.values[present]
        offset += np.maximum(field.lengths, 0)
    return buffer.tobytes()


def _scatter(buffer: Array, offset: Array, field: _Field) -> None:
    """Copy the texts of a column to where their rows begin."""
    lengths = np.maximum(field.lengths, 0).astype(np.int64)
    width = int(lengths[0])
    if width and bool((lengths == width).all()):  # link ids mostly are of one length
        at(buffer, f"V{width}")[offset] = np.ascontiguousarray(field.values).view(f"V{width}")
        return
    begins = np.cumsum(lengths) - lengths
    buffer[np.repeat(offset - begins, lengths) + np.arange(len(field.values))] = field.values
