"""PostgreSQL's binary COPY format to numpy, a block of rows at a time."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from luigi_traffic.errors import DataError
from luigi_traffic.warehouse.binary_format import (
    KINDS,
    SIGNATURE,
    TEXT_OIDS,
    TRAILER,
    Array,
    Kind,
    at,
)

BLOCK_BYTES = 1 << 20
#: As many rows in a run of equal layout are decoded by themselves; fewer with those behind them.
_RUN_ROWS = 1000
_INT64 = np.iinfo(np.int64)

#: A block of rows: by column an array of numpy, or for text a `pyarrow.LargeStringArray`.
Block = Mapping[str, Any]


class Decoder(io.RawIOBase):
    """Turns the stream into blocks, and passes each to `take`; `columns` are (name, oid).

    Rows whose fields have equal lengths lie at equal distances: strided views read them. Where
    other rows begin follows from the row before, in a loop; but the count of fields and the length
    of the first one stand at the beginning of every row. A vectorised search finds these bytes, and
    each row's end must be the next one's beginning, else the block is walked row by row.
    """

    def __init__(self, columns: Sequence[tuple[str, int]], take: Callable[[Block], object]) -> None:
        super().__init__()
        self._columns, self._take = columns, take
        self._count = len(columns).to_bytes(2, "big")
        self._rest = b""
        self._started = False

    def writable(self) -> bool:
        """For `io.BufferedWriter`, which gathers the rows that psycopg2 writes one by one."""
        return True

    def write(self, data: Any) -> int:
        """Decode the whole rows there are, keep the rest; takes everything."""
        raw = b"".join((self._rest, data))
        if not self._started:
            if len(raw) < len(SIGNATURE):
                self._rest = raw
                return len(data)
            if not raw.startswith(SIGNATURE):
                raise DataError("The server's COPY stream does not begin like the binary format.")
            self._started, raw = True, raw[len(SIGNATURE) :]
        buffer, done = np.frombuffer(raw, np.uint8), 0
        while taken := self._decode(buffer[done:]):
            done += taken
        self._rest = raw[done:]
        return len(data)

    def finish(self) -> None:
        """Raise DataError if the stream has not come to its end."""
        if not self._started or self._rest != TRAILER:
            raise DataError(
                f"The server's COPY stream broke off with {len(self._rest)} bytes left over."
            )

    def _decode(self, buffer: Array) -> int:
        """Decode the whole rows in `buffer`, or the first ones; return how many bytes they took."""
        lengths = self._first_row(buffer)
        if lengths is None:
            return 0
        fields: list[_Even] | list[_Uneven]
        rows, size = _run(buffer, self._count, lengths)
        if rows < min(_RUN_ROWS, len(buffer) // size) or min(lengths) < 0:
            starts = self._starts(buffer, lengths[0])
            fields, ends = self._fields(buffer, starts)
            rows, size = len(starts), int(ends[-1])
        else:
            fields = _even_fields(buffer, rows, size, lengths)
            size *= rows
        block: dict[str, Any] = {}
        for index, (name, oid) in enumerate(self._columns):
            field: _Even | _Uneven = fields[index]
            block[name] = _text(field) if oid in TEXT_OIDS else _fixed(field, KINDS[oid], name)
        self._take(block)
        return size

    def _first_row(self, buffer: Array) -> list[int] | None:
        """The lengths of its fields, -1 where NULL; None if it is not there as a whole."""
        if buffer[:2].tobytes() != self._count:
            return None
        position, lengths = 2, []
        for _ in self._columns:
            length = int.from_bytes(buffer[position : position + 4].tobytes(), "big", signed=True)
            position += 4 + max(length, 0)
            lengths.append(length)
            if position > len(buffer):
                return None
        return lengths

    def _starts(self, buffer: Array, length: int) -> Array:
        """Where the whole rows begin; `length` is that of the first field of the first row."""
        starts = _search(buffer, self._count + length.to_bytes(4, "big", signed=True))
        for _ in range(2):
            ends = self._fields(buffer, starts)[1]
            whole = ends <= len(buffer)
            starts, ends = starts[whole], ends[whole]
            if not len(starts) or starts[0] != 0:
                break
            if np.array_equal(ends[:-1], starts[1:]) and not self._first_row(buffer[ends[-1] :]):
                return starts
            # The mark occurs in data, too; where no row ends, none begins.
            begins = np.zeros(len(buffer) + 1, bool)
            begins[0] = begins[ends] = True
            starts = starts[begins[starts]]
        return self._walk(buffer.tobytes())

    def _walk(self, buffer: bytes) -> Array:
        """Where the whole rows begin, one after the other."""
        starts, position = [], 0
        while buffer[position : position + 2] == self._count:
            end = position + 2
            for _ in self._columns:
                length = int.from_bytes(buffer[end : end + 4], "big", signed=True)
                end += 4 + max(length, 0)
            if end > len(buffer):
                break
            starts.append(position)
            position = end
        return np.array(starts, np.int64)

    def _fields(self, buffer: Array, starts: Array) -> tuple[list[_Uneven], Array]:
        """The fields of rows, and the rows' ends; beyond the buffer if cut."""
        beyond = len(buffer) + 1
        lengths_at = at(buffer, ">i4")
        offset = starts + 2
        fields = []
        for _ in self._columns:
            cut = offset > len(buffer) - 4
            if cut.any():
                length = np.full(len(offset), beyond, np.int64)
                length[~cut] = lengths_at[offset[~cut]]
            else:
                length = lengths_at[offset].astype(np.int64)
            offset = offset + 4
            fields.append(_Uneven(buffer, offset, length))
            offset = offset + np.maximum(length, 0)
        return fields, offset


class _Even(NamedTuple):
    """A field of rows of equal layout, never NULL."""

    buffer: Array
    rows: int
    distance: int
    offset: int
    length: int

    def values(self, kind: str) -> Array:
        """Of the rows, a view."""
        return np.ndarray(self.rows, kind, self.buffer, self.offset, (self.distance,))


class _Uneven(NamedTuple):
    """A field of rows that begin anywhere; `length` is -1 where NULL."""

    buffer: Array
    offset: Array
    length: Array


def _run(buffer: Array, count: bytes, lengths: Sequence[int]) -> tuple[int, int]:
    """How many rows from the first on have its layout, and the bytes of one."""
    size = 2 + sum(4 + max(length, 0) for length in lengths)
    rows = len(buffer) // size
    equal = np.ndarray(rows, ">i2", buffer, 0, (size,)) == int.from_bytes(count, "big")
    offset = 2
    for length in lengths:
        equal &= np.ndarray(rows, ">i4", buffer, offset, (size,)) == length
        offset += 4 + max(length, 0)
    return (rows if equal.all() else int(np.argmin(equal))), size


def _even_fields(buffer: Array, rows: int, size: int, lengths: Sequence[int]) -> list[_Even]:
    fields, offset = [], 2
    for length in lengths:
        fields.append(_Even(buffer, rows, size, offset + 4, length))
        offset += 4 + length
    return fields


def _search(buffer: Array, mark: bytes) -> Array:
    """Where `mark` occurs."""
    count = max(len(buffer) - len(mark) + 1, 0)
    hit = np.ones(count, bool)
    for i, byte in enumerate(mark):
        hit &= buffer[i : i + count] == byte
    return np.flatnonzero(hit)


def _fixed(field: _Even | _Uneven, kind: Kind, name: str) -> Array:
    if isinstance(field, _Even):
        null, raw = None, field.values(kind.wire)
    else:
        null = field.length < 0
        if not null.any():
            null = None
        elif kind.out[0] not in "fd":
            raise DataError(
                f"Column {name!r} has a NULL, which {kind.out} cannot represent: use coalesce()."
            )
        offset = field.offset if null is None else np.where(null, 0, field.offset)
        raw = at(field.buffer, kind.wire)[offset]
    values = raw.astype(kind.wire.replace(">", "="))
    if kind.epoch:
        limits = np.iinfo(values.dtype)
        real = values if null is None else values[~null]
        if len(real) and (real.max() > limits.max - kind.epoch or real.min() == limits.min):
            raise DataError(
                f"Column {name!r} has an infinite time, or one that int64 cannot represent."
            )
        whole = values.astype(np.int64) + kind.epoch
        if null is not None:
            whole[null] = _INT64.min  # NaT
        return whole.view(kind.out)
    if null is not None:
        values[null] = np.nan
    return values


def _text(field: _Even | _Uneven) -> Any:
    """A `pyarrow.LargeStringArray`."""
    import pyarrow as pa

    present = None
    if isinstance(field, _Even):
        offsets = np.arange(field.rows + 1, dtype=np.int64) * field.length
        data = field.values(f"V{field.length}").tobytes() if field.length else b""
    else:
        null = field.length < 0
        lengths = np.maximum(field.length, 0)
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        position = np.repeat(field.offset - offsets[:-1], lengths) + np.arange(offsets[-1])
        data = field.buffer[position].tobytes()
        if null.any():
            present = pa.py_buffer(np.packbits(~null, bitorder="little").tobytes())
    return pa.LargeStringArray.from_buffers(
        len(offsets) - 1, pa.py_buffer(offsets), pa.py_buffer(data), present
    )
