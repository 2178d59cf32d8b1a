"""PostgreSQL's binary COPY format to numpy, a chunk of bytes at a time."""

from __future__ import annotations

import io
import secrets
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

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

CHUNK_BYTES = 8 << 20
_INT64 = np.iinfo(np.int64)


class Coded(NamedTuple):
    """A text column: `categories[codes[i]]`, code -1 where NULL; in order of first appearance."""

    codes: NDArray[np.int32]
    categories: list[str]


class Decoder(io.RawIOBase):
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
        """For `io.BufferedWriter`, which gathers the rows that psycopg2 writes one by one."""
        return True

    def write(self, data: Any) -> int:
        """Decode the whole rows there are, keep the rest; takes everything."""
        size = len(data)
        raw = self._rest + bytes(data)
        if not self._started:
            if len(raw) < len(SIGNATURE):
                self._rest = raw
                return size
            if not raw.startswith(SIGNATURE):
                raise DataError("The server's COPY stream does not begin like the binary format.")
            self._started, raw = True, raw[len(SIGNATURE) :]
        buffer, done = np.frombuffer(raw, np.uint8), 0
        while taken := self._decode(buffer[done:]):
            done += taken
        self._rest = raw[done:]
        return size

    def result(self) -> dict[str, Array | Coded]:
        """All columns; call it when the stream has ended."""
        if not self._started or self._rest != TRAILER:
            raise DataError(
                f"The server's COPY stream broke off with {len(self._rest)} bytes left over."
            )
        return {
            name: _join_text(parts) if oid in TEXT_OIDS else _join_fixed(parts, KINDS[oid].out)
            for (name, oid), parts in zip(self._described, self._parts, strict=True)
        }

    def _decode(self, buffer: Array) -> int:
        """Decode the whole rows in `buffer`; return how many bytes they took."""
        starts = self._search(buffer)
        fields, ends = self._fields(buffer, starts)
        whole = ends <= len(buffer)
        if not whole.all():
            # The last row is cut. (Or a mark in the data has misled us: the rest comes again.)
            count = int(np.argmin(whole))
            starts, ends = starts[:count], ends[:count]
            fields = [(offset[:count], length[:count]) for offset, length in fields]
        if len(starts) and (starts[0] != 0 or not np.array_equal(ends[:-1], starts[1:])):
            starts = self._walk(buffer.tobytes())
            fields, ends = self._fields(buffer, starts)
        for (name, oid), parts, (offset, length) in zip(
            self._described, self._parts, fields[1:], strict=True
        ):
            if not len(starts):
                continue
            if oid in TEXT_OIDS:
                parts.append(_gather_text(buffer, offset, length))
            else:
                parts.append(_gather_fixed(buffer, offset, length, KINDS[oid], name))
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

    def _walk(self, buffer: bytes) -> Array:
        """Where rows begin, one after the other: only if the mark occurs in the data."""
        starts, position = [], 0
        fields = self._mark[:2].tobytes()
        while buffer[position : position + 2] == fields:
            end = position + 2
            for _ in range(len(self._described) + 1):
                length = int.from_bytes(buffer[end : end + 4], "big", signed=True)
                end += 4 + max(length, 0)
            if end > len(buffer):
                break
            starts.append(position)
            position = end
        return np.array(starts, np.int64)

    def _fields(self, buffer: Array, starts: Array) -> tuple[list[tuple[Array, Array]], Array]:
        """(offset, length) of each field's value, and the rows' ends; beyond the buffer if cut."""
        beyond = len(buffer) + 1
        lengths_at = at(buffer, ">i4")
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


def _gather_fixed(buffer: Array, offset: Array, length: Array, kind: Kind, name: str) -> Array:
    null = length < 0
    some_null = bool(null.any())
    if some_null and kind.out[0] not in "fd":
        raise DataError(
            f"Column {name!r} has a NULL, which {kind.out} cannot represent: use coalesce()."
        )
    anywhere = at(buffer, kind.wire)
    values = anywhere[np.where(null, 0, offset) if some_null else offset]
    values = values.astype(kind.wire.replace(">", "="))
    if kind.epoch:
        limits = np.iinfo(values.dtype)
        real = values[~null]
        if len(real) and (real.max() > limits.max - kind.epoch or real.min() == limits.min):
            raise DataError(
                f"Column {name!r} has an infinite time, or one that int64 cannot represent."
            )
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
        data = at(buffer, f"V{width}")[offset]
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
