"""xxHash64 of the rows of Arrow batches, as `luigi_traffic.compute.checksum` defines it.

The constants and steps are those of the xxHash specification
(https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md) for inputs of 4 and 8 bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
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
    """The checksum of all rows; the columns stand in the order of the chain.

    Raises `DataError` for a column of a type that has no hash.
    """
    total = 0
    for batch in batches:
        hashes = np.full(batch.num_rows, SEED, np.uint64)
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            hashes = _chained(hashes, column, name)
        # Numpy's sum of unsigned integers is modulo 2^64.
        total += int(hashes.sum(dtype=np.uint64))
    return in_hex(total)


def _chained(seeds: Hashes, column: pa.Array, name: str) -> Hashes:
    """The hashes of a column's values, each with its seed; NULL: the seed."""
    if column.null_count == len(column):
        return seeds
    kind = column.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return _texts(seeds, column)
    made = _numbers(column, kind)
    if made is None:
        raise DataError(
            f"the column {name!r} is of type {kind}, of which the engine duckdb has no checksum: "
            "let bronze make text, a double, a whole number, a date or a timestamp of it"
        )
    hashes = made(seeds)
    return np.where(_valid(column), hashes, seeds) if column.null_count else hashes


def _valid(column: pa.Array) -> np.ndarray[Any, np.dtype[np.bool_]]:
    return np.asarray(column.is_valid())


def _numbers(column: pa.Array, kind: pa.DataType) -> Callable[[Hashes], Hashes] | None:
    """How the values of a column are hashed; None if it is of another type."""
    if pa.types.is_timestamp(kind):
        column = column.cast(pa.timestamp("us")).cast(pa.int64())
    elif pa.types.is_date32(kind) or pa.types.is_boolean(kind):
        column = column.cast(pa.int32())
    kind = column.type
    values = np.asarray(column.fill_null(0)) if column.null_count else np.asarray(column)
    if pa.types.is_int64(kind):
        return lambda seeds: _of_8_bytes(values.view(np.uint64), seeds)
    if pa.types.is_float64(kind):
        plain = np.where(np.isnan(values), np.nan, values + 0.0)  # -0.0 + 0.0 is 0.0
        return lambda seeds: _of_8_bytes(plain.view(np.uint64), seeds)
    if pa.types.is_signed_integer(kind):
        narrow = values.astype(np.int32).view(np.uint32).astype(np.uint64)
        return lambda seeds: _of_4_bytes(narrow, seeds)
    return None


def _texts(seeds: Hashes, column: pa.Array) -> Hashes:
    if seeds.size and (seeds == seeds[0]).all():
        seed = int(seeds[0])
        encoded = pc.dictionary_encode(column)
        known = np.array(
            [xxhash.xxh64_intdigest(text.as_py().encode(), seed) for text in encoded.dictionary],
            np.uint64,
        )
        hashes = known[np.asarray(encoded.indices.fill_null(0))]
        return np.where(_valid(column), hashes, seeds) if column.null_count else hashes
    hashes = seeds.copy()
    at = np.flatnonzero(_valid(column))
    for row, text in zip(at.tolist(), column.take(pa.array(at)).to_pylist(), strict=True):
        hashes[row] = xxhash.xxh64_intdigest(text.encode(), int(seeds[row]))
    return hashes


def _rotated(values: Hashes, bits: int) -> Hashes:
    return (values << np.uint64(bits)) | (values >> np.uint64(64 - bits))


def _mixed(hashes: Hashes) -> Hashes:
    hashes ^= hashes >> np.uint64(33)
    hashes *= _2
    hashes ^= hashes >> np.uint64(29)
    hashes *= _3
    hashes ^= hashes >> np.uint64(32)
    return hashes


def _of_8_bytes(values: Hashes, seeds: Hashes) -> Hashes:
    hashes = seeds + (_5 + np.uint64(8))
    hashes ^= _rotated(values * _2, 31) * _1
    return _mixed(_rotated(hashes, 27) * _1 + _4)


def _of_4_bytes(values: Hashes, seeds: Hashes) -> Hashes:
    hashes = seeds + (_5 + np.uint64(4))
    hashes ^= values * _1
    return _mixed(_rotated(hashes, 23) * _2 + _3)
