"""PostgreSQL's binary COPY format from Arrow and to numpy, vectorised.

A row is an int16 count of fields, then for each field an int32 length (-1: NULL) and its
bytes, all big-endian; timestamps count microseconds, dates days, since 2000-01-01.
Source: PostgreSQL's documentation, "COPY", section "Binary Format".

numpy reads and writes values at arbitrary byte offsets through a view of the buffer with
one item a byte (`_at`), so a column costs a few vector operations whatever the rows' lengths.
"""

from __future__ import annotations

import io
import secrets
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import psycopg2
from numpy.typing import NDArray

from luigi_traffic.errors import DataError
from luigi_traffic.warehouse.connection import server_message
from luigi_traffic.warehouse.partitions import Column, quote

if TYPE_CHECKING:
    import pyarrow as pa
    from psycopg2.extensions import connection as Connection

CHUNK_ROWS = 100_000  # encoded at a time
CHUNK_BYTES = 8 << 20  # decoded at a time

_SIGNATURE = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_TRAILER = b"\xff\xff"
_EPOCH_US = 946_684_800_000_000  # 2000-01-01 since 1970-01-01
_EPOCH_DAYS = 10_957
_INT64 = np.iinfo(np.int64)

Array = NDArray[Any]


class Coded(NamedTuple):
    """A text column: `categories[codes[i]]`, code -1 where NULL; in order of first appearance."""

    codes: NDArray[np.int32]
    categories: list[str]


class _Kind(NamedTuple):
    wire: str  # numpy type of the value on the wire
    out: str  # numpy type for callers
    epoch: int  # added to the wire's value


#: Fixed-width types by the oid of `pg_type`.
_KINDS = {
    16: _Kind("?", "bool", 0),
    20: _Kind(">i8", "int64", 0),
    21: _Kind(">i2", "int16", 0),
    23: _Kind(">i4", "int32", 0),
    700: _Kind(">f4", "float32", 0),
    701: _Kind(">f8", "float64", 0),
    1082: _Kind(">i4", "datetime64[D]", _EPOCH_DAYS),
    1114: _Kind(">i8", "datetime64[us]", _EPOCH_US),
}
_TEXT_OIDS = frozenset({25, 1042, 1043, 19})
_TYPE_OIDS = {
    "bigint": 20,
    "smallint": 21,
    "integer": 23,
    "real": 700,
    "double precision": 701,
    "date": 1082,
    "timestamp": 1114,
}


def copy_in(
    conn: Connection, table: str, columns: Sequence[Column], batch: pa.RecordBatch | pa.Table
) -> int:
    """Append `batch` to `table` (quoted for SQL) in the caller's transaction; return its rows.

    `batch` has the columns by name, in any order; values are converted to the SQL type,
    never cut off. NULL stays NULL and NaN stays NaN. Raises DataError for a missing
    column, a value that does not fit, a timestamp with a zone, or a refusal of the server.
    """
    import pyarrow as pa

    missing = [column.name for column in columns if column.name not in batch.schema.names]
    if missing:
        raise DataError(
            f"COPY into {table}: no column {', '.join(missing)} in {batch.schema.names}."
        )
    if batch.num_rows == 0:
        return 0
    frame = batch if isinstance(batch, pa.Table) else pa.Table.from_batches([batch])
    frame = frame.select([column.name for column in columns])
    reader = _Reader(_encode(frame, columns))
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
    return int(batch.num_rows)


def copy_out(conn: Connection, sql: str) -> dict[str, Array | Coded]:
    """The rows of a query as one numpy array a column, text as `Coded`, in the query's order.

    timestamp is datetime64[us] and date datetime64[D], NULL being NaT; a NULL real or
    double precision is NaN. Raises DataError for another type, a repeated column name,
    a NULL integer or boolean, or an infinite timestamp.
    """
    sql = sql.strip().rstrip(";")
    with conn.cursor() as cursor:
        cursor.execute(f"SELECT * FROM ({sql}\n) q LIMIT 0")
        described = [(column.name, column.type_code) for column in cursor.description or ()]
        names = [name for name, _ in described]
        if len(set(names)) != len(names):
            raise DataError(f"A query must name its columns differently: {', '.join(names)}.")
        for name, oid in described:
            if oid not in _KINDS and oid not in _TEXT_OIDS:
                cursor.execute("SELECT format_type(%s, NULL)", (oid,))
                kind = (cursor.fetchone() or ("?",))[0]
                raise DataError(
                    f"Column {name!r} has type {kind}: cast it, for example {name}::float8."
                )
        decoder = _Decoder(described)
        stream = io.BufferedWriter(decoder, CHUNK_BYTES)
        cursor.copy_expert(
            f"COPY (SELECT {decoder.magic}::int4, q.* FROM ({sql}\n) q) TO STDOUT (FORMAT binary)",
            stream,
        )
        stream.flush()
    return decoder.result()


def _at(buffer: Array, kind: str) -> Array:
    """`buffer` (bytes) as items of `kind`, one beginning at every byte."""
    size = np.dtype(kind).itemsize
    return np.ndarray(max(len(buffer) - size + 1, 0), kind, buffer, strides=(1,))


class _Reader:
    """The file that psycopg2 reads from: header, chunks, trailer."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._chunk = b""
        self._position = 0
        self.error: Exception | None = None

    def read(self, size: int) -> bytes:
        if self._position == len(self._chunk):
            try:
                self._chunk, self._position = next(self._chunks, b""), 0
            except Exception as error:
                self.error = error
                raise
        piece = self._chunk[self._position : self._position + size]
        self._position += len(piece)
        return piece


def _encode(frame: pa.Table, columns: Sequence[Column]) -> Iterator[bytes]:
    yield _SIGNATURE
    for batch in frame.to_batches(max_chunksize=CHUNK_ROWS):
        if batch.num_rows:
            fields = [_wire(batch.column(i), column) for i, column in enumerate(columns)]
            yield _encode_chunk(fields, batch.num_rows)
    yield _TRAILER


class _Field(NamedTuple):
    """A column of a chunk on its way out: fixed values, or the bytes of text back to back."""

    lengths: Array  # int32; -1 where NULL
    values: Array
    kind: str | None  # numpy type of a fixed value on the wire; None: text


def _wire(array: pa.Array, column: Column) -> _Field:
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_timestamp(array.type) and array.type.tz is not None:
        raise DataError(
            f"Column {column.name!r} has the zone {array.type.tz}: the warehouse holds local time without one."
        )
    targets = {
        "bigint": pa.int64(),
        "smallint": pa.int16(),
        "integer": pa.int32(),
        "real": pa.float32(),
        "double precision": pa.float64(),
        "date": pa.date32(),
        "timestamp": pa.timestamp("us"),
        "text": pa.large_string(),
    }
    if column.type not in targets:
        raise DataError(
            f"Column {column.name!r} is {column.type!r}; COPY knows {', '.join(targets)}."
        )
    try:
        array = array.cast(targets[column.type])
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise DataError(f"Column {column.name!r} does not fit {column.type!r}: {error}") from error
    valid = None if array.null_count == 0 else array.is_valid().to_numpy(zero_copy_only=False)
    if column.type == "text":
        array = array.fill_null("") if valid is not None else array
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
    kind = _KINDS[_TYPE_OIDS[column.type]]
    if kind.epoch:
        array = array.cast(pa.int64() if column.type == "timestamp" else pa.int32())
    values = (pc.fill_null(array, 0) if valid is not None else array).to_numpy(zero_copy_only=False)
    if kind.epoch:
        if values.min() < np.iinfo(values.dtype).min + kind.epoch:
            raise DataError(
                f"Column {column.name!r} has a {column.type} long before the common era."
            )
        values = values - values.dtype.type(kind.epoch)
    size = np.dtype(kind.wire).itemsize
    lengths = np.full(len(values), size, np.int32)
    if valid is not None:
        lengths[~valid] = -1
    return _Field(lengths, values, kind.wire)


def _encode_chunk(fields: list[_Field], rows: int) -> bytes:
    sizes = np.full(rows, 2 + 4 * len(fields), np.int64)
    for field in fields:
        sizes += np.maximum(field.lengths, 0)
    ends = np.cumsum(sizes)
    buffer = np.empty(int(ends[-1]), np.uint8)
    offset = ends - sizes
    _at(buffer, ">i2")[offset] = len(fields)
    offset += 2
    for field in fields:
        _at(buffer, ">i4")[offset] = field.lengths
        offset += 4
        present = field.lengths >= 0
        if field.kind is None:
            _scatter(buffer, offset, field)
        elif present.all():
            _at(buffer, field.kind)[offset] = field.values
        else:
            _at(buffer, field.kind)[offset[present]] = field.values[present]
        offset += np.maximum(field.lengths, 0)
    return buffer.tobytes()


def _scatter(buffer: Array, offset: Array, field: _Field) -> None:
    """Copy the texts of a column to where their rows begin."""
    lengths = np.maximum(field.lengths, 0).astype(np.int64)
    width = int(lengths[0])
    if width and bool((lengths == width).all()):  # link ids mostly are of one length
        _at(buffer, f"V{width}")[offset] = np.ascontiguousarray(field.values).view(f"V{width}")
        return
    begins = np.cumsum(lengths) - lengths
    buffer[np.repeat(offset - begins, lengths) + np.arange(len(field.values))] = field.values


class _Decoder(io.RawIOBase):
    """Turns the stream into arrays, chunk by chunk.

    Rows differ in length, so where one begins follows from the one before: a loop. The
    query therefore sends a random number as first field. A vectorised search finds it,
    and each row's end must be the next one's beginning, else the chunk is walked row by row.
    """

    def __init__(self, described: list[tuple[str, int]]) -> None:
        super().__init__()
        self.magic = secrets.randbelow(1 << 30) + (1 << 30)
        self._described = described
        fields = (len(described) + 1).to_bytes(2, "big")
        self._mark = np.frombuffer(fields + b"\0\0\0\4" + self.magic.to_bytes(4, "big"), np.uint8)
        self._rest = b""
        self._started = False
        self._parts: list[list[Any]] = [[] for _ in described]

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        size = len(data)
        raw = self._rest + bytes(data)
        if not self._started:
            if len(raw) < len(_SIGNATURE):
                self._rest = raw
                return size
            if not raw.startswith(_SIGNATURE):
                raise DataError(
                    "The server's COPY stream does not begin as the binary format does."
                )
            self._started, raw = True, raw[len(_SIGNATURE) :]
        self._rest = raw[self._decode(np.frombuffer(raw, np.uint8)) :]
        return size

    def result(self) -> dict[str, Array | Coded]:
        """All columns; call it when the stream has ended."""
        if not self._started or self._rest != _TRAILER:
            raise DataError(
                f"The server's COPY stream broke off with {len(self._rest)} bytes left over."
            )
        return {
            name: _join_text(parts) if oid in _TEXT_OIDS else _join_fixed(parts, _KINDS[oid].out)
            for (name, oid), parts in zip(self._described, self._parts, strict=True)
        }

    def _decode(self, buffer: Array) -> int:
        """Decode the whole rows in `buffer`; return how many bytes they took."""
        starts = self._search(buffer)
        fields, ends = self._fields(buffer, starts)
        whole = ends <= len(buffer)
        if not whole.all():
            # Only the last row may be cut; a false mark in its part is cut off as well.
            count = int(np.argmin(whole))
            starts, ends = starts[:count], ends[:count]
            fields = [(offset[:count], length[:count]) for offset, length in fields]
        if len(starts) and (starts[0] != 0 or not np.array_equal(ends[:-1], starts[1:])):
            starts = self._walk(buffer)
            fields, ends = self._fields(buffer, starts)
        for (name, oid), parts, (offset, length) in zip(
            self._described, self._parts, fields[1:], strict=True
        ):
            if not len(starts):
                continue
            if oid in _TEXT_OIDS:
                parts.append(_gather_text(buffer, offset, length))
            else:
                parts.append(_gather_fixed(buffer, offset, length, _KINDS[oid], name))
        return int(ends[-1]) if len(starts) else 0

    def _search(self, buffer: Array) -> Array:
        """Where the mark occurs: where rows begin, and hardly anywhere else."""
        mark = self._mark
        count = len(buffer) - len(mark) + 1
        if count <= 0:
            return np.empty(0, np.int64)
        hit = buffer[len(mark) - 1 :] == mark[-1]
        for i in range(len(mark) - 4, len(mark) - 1):
            hit &= buffer[i : i + count] == mark[i]
        starts = np.flatnonzero(hit)
        exact = np.ones(len(starts), bool)
        for i in range(len(mark) - 4):
            exact &= buffer[starts + i] == mark[i]
        return starts[exact]

    def _walk(self, buffer: Array) -> Array:
        """Where rows begin, one after the other: only if the mark occurs in the data."""
        starts, position, view = [], 0, memoryview(buffer)
        while view[position : position + 2] == self._mark[:2].tobytes():
            end = position + 2
            for _ in range(len(self._described) + 1):
                length = int.from_bytes(view[end : end + 4], "big", signed=True)
                end += 4 + max(length, 0)
            if end > len(buffer):
                break
            starts.append(position)
            position = end
        return np.array(starts, np.int64)

    def _fields(self, buffer: Array, starts: Array) -> tuple[list[tuple[Array, Array]], Array]:
        """(offset, length) of each field's value, and the rows' ends; beyond the buffer if cut."""
        beyond = len(buffer) + 1
        lengths_at = _at(buffer, ">i4")
        offset = starts + 2
        fields = []
        for _ in range(len(self._described) + 1):
            cut = offset > len(buffer) - 4
            if cut.any():
                length = np.full(len(offset), beyond, np.int64)
                length[~cut] = lengths_at[offset[~cut]]
            else:
                length = lengths_at[offset].astype(np.int64)
            offset = offset + 4
            fields.append((offset, length))
            offset = offset + np.maximum(length, 0)
        return fields, offset


def _gather_fixed(buffer: Array, offset: Array, length: Array, kind: _Kind, name: str) -> Array:
    null = length < 0
    some_null = bool(null.any())
    if some_null and kind.out[0] not in "fd":
        raise DataError(
            f"Column {name!r} has a NULL, which {kind.out} cannot hold: use coalesce()."
        )
    at = _at(buffer, kind.wire)
    values = at[np.where(null, 0, offset) if some_null else offset].astype(
        kind.wire.replace(">", "=")
    )
    if kind.epoch:
        limits = np.iinfo(values.dtype)
        real = values[~null]
        if len(real) and (real.max() == limits.max or real.min() == limits.min):
            raise DataError(f"Column {name!r} has an infinite time.")
        whole = values.astype(np.int64) + kind.epoch
        whole[null] = _INT64.min  # NaT
        return whole.view(kind.out)
    if some_null:
        values[null] = np.nan
    return values


def _gather_text(buffer: Array, offset: Array, length: Array) -> Any:
    """A dictionary-encoded Arrow array."""
    import pyarrow as pa

    lengths = np.maximum(length, 0)
    ends = np.cumsum(lengths)
    width = int(lengths[0])
    if width and bool((lengths == width).all()):
        data = _at(buffer, f"V{width}")[offset]
    else:
        data = buffer[np.repeat(offset - (ends - lengths), lengths) + np.arange(int(ends[-1]))]
    offsets = np.concatenate([[0], ends]).astype(np.int64)
    present = np.packbits(length >= 0, bitorder="little")
    array = pa.Array.from_buffers(
        pa.large_string(),
        len(lengths),
        [
            pa.py_buffer(present.tobytes()),
            pa.py_buffer(offsets.tobytes()),
            pa.py_buffer(data.tobytes()),
        ],
    )
    return array.dictionary_encode()


def _join_fixed(parts: list[Array], kind: str) -> Array:
    return np.concatenate(parts) if parts else np.empty(0, kind)


def _join_text(parts: list[Any]) -> Coded:
    if not parts:
        return Coded(np.empty(0, np.int32), [])
    import pyarrow as pa

    unified = pa.chunked_array(parts).unify_dictionaries()
    codes = [chunk.indices.fill_null(-1).to_numpy(zero_copy_only=False) for chunk in unified.chunks]
    return Coded(np.concatenate(codes).astype(np.int32), unified.chunk(0).dictionary.to_pylist())
