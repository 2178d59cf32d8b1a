"""The checksum of DuckDB's engine is the one that Spark computes, whatever is in the rows."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from luigi_traffic.compute import checksum, row_hash
from luigi_traffic.errors import DataError

_DOUBLES = [-0.0, 0.0, float("nan"), float("inf"), float("-inf"), 5e-324, 2.2e-308, 1.7e308]
_TEXTS = ["", " ", "강남대로", "\U0001f697", "\0", "\r\n", "x" * 31, "x" * 32, "가" * 400]
#: A column of each type that a partition can have; texts before and behind the numbers.
VALUES: dict[str, tuple[pa.DataType, st.SearchStrategy[Any]]] = {
    "note": (pa.string(), st.sampled_from(_TEXTS) | st.text(max_size=40)),
    "timestamp": (pa.timestamp("us"), st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31))),
    "speed": (pa.float64(), st.sampled_from(_DOUBLES) | st.floats()),
    "link_id": (pa.string(), st.sampled_from(["1920161400", "b", *_TEXTS])),
    "n": (pa.int32(), st.sampled_from([-(1 << 31), 0]) | st.integers(-(1 << 31), (1 << 31) - 1)),
    "total": (pa.int64(), st.sampled_from([-(1 << 63)]) | st.integers(-(1 << 63), (1 << 63) - 1)),
    "small": (pa.int16(), st.integers(-(1 << 15), (1 << 15) - 1)),
    "day": (pa.date32(), st.dates(date(1, 1, 1), date(9999, 12, 31))),
    "seen": (pa.bool_(), st.booleans()),
    "reason": (pa.string(), st.sampled_from(_TEXTS)),
}
ROWS = st.tuples(*[st.none() | values for _, values in VALUES.values()])
SCHEMA = pa.schema([(name, kind) for name, (kind, _) in VALUES.items()])
ORDER = ["link_id", "timestamp", "speed", "n", "total", "small", "day", "seen", "note", "reason"]


def table(rows: list[tuple[Any, ...]]) -> pa.Table:
    columns = [pa.array(c, f.type) for c, f in zip(zip(*rows, strict=True), SCHEMA, strict=True)]
    return pa.table(columns, SCHEMA)


def ours(rows: pa.Table, batch: int | None = None) -> str:
    return row_hash.checksum(rows.select(ORDER).to_batches(max_chunksize=batch))


@pytest.mark.spark
def test_the_hash_of_each_row_is_that_of_spark(spark) -> None:
    """Many examples, hashed by one job of Spark's: a job an example would take minutes."""
    from pyspark.sql import functions as F

    found: list[tuple[Any, ...]] = [(None,) * len(VALUES)]

    @settings(max_examples=60, database=None, derandomize=True,
              suppress_health_check=list(HealthCheck), deadline=None)  # fmt: skip
    @given(st.lists(ROWS, min_size=1, max_size=20))
    def gather(rows: list[tuple[Any, ...]]) -> None:
        found.extend(rows)

    gather()
    assert len(found) > 300
    rows = table(found)
    frame = spark.createDataFrame(rows.append_column("row", pa.array(range(len(rows)))))
    hashed = frame.select("row", F.xxhash64(*ORDER).alias("hash")).toArrow().to_pydict()
    theirs = dict(zip(hashed["row"], hashed["hash"], strict=True))
    for number in range(len(rows)):
        mine = int(ours(rows.slice(number, 1)), 16)
        assert mine == theirs[number] % (1 << 64), found[number]
    total = checksum.in_hex(sum(theirs.values()))
    # In one batch a text has the same seed as others, or each its own; in any order.
    assert {
        ours(rows),
        ours(rows, 1),
        ours(rows, 7),
        ours(rows.take([*range(len(rows))][::-1])),
    } == {total}
    assert ours(rows.slice(1)) != total


@pytest.mark.spark
def test_both_engines_take_the_columns_in_the_same_order(engine) -> None:
    rows = table([(t, None, 1.5, "a", 1, 2, 3, None, True, t) for t in ("b", "", None)])
    frame = engine.table(rows)
    assert checksum.order(engine.schema(frame)) == ORDER
    assert engine.checksum(frame) == ours(rows)
    assert engine.checksum(frame.where("n = 0")) == "0" * 16


def test_the_first_seed_and_null() -> None:
    assert int(ours(table([(None,) * len(VALUES)])), 16) == checksum.SEED


def test_a_type_without_a_hash_is_named() -> None:
    rows = pa.table({"link_id": ["a"], "path": [[1, 2]]})
    with pytest.raises(DataError, match=r"the column 'path' is of type list<.* has no checksum"):
        row_hash.checksum(rows.to_batches())
