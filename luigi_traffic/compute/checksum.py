"""The content checksum of a partition: equal for equal rows, whatever their order and layout.

A row's hash is xxHash64 (https://xxhash.com), chained over its columns: the hash of a column is
the seed of the next, the first seed is 42, and NULL leaves the seed as it is. That is Spark's
`xxhash64`. Columns are taken in this order: `link_id`, then those that are no text in the order of
the schema, then the other texts. Numbers and times are hashed as Spark does: 64-bit integers and
microseconds since 1970 as 8 bytes, doubles by their bits (-0.0 as 0.0, one NaN), smaller integers
and dates as 4 bytes, texts as UTF-8. The checksum is the sum of the hashes modulo 2^64, in hex.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from luigi_traffic.compute.engine import Schema

if TYPE_CHECKING:
    from pyspark.sql import Column

SEED = 42
_HALF = 32


def order(schema: Schema) -> list[str]:
    """The columns in the order of the chain.

    A link's id stands in many rows, and has the same seed in all of them: it is hashed once a
    link. Texts behind it are nearly always NULL.
    """
    texts = [c["name"] for c in schema if c["type"] == "string" and c["name"] != "link_id"]
    link = [c["name"] for c in schema if c["name"] == "link_id"]
    return [*link, *(c["name"] for c in schema if c["name"] not in {*link, *texts}), *texts]


def spark_aggregates(schema: Schema) -> dict[str, Column]:
    """Spark's aggregates of it: the sums of the lower and of the upper 32 bits, which fit 64."""
    from pyspark.sql import functions as F

    row = F.xxhash64(*[F.col(f"`{name}`") for name in order(schema)])
    lower = row.bitwiseAND(F.lit((1 << _HALF) - 1))
    return {"lower_sum": F.sum(lower), "upper_sum": F.sum(F.shiftrightunsigned(row, _HALF))}


def of_sums(values: dict[str, Any]) -> str:
    """The checksum of those two; removes them from `values`."""
    lower, upper = values.pop("lower_sum") or 0, values.pop("upper_sum") or 0
    return in_hex(lower + (upper << _HALF))


def in_hex(total: int) -> str:
    """As manifests have it."""
    return f"{total & 0xFFFF_FFFF_FFFF_FFFF:016x}"
