"""Both engines: the same bronze and silver of the same lines."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import pytest

from luigi_traffic.testing.sample import advised, checksum, collected

if TYPE_CHECKING:
    from luigi_traffic.api.dataset import RawDay
    from luigi_traffic.compute.engine import Engine
    from luigi_traffic.testing.sample import Sample

_ADVICE = (
    "A transform gets frames of the engine that runs it. Import functions from luigi_traffic "
    "(from luigi_traffic import functions as F), never from pyspark.sql; prefer those that it "
    "defines itself: F.cells, F.number, F.wall_time, F.exact_mean. docs/engines.md lists what "
    "DuckDB has not. A dataset for Spark alone has engines = ('spark',) in its suite."
)


class EngineChecks:
    """DuckDB computes what Spark computes."""

    sample: Sample

    def test_same_content_on_both_engines(self) -> None:
        """A day may be computed by either: the rows, types and checksums are equal."""
        sample = self.sample
        if "duckdb" not in sample.suite.engines:
            pytest.skip("the suite's `engines` do not name duckdb")
        if find_spec("sqlframe") is None:
            pytest.skip("the engine duckdb is not installed: pip install 'luigi-traffic[duckdb]'")
        from luigi_traffic.compute.duckdb_engine import DuckDbEngine
        from luigi_traffic.compute.spark_engine import SparkEngine
        from luigi_traffic.settings.keys import Settings

        engine, spark = DuckDbEngine(Settings()), SparkEngine(sample.spark)
        junk = sample.raw_of([*sample.good_lines[:1], *sample.junk])
        for what, raw in (("the day", sample.raw), ("garbage lines", junk)):
            frames = {"bronze": sample.bronze_frame(raw), "silver": sample.silver_frame(raw)}
            of_day = dict(zip(frames, sample.checksums, strict=True)) if raw is sample.raw else {}
            with engine.in_force():
                with advised(f"{what} on DuckDB", _ADVICE):
                    here, session = raw_of_duckdb(sample, raw), engine.session()
                    others = {
                        "bronze": sample.bronze_frame(here, session),
                        "silver": sample.silver_frame(here, session),
                    }
                    schemas = {stage: engine.schema(frame) for stage, frame in others.items()}
                    sums = {stage: engine.checksum(frame) for stage, frame in others.items()}
                for stage, frame in frames.items():
                    wanted = spark.schema(frame)
                    assert schemas[stage] == wanted, (
                        f"{stage} of {what} has other columns on DuckDB ({schemas[stage]}) than on "
                        f"Spark ({wanted}). Cast columns of another type: .cast('int'). {_ADVICE}"
                    )
                    if sums[stage] != (of_day.get(stage) or checksum(frame)):
                        rows = _difference(frame, engine, others[stage])
                        pytest.fail(
                            f"{stage} of {what} differs between the engines: {rows} {_ADVICE}"
                        )


def raw_of_duckdb(sample: Sample, raw: RawDay) -> RawDay:
    """The same day, whose files DuckDB finds."""
    return replace(raw, paths=tuple(str(sample.files[path]) for path in raw.paths))


def _difference(frame: Any, engine: Engine, other: Any) -> str:
    """Rows that only one of them has, in words."""
    on_spark = Counter(repr(sorted(row.items())) for row in collected(frame).rows)
    on_duckdb = Counter(repr(sorted(row.items())) for row in engine.collect(other))
    said = []
    for name, rows in (("Spark", on_spark - on_duckdb), ("DuckDB", on_duckdb - on_spark)):
        example = f", for example {min(rows)[:400]}" if rows else ""
        said.append(f"{rows.total():,} rows are on {name} alone{example}.")
    return " ".join(said)
