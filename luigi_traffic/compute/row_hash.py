"""xxHash64 of the rows of Arrow batches, as `luigi_traffic.compute.checksum` defines it.

The constants and steps are those of the xxHash specification
(https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md) for inputs below 32 bytes. They
are taken in place: a new array for each step would cost as much as the step.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pyarrow as pa
import xxhash

from luigi_traffic.compute.checksum import SEED, in_hex
from luigi_traffic.errors import DataError

Hashes = np.ndarray[Any, np.dtype[np.uint64]]

_1, _2, _3, _4, _5 = (
    np.uint64(prime)
    for prime in (
        0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0x85EBCA77C2B2AE63,
        0x27D4EB2F165667C5,
    )
)  # fmt: skip

#: From so many bytes on, a text is hashed in another way.
_STRIPE = 32


def checksum(batches: Iterable[pa.RecordBatch]) -> str:
    """The checksum of all rows; the columns stand in the order of the chain.

    Raises `DataError` for a column of a type that has no hash.
    """
    total = 0
    for batch in batches:
        hashes = np.full(batch.num_rows, SEED, np.uint64)
        spare = np.empty_like(hashes)
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            if column.null_count < len(column):
                _chain(hashes, column, name, spare)
        # Numpy's sum of unsigned integers is modulo 2^64.
        total += int(hashes.sum(dtype=np.uint64))
    return in_hex(total)


def _chain(hashes: Hashes, column: pa.Array, name: str, spare: Hashes) -> None:
    """Make of each seed the hash of the column's value; NULL: the seed stays."""
    missing = _missing(column) if column.null_count else None
    kind = column.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        if missing is None:
            _chain_texts(hashes, column)
        else:
            seeds = hashes[~missing]
            _chain_texts(seeds, column.drop_null())
            hashes[~missing] = seeds
        return
    values = _numbers(column)
    if values is None:
        raise DataError(
            f"the column {name!r} is of type {kind}, of which the engine duckdb has no checksum: "
            "let bronze make text, a double, a whole number, a date or a timestamp of it"
        )
    kept = hashes if missing is None else hashes[missing]
    if values.dtype.itemsize == 8:
        _begin(hashes, 8)
        _take_8_bytes(hashes, values.view(np.uint64), spare)
    else:
        narrow = values.astype(np.int32, copy=False).view(np.uint32)
        _begin(hashes, 4)
        _take_4_bytes(hashes, narrow.astype(np.uint64), spare)
    _mix(hashes, spare)
    if missing is not None:
        hashes[missing] = kept


def _missing(column: pa.Array) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Which values are NULL."""
    bits = np.frombuffer(column.buffers()[0], np.uint8)
    bits = np.unpackbits(bits, count=column.offset + len(column), bitorder="little")
    missing: np.ndarray[Any, np.dtype[np.bool_]] = bits[column.offset :] == 0
    return missing


def _values(column: pa.Array, kind: str) -> np.ndarray[Any, Any]:
    """The values as they lie in memory; at a NULL, anything. Arrow's own way imports pandas, which
    takes longer than to hash a million rows."""
    return np.frombuffer(column.buffers()[1], kind)[column.offset :][: len(column)]


def _numbers(column: pa.Array) -> np.ndarray[Any, Any] | None:
    """The values of a column as they are hashed; None if it is of another type."""
    kind = column.type
    if pa.types.is_timestamp(kind):
        return _values(column.cast(pa.timestamp("us")), "i8")
    if pa.types.is_date32(kind):
        return _values(column, "i4")
    if pa.types.is_boolean(kind):
        return _values(column.cast(pa.int32()), "i4")
    if pa.types.is_signed_integer(kind):
        return _values(column, str(kind))
    if pa.types.is_float64(kind):
        plain = _values(column, "f8") + 0.0  # -0.0 + 0.0 is 0.0
        plain[np.isnan(plain)] = np.nan
        return plain
    return None


def _chain_texts(hashes: Hashes, texts: pa.Array) -> None:
    """As `_chain`, of texts none of which is NULL. Those of equal length are hashed together: to
    hash each different text once was slower as soon as rows are not sorted by link."""
    wide = pa.types.is_large_string(texts.type)
    offsets = np.frombuffer(texts.buffers()[1], "i8" if wide else "i4")
    offsets = offsets[texts.offset :][: len(texts) + 1]
    lengths = np.diff(offsets)
    data = np.frombuffer(texts.buffers()[2] or b"", np.uint8)
    least = int(lengths.min())
    if least == lengths.max() and least < _STRIPE:
        _chain_even(hashes, data[offsets[0] : offsets[-1]], least)
        return
    for length in np.unique(lengths).tolist():
        at = np.flatnonzero(lengths == length)
        if length < _STRIPE:
            some = hashes[at]
            _chain_even(some, data[offsets[at, None] + np.arange(length)].ravel(), length)
            hashes[at] = some
            continue
        for row, begin in zip(at.tolist(), offsets[at].tolist(), strict=True):
            text = data[begin : begin + length].tobytes()
            hashes[row] = xxhash.xxh64_intdigest(text, int(hashes[row]))


def _chain_even(hashes: Hashes, data: np.ndarray[Any, np.dtype[np.uint8]], length: int) -> None:
    """As `_chain`, of texts of `length` bytes each that lie one behind the other."""

    def part(kind: str, begin: int) -> Hashes:
        where = np.ndarray(len(hashes), kind, data, begin, (length,))  # type: ignore[call-overload]
        found: Hashes = where.astype(np.uint64)
        return found

    spare = np.empty_like(hashes)
    _begin(hashes, length)
    at = 0
    while length - at >= 8:
        _take_8_bytes(hashes, part("<u8", at), spare)
        at += 8
    if length - at >= 4:
        _take_4_bytes(hashes, part("<u4", at), spare)
        at += 4
    for begin in range(at, length):
        _take_byte(hashes, part("u1", begin), spare)
    _mix(hashes, spare)


def _rotate(values: Hashes, bits: int, spare: Hashes) -> None:
    np.left_shift(values, np.uint64(bits), out=spare)
    values >>= np.uint64(64 - bits)
    values |= spare


def _mix(hashes: Hashes, spare: Hashes) -> None:
    for bits, factor in ((33, _2), (29, _3)):
        np.right_shift(hashes, np.uint64(bits), out=spare)
        hashes ^= spare
        hashes *= factor
    np.right_shift(hashes, np.uint64(32), out=spare)
    hashes ^= spare


def _begin(hashes: Hashes, length: int) -> None:
    hashes += _5 + np.uint64(length)


def _take_8_bytes(hashes: Hashes, values: Hashes, spare: Hashes) -> None:
    mixed = values * _2
    _rotate(mixed, 31, spare)
    mixed *= _1
    hashes ^= mixed
    _rotate(hashes, 27, spare)
    hashes *= _1
    hashes += _4


def _take_4_bytes(hashes: Hashes, values: Hashes, spare: Hashes) -> None:
    hashes ^= values * _1
    _rotate(hashes, 23, spare)
    hashes *= _2
    hashes += _3


def _take_byte(hashes: Hashes, values: Hashes, spare: Hashes) -> None:
    hashes ^= values * _5
    _rotate(hashes, 11, spare)
    hashes *= _1
