"""Partitions that either engine writes and reads: the same rows, files and checksums."""

from __future__ import annotations

import gc
import hashlib
import os
import shutil
import signal
import time
import weakref
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest
from frames import arrow

from luigi_traffic import functions as F
from luigi_traffic.compute import duckdb_session
from luigi_traffic.compute.duckdb_engine import DuckDbEngine
from luigi_traffic.compute.engine import Engine
from luigi_traffic.compute.spark_engine import SparkEngine
from luigi_traffic.errors import SettingsError, StoreError
from luigi_traffic.lake.attempt import Attempt
from luigi_traffic.lake.local import LocalStore
from luigi_traffic.settings.keys import Settings

pytestmark = pytest.mark.spark
ATTEMPT = Attempt("silver/tiny/2012-03-28/0123456789ab/")
SCHEMA = (
    "timestamp timestamp_ntz, link_id string, speed double, n_obs int, day date, seen boolean,"
    " total bigint"
)
TIME = datetime(2012, 3, 28, 2, 30)  # wall time that some zones never had
ROWS = [
    (TIME, "a", 50.0, 1, date(2012, 3, 28), True, 1 << 62),
    (datetime(1900, 1, 1), '강남\U0001f697\0\n"', -0.0, -2, date(1582, 10, 15), False, -1),
    (datetime(9999, 12, 31, 23, 59, 59, 999999), "", 5e-324, 0, date(9999, 12, 31), None, 0),
    (None,) * 7,
]


@pytest.fixture
def engines(spark) -> dict[str, Engine]:
    return {"spark": SparkEngine(spark), "duckdb": DuckDbEngine(Settings())}


def in_order(rows: list[dict[str, Any]]) -> list[str]:
    return sorted(map(repr, rows))


def as_dicts(table: pa.Table) -> list[str]:
    return in_order(table.to_pylist())


def test_a_partition_is_what_its_manifest_names(engine, tmp_path: Path) -> None:
    store, rows = LocalStore(tmp_path / "lake"), arrow(ROWS, SCHEMA)
    frame = engine.table(rows)
    assert [(c["name"], c["type"]) for c in engine.schema(frame)] == [
        tuple(column.split()) for column in SCHEMA.split(",")
    ]
    written = engine.write(frame, store, ATTEMPT, {"links": F.count(F.col("link_id"))})
    assert written.values == {"links": 3}
    assert written.files
    for file in written.files:
        data = store.read(file["key"])
        assert file["size"] == len(data)
        assert file["checksum"] == "sha256:" + hashlib.sha256(data).hexdigest()
    # Somebody else's file beside ours, and a half-written one.
    first = store.root / written.files[0]["key"]
    shutil.copy(first, first.with_name("part-99999-stranger.parquet"))
    (first.parent / "part-half.parquet").write_bytes(b"PAR1")
    read = engine.read(store, written.files, engine.schema(frame))
    assert in_order(engine.collect(read)) == as_dicts(rows)
    assert engine.schema(read) == engine.schema(frame)
    assert engine.checksum(read) == written.checksum


@pytest.mark.parametrize(("writer", "reader"), [("spark", "duckdb"), ("duckdb", "spark")])
def test_what_one_engine_wrote_the_other_reads(engines, tmp_path: Path, writer, reader) -> None:
    store, rows = LocalStore(tmp_path / "lake"), arrow(ROWS, SCHEMA)
    one, other = engines[writer], engines[reader]
    with one.in_force():
        frame = one.table(rows)
        schema = one.schema(frame)
        written = one.write(frame, store, ATTEMPT, {"rows": F.count(F.lit(1))})
    with other.in_force():
        read = other.read(store, written.files, schema)
        assert other.schema(read) == schema
        assert in_order(other.collect(read)) == as_dicts(rows)
        assert other.checksum(read) == written.checksum
        attempt = Attempt("silver/tiny/2012-03-28/ba9876543210/")
        again = other.write(read, store, attempt, {"rows": F.count(F.lit(1))})
    assert (again.checksum, again.values) == (written.checksum, written.values)


@pytest.mark.parametrize(
    "folder", ["a b", "[ab]", "{a,b}", "a*", "a?", "a\\b", "가 나", "it's", 'a"b', "100%41", "a=b"]
)
def test_names_of_folders(engine, tmp_path: Path, folder: str) -> None:
    store = LocalStore(tmp_path / folder)
    # What a pattern of that name would find as well.
    for decoy in ("a", "b", "ab", "ax"):
        (tmp_path / decoy).mkdir()
    frame = engine.table(arrow([("x",)], "link_id string"))
    written = engine.write(frame, store, ATTEMPT, {"rows": F.count(F.lit(1))})
    for decoy in ("a", "b", "ab", "ax"):
        shutil.copytree(store.root, tmp_path / decoy, dirs_exist_ok=True)
    assert written.values == {"rows": 1}
    read = engine.read(store, written.files, engine.schema(frame))
    assert engine.collect(read) == [{"link_id": "x"}]
    with store.writer("raw/piece.csv") as file:
        file.write(b"one\ntwo\n")
    lines = F.lines(engine.session(), raw(engine.address(store, "raw/piece.csv")))
    assert [row["line"] for row in engine.collect(lines)] == ["one", "two"]


def raw(*paths: str) -> Any:
    from luigi_traffic import RawDay

    return RawDay(date(2012, 3, 28), paths, None, "", 0)


def test_a_partition_without_files_has_its_columns(engine, tmp_path: Path) -> None:
    schema = [
        {"name": "timestamp", "type": "timestamp_ntz"},
        {"name": "an odd name", "type": "int"},
    ]
    read = engine.read(LocalStore(tmp_path), [], schema)
    assert engine.collect(read) == []
    assert engine.schema(read) == schema


def test_an_empty_frame_is_written_and_read(engine, tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    frame = engine.table(arrow([], SCHEMA))
    written = engine.write(frame, store, ATTEMPT, {"rows": F.count(F.lit(1))})
    assert (written.values, written.checksum) == ({"rows": 0}, "0" * 16)
    read = engine.read(store, written.files, engine.schema(frame))
    assert engine.collect(read) == []
    assert engine.schema(read) == engine.schema(frame)


NAMES = ["an odd name", "select", "한글", "it's"]


def test_names_of_columns(engine, tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    frame = engine.table(pa.table({name: [f"{name} 1", None] for name in NAMES}))
    written = engine.write(frame, store, ATTEMPT, {})
    read = engine.read(store, written.files, engine.schema(frame))
    assert engine.schema(read) == [{"name": name, "type": "string"} for name in NAMES]
    assert in_order(engine.collect(read)) == in_order(
        [{name: f"{name} 1" for name in NAMES}, dict.fromkeys(NAMES)]
    )


def test_a_lake_in_buckets_is_refused_by_duckdb(engines: dict[str, Engine]) -> None:
    from memory_store import MemoryStore

    with pytest.raises(SettingsError, match=r"the engine duckdb works on a lake in a folder"):
        engines["duckdb"].address(MemoryStore(), "raw/piece.csv")


def test_counts_of_a_frame_that_is_used_once(engine, tmp_path: Path) -> None:
    frame = engine.table(arrow([("a",), ("b",), (None,)], "link_id string"))
    wanted: dict[str, Callable[[], Any]] = {
        "rows": F.count(F.lit(1)), "links": F.collect_set(F.col("link_id")),
        "sum": F.sum(F.length(F.col("link_id"))),
    }  # fmt: skip
    counted, found = engine.counted(frame, wanted)
    engine.write(counted.where("link_id = 'a'"), LocalStore(tmp_path), ATTEMPT, {})
    values = found()
    assert (values["rows"], sorted(values["links"]), values["sum"]) == (3, ["a", "b"], 2)
    assert type(values["sum"]) is int


def test_a_forked_worker_has_a_duckdb_of_its_own() -> None:
    engine = DuckDbEngine(Settings())
    numbers = pa.table({"n": range(200_000)})

    def total() -> int:
        with engine.in_force():
            frame = engine.table(numbers)
            return int(engine.collect(frame.agg(F.sum("n").alias("sum")))[0]["sum"])

    here = engine.session()
    expected = total()
    child = os.fork()
    if not child:
        right = engine.session() is not here and total() == expected
        os._exit(0 if right else 1)
    # A child that waits for threads of its parent would never end.
    deadline = time.monotonic() + 60
    while (ended := os.waitpid(child, os.WNOHANG)) == (0, 0):
        if time.monotonic() > deadline:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            pytest.fail("the forked process hangs")
        time.sleep(0.05)
    assert os.waitstatus_to_exitcode(ended[1]) == 0
    assert total() == expected


def test_duckdb_lets_go_of_what_a_stage_has_handed_in() -> None:
    engine = DuckDbEngine(Settings())
    rows = pa.table({"n": [1]})
    alive = weakref.ref(rows)
    with engine.in_force():
        frame = engine.table(rows)
        assert engine.collect(frame) == [{"n": 1}]
        del rows, frame
    gc.collect()
    assert alive() is None


@pytest.mark.parametrize(
    ("total", "cores", "limit"),
    [(2, 2, 1), (6, 2, 1.5), (24, 2, 2), (64, 8, 2), (64, 16, 4), (64, 128, 16)],
)
def test_the_memory_that_duckdb_may_take(
    monkeypatch: pytest.MonkeyPatch, total: int, cores: int, limit: float
) -> None:
    """In GiB."""
    memory = SimpleNamespace(total=total << 30)
    monkeypatch.setattr(duckdb_session.psutil, "virtual_memory", lambda: memory)
    monkeypatch.setattr(duckdb_session.os, "cpu_count", lambda: cores)
    assert duckdb_session.default_memory() == limit * (1 << 30)


def test_too_little_memory_is_named_with_the_setting() -> None:
    engine = DuckDbEngine(Settings())
    session = engine.session()
    limit = session.execute("SELECT current_setting('memory_limit')").fetchall()[0][0]
    rows = pa.table({"n": range(1_000_000)})
    session.execute("SET memory_limit = '1MB'")
    try:
        with pytest.raises(SettingsError, match=r"Set compute\.memory to more"), engine.in_force():
            engine.collect(engine.table(rows).orderBy("n"))
    finally:
        session.execute(f"SET memory_limit = '{limit}'")


def test_a_file_that_is_gone_is_an_error_of_the_store(tmp_path: Path) -> None:
    engine, store = DuckDbEngine(Settings()), LocalStore(tmp_path)
    schema = [{"name": "n", "type": "int"}]
    with pytest.raises(StoreError, match=r"DuckDB cannot read.*part-1"), engine.in_force():
        engine.collect(engine.read(store, [{"key": "silver/tiny/part-1.parquet"}], schema))
