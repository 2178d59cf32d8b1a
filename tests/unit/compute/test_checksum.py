"""The checksum of DuckDB's engine is the one that Spark computes, whatever is in the rows."""

from __future__ import annotations

import subprocess
import sys
from datetime import date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from luigi_traffic.compute import checksum, row_hash
from luigi_traffic.compute.duckdb_engine import DuckDbEngine
from luigi_traffic.errors import DataError
from luigi_traffic.lake.attempt import Attempt
from luigi_traffic.lake.local import LocalStore
from luigi_traffic.settings.keys import Settings

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
_WIDE = {pa.string(): pa.large_string()}
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
    wide = rows.cast(pa.schema([(f.name, _WIDE.get(f.type, f.type)) for f in SCHEMA]))
    assert ours(wide) == total
    assert ours(wide.slice(5), 3) == ours(rows.slice(5))
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


@pytest.mark.parametrize("links", [1, 50, 200_000])
def test_a_partition_of_several_dictionaries(tmp_path: Path, links: int) -> None:
    """DuckDB writes a dictionary for each 122,880 rows, and none if there are too many links."""
    rng = np.random.default_rng(links)
    names = pa.array([f"link {n} 가" for n in range(links)] + [None])
    count = 300_000
    link_id = names.take(pa.array(rng.integers(0, links + 1, count)))
    note = pa.array(["", None, "x" * 40]).take(pa.array(rng.choice(3, count, p=[0.01, 0.98, 0.01])))
    speed = pa.array(rng.normal(50, 10, count), mask=rng.random(count) < 0.1)
    rows = pa.table({"note": note, "speed": speed, "link_id": link_id})
    engine, attempt = DuckDbEngine(Settings()), Attempt("silver/tiny/2012-03-28/0123456789ab/")
    with engine.in_force():
        frame = engine.table(rows)
        written = engine.write(frame, LocalStore(tmp_path), attempt, {})
        assert written.checksum == engine.checksum(frame)
    plain = rows.select(["link_id", "speed", "note"]).slice(0, 2000)
    one_by_one = sum(int(row_hash.checksum([b]), 16) for b in plain.to_batches(max_chunksize=1))
    assert row_hash.checksum(plain.to_batches()) == checksum.in_hex(one_by_one)


def test_columns_of_nulls_and_of_no_row() -> None:
    nothing = pa.table({"link_id": pa.array([], pa.string()), "n": pa.array([], pa.int64())})
    nulls = pa.table({"link_id": pa.array([None] * 3, pa.string()), "n": pa.array([None, 1, None])})
    assert row_hash.checksum(nothing.to_batches()) == "0" * 16
    one = pa.table({"n": [1]}).to_batches()
    seeds = checksum.in_hex(int(row_hash.checksum(one), 16) + 2 * checksum.SEED)
    assert row_hash.checksum(nulls.to_batches()) == seeds
    assert row_hash.checksum(nulls.slice(1).to_batches()) == checksum.in_hex(
        int(seeds, 16) - checksum.SEED
    )


def test_a_partition_is_hashed_without_pandas(tmp_path: Path) -> None:
    """Its import costs more than the checksum of a million rows."""
    pq.write_table(pa.table({"link_id": ["a", None], "n": [1, None]}), tmp_path / "x.parquet")
    code = (
        "import sys, pyarrow.parquet as pq; from luigi_traffic.compute import row_hash\n"
        "row_hash.checksum(pq.ParquetFile(sys.argv[1]).iter_batches())\n"
        "print('pandas' in sys.modules)"
    )
    words = [sys.executable, "-c", code, str(tmp_path / "x.parquet")]
    assert subprocess.check_output(words, text=True) == "False\n"
