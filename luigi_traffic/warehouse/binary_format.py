"""PostgreSQL's binary COPY format: constants, types, and numpy at arbitrary offsets.

A row is an int16 count of fields, then for each field an int32 length (-1: NULL) and its
bytes, all big-endian; timestamps count microseconds, dates days, since 2000-01-01.
Source: PostgreSQL's documentation, "COPY", section "Binary Format".
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

SIGNATURE = b"PGCOPY\n\xff\r\n\0" + bytes(8)  # with flags and an empty extension
TRAILER = b"\xff\xff"
EPOCH_US = 946_684_800_000_000  # 2000-01-01 since 1970-01-01
EPOCH_DAYS = 10_957

Array = NDArray[Any]


class Kind(NamedTuple):
    """How a fixed-width type is sent and what callers get."""

    wire: str  # numpy type of the value on the wire
    out: str  # numpy type for callers
    epoch: int  # added to the wire's value


#: Fixed-width types by the oid of `pg_type`.
KINDS = {
    16: Kind("?", "bool", 0),
    20: Kind(">i8", "int64", 0),
    21: Kind(">i2", "int16", 0),
    23: Kind(">i4", "int32", 0),
    700: Kind(">f4", "float32", 0),
    701: Kind(">f8", "float64", 0),
    1082: Kind(">i4", "datetime64[D]", EPOCH_DAYS),
    1114: Kind(">i8", "datetime64[us]", EPOCH_US),
}
TEXT_OIDS = frozenset({25, 1042, 1043, 19})
TYPE_OIDS = {
    "boolean": 16,
    "bigint": 20,
    "smallint": 21,
    "integer": 23,
    "real": 700,
    "double precision": 701,
    "date": 1082,
    "timestamp": 1114,
}


def at(buffer: Array, kind: str) -> Array:
    """`buffer` (bytes) as items of `kind`, one beginning at every byte."""
    size = np.dtype(kind).itemsize
    return np.ndarray(max(len(buffer) - size + 1, 0), kind, buffer, strides=(1,))
