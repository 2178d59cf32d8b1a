"""Plans of our frames are those of SQLFrame's own, made with less work."""

from __future__ import annotations

import gzip
import subprocess
import sys
from collections.abc import Callable
from datetime import date, datetime
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from frames import arrow
from sqlframe.duckdb import DuckDBDataFrame
from sqlglot import exp

from luigi_traffic import RawDay
from luigi_traffic import functions as F
from luigi_traffic.compute import schemas
from luigi_traffic.compute.duckdb_engine import DuckDbEngine
from luigi_traffic.compute.duckdb_frames import Frame
from luigi_traffic.compute.duckdb_session import Session
from luigi_traffic.settings.keys import Settings
from luigi_traffic_its.dataset import Its

ROWS = [
    (datetime(2024, 1, 10, 0, 5), "a", 50.0, 1),
    (datetime(2024, 1, 10, 0, 5), "a", 60.0, 2),
    (datetime(2024, 1, 10, 0, 10), "b", None, 3),
]
COLUMNS = "timestamp timestamp_ntz, link_id string, speed double, n_obs int"
DAY = date(2024, 1, 10)


@pytest.fixture
def engine() -> DuckDbEngine:
    return DuckDbEngine(Settings())


def steps(rows: Any) -> Any:
    return (
        rows.withColumn("Fast", F.col("speed") > 55)
        .where("speed IS NOT NULL")
        .select("*", (F.col("n_obs") + 1).alias("More"))
        .drop("n_obs")
        .withColumnRenamed("More", "n_obs")
        .groupBy("timestamp", "link_id")
        .agg(F.avg("speed").alias("speed"), F.sum("n_obs").alias("n"))
        .orderBy("link_id")
        .limit(5)
    )


def joined(rows: Any) -> Any:
    least = rows.groupBy("link_id").agg(F.min("speed").alias("least"))
    return rows.join(least, "link_id", "left").where("speed > least").select("link_id", "least")


def joined_by_alias(rows: Any) -> Any:
    one, other = rows.alias("one"), rows.where("n_obs > 1").alias("other")
    found = one.join(other, F.col("one.link_id") == F.col("other.link_id"))
    return found.select(F.col("one.speed").alias("mine"), F.col("other.speed").alias("theirs"))


def stacked(rows: Any) -> Any:
    more = rows.where("n_obs > 1").select("timestamp", "link_id", "speed", "n_obs")
    return rows.unionByName(more).distinct().select("link_id", "speed")


def twice(rows: Any) -> Any:
    return rows.select("link_id").select("link_id").union(rows.select("link_id"))


@pytest.mark.parametrize("made", [steps, joined, joined_by_alias, stacked, twice])
def test_a_plan_is_that_of_sqlframe(engine, monkeypatch, made) -> None:
    ours, rows = _plan(engine, monkeypatch, Frame, lambda: made(_source(engine)))
    theirs, wanted = _plan(engine, monkeypatch, DuckDBDataFrame, lambda: made(_source(engine)))
    assert (ours, rows) == (theirs, wanted)
    assert rows


def test_the_plan_of_a_dataset_is_that_of_sqlframe(engine, monkeypatch, tmp_path: Path) -> None:
    piece = tmp_path / "piece.csv.gz"
    line = "20240110,0005,1950000000,5,40.0,12"
    piece.write_bytes(gzip.compress(f"{line}\n{line.replace('40.0', '9999')}\n".encode()))
    its = Its(Its.Settings(links=[]))

    def made() -> Any:
        raw = RawDay(day=DAY, paths=(str(piece),), header=None, first_line=line, lines=2)
        bronze = schemas.checked_bronze(its.bronze(engine.session(), raw))
        good = bronze.where("reject_reason IS NULL").drop("reject_reason", "raw_line")
        return schemas.canonical_silver(its.silver(good), its)

    ours, rows = _plan(engine, monkeypatch, Frame, made)
    theirs, wanted = _plan(engine, monkeypatch, DuckDBDataFrame, made)
    assert (ours, rows) == (theirs, wanted)
    assert len(rows) == 1


def test_less_of_a_plan_is_copied(engine, monkeypatch) -> None:
    """Copies are what made the plan of a small day dearer than its rows."""
    ours, theirs = (_copied(engine, monkeypatch, kind) for kind in (Frame, DuckDBDataFrame))
    assert ours < theirs / 3


def _copied(engine: DuckDbEngine, monkeypatch: pytest.MonkeyPatch, kind: type) -> int:
    """How many nodes are copied while eight steps are added to a plan."""
    copied, copy = 0, exp.Expression.copy

    def counted(self: Any) -> Any:
        nonlocal copied
        copied += sum(1 for _ in self.walk())
        return copy(self)

    monkeypatch.setattr(Session, "_df", kind)
    with engine.in_force(), monkeypatch.context() as counting:
        frame = _source(engine)
        counting.setattr(exp.Expression, "copy", counted)
        for number in range(8):
            frame = frame.withColumn(f"more{number}", F.col("n_obs") + number)
        assert len(frame.columns) == 12
    return copied


def _source(engine: DuckDbEngine) -> Any:
    return engine.table(arrow(ROWS, COLUMNS))


def _plan(
    engine: DuckDbEngine, monkeypatch: pytest.MonkeyPatch, kind: type, made: Callable[[], Any]
) -> tuple[str, list[Any]]:
    """SQL and rows of a plan of frames of that kind; views have the same names each time."""
    monkeypatch.setattr(Session, "_df", kind)
    monkeypatch.setattr(Session, "_number", count(10_000))
    with engine.in_force():
        frame = made()
        assert type(frame) is kind
        text = frame.sql(dialect="duckdb", optimize=False, pretty=False)
        names = frame.columns
        rows = engine.session().arrow(text).read_all().to_pylist()
    return f"{names} {text}", sorted(map(repr, rows))


def test_dialects_that_nothing_uses_are_not_imported() -> None:
    """SQLFrame imports all of sqlglot's for the first column, and goes through them for each."""
    plan = """
import sys
from pathlib import Path
from luigi_traffic.compute.duckdb_engine import DuckDbEngine
from luigi_traffic.settings.keys import Settings
from sqlframe.duckdb import functions as F

rows = DuckDbEngine(Settings()).session().query("SELECT 1 AS n")
print(rows.select(F.abs("n").alias("more")).text)
print(*(name for name in sys.modules if name.startswith("sqlglot.dialects.")))
"""
    done = subprocess.run(
        [sys.executable, "-c", plan], capture_output=True, text=True, timeout=120, check=True
    )
    assert "more" in done.stdout
    assert "sqlglot.dialects.duckdb" in done.stdout
    assert "sqlglot.dialects.snowflake" not in done.stdout
