"""xxHash64 of the rows of Arrow batches, as `luigi_traffic.compute.checksum` defines it.

The constants and steps are those of the xxHash specification
(https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md) for inputs of 4 and 8 bytes. They
are taken in place: a new array for each step would cost as much as the step.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
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


def checksum(batches: Iterable[pa.RecordBatch]) -> str:
    """The checksum of all rows; the columns stand in the order of the chain. Texts may be
    dictionary-encoded.

    Raises `DataError` for a column of a type that has no hash.
    """
    total = 0
    known: dict[str, int] = {}
    for batch in batches:
        hashes = np.full(batch.num_rows, SEED, np.uint64)
        spare = np.empty_like(hashes)
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            if column.null_count < len(column):
                _chain(hashes, column, name, known, spare)
        # Numpy's sum of unsigned integers is modulo 2^64.
        total += int(hashes.sum(dtype=np.uint64))
    return in_hex(total)


def _chain(
    hashes: Hashes, column: pa.Array, name: str, known: dict[str, int], spare: Hashes
) -> None:
    """Make of each seed the hash of the column's value; NULL: the seed stays.

    `known` keeps the hashes of texts whose seed is the first.
    """
    missing = _missing(column) if column.null_count else None
    seeds = hashes if missing is None else hashes[missing]
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        _chain_texts(hashes, column, missing, known)
    elif (values := _numbers(column)) is not None:
        if values.dtype.itemsize == 8:
            _chain_8_bytes(hashes, values.view(np.uint64), spare)
        else:
            narrow = values.astype(np.int32, copy=False).view(np.uint32)
            _chain_4_bytes(hashes, narrow.astype(np.uint64), spare)
    else:
        raise DataError(
            f"the column {name!r} is of type {kind}, of which the engine duckdb has no checksum: "
            "let bronze make text, a double, a whole number, a date or a timestamp of it"
        )
    if missing is not None:
        hashes[missing] = seeds


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


def _chain_texts(
    hashes: Hashes,
    column: pa.Array,
    missing: np.ndarray[Any, np.dtype[np.bool_]] | None,
    known: dict[str, int],
) -> None:
    encoded = pa.types.is_dictionary(column.type)
    if (hashes == SEED).all():
        column = column if encoded else pc.dictionary_encode(column)
        texts = column.dictionary.to_pylist()
        for text in texts:
            if text not in known:
                known[text] = xxhash.xxh64_intdigest(text.encode(), SEED)
        at = _values(column.indices, str(column.indices.type))
        if missing is not None:
            at = np.where(missing, 0, at)
        np.take(np.array([known[text] for text in texts], np.uint64), at, out=hashes, mode="clip")
        return
    if encoded:
        column = column.dictionary_decode()
    there = range(len(column)) if missing is None else np.flatnonzero(~missing).tolist()
    for row, text in zip(there, column.drop_null().to_pylist(), strict=True):
        hashes[row] = xxhash.xxh64_intdigest(text.encode(), int(hashes[row]))


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


def _chain_8_bytes(hashes: Hashes, values: Hashes, spare: Hashes) -> None:
    mixed = values * _2
    _rotate(mixed, 31, spare)
    mixed *= _1
    hashes += _5 + np.uint64(8)
    hashes ^= mixed
    _rotate(hashes, 27, spare)
    hashes *= _1
    hashes += _4
    _mix(hashes, spare)


def _chain_4_bytes(hashes: Hashes, values: Hashes, spare: Hashes) -> None:
    hashes += _5 + np.uint64(4)
    hashes ^= values * _1
    _rotate(hashes, 23, spare)
    hashes *= _2
    hashes += _3
    _mix(hashes, spare)
