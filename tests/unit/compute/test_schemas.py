from __future__ import annotations

import hashlib
import shutil
from datetime import date, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from luigi_traffic.api.functions import exact_mean
from luigi_traffic.compute import schemas
from luigi_traffic.errors import DataError
from luigi_traffic.lake.attempt import Attempt
from luigi_traffic.lake.local import LocalStore
from luigi_traffic.lake.manifest import Manifest
from luigi_traffic.recipe import Recipe

ATTEMPT = Attempt("silver/tiny/2012-03-28/0123456789ab/")

pytestmark = pytest.mark.spark


def manifest(frame, files: list[dict]) -> Manifest:
    return Manifest.start(
        Recipe("silver", "tiny", {}), date(2012, 3, 28), "a" * 32,
        inputs=[], files=files, schema=schemas.schema_of(frame),
    )  # fmt: skip


def test_a_partition_is_what_its_manifest_names(spark, tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "lake")
    time = datetime(2012, 3, 28, 2, 30)  # wall time that some zones never had
    frame = spark.createDataFrame(
        [(time, "a", 50.0, 1), (time, "b", None, 2)],
        "timestamp timestamp_ntz, link_id string, speed double, `an odd name` int",
    ).repartition(2)
    files = schemas.write_partition(frame, store, ATTEMPT)
    assert files
    for file in files:
        data = store.read(file["key"])
        assert file["size"] == len(data)
        assert file["checksum"] == "sha256:" + hashlib.sha256(data).hexdigest()
    # Somebody else's file beside ours, and a half-written one.
    first = store.root / files[0]["key"]
    shutil.copy(first, first.with_name("part-99999-stranger.parquet"))
    (first.parent / "part-half.parquet").write_bytes(b"PAR1")
    read = schemas.read_partition(spark, store, manifest(frame, files))
    assert sorted(read.collect()) == sorted(frame.collect())
    assert read.schema.simpleString() == frame.schema.simpleString()


def test_a_partition_without_files_has_its_columns(spark, tmp_path: Path) -> None:
    frame = spark.createDataFrame([], "timestamp timestamp_ntz, n_obs int")
    read = schemas.read_partition(spark, LocalStore(tmp_path), manifest(frame, []))
    assert read.collect() == []
    assert read.schema.simpleString() == frame.schema.simpleString()


def measuring(*measures: str, extra: tuple[str, ...] = ()) -> Any:
    """What the core reads of a dataset with these measures."""
    return SimpleNamespace(
        measures=dict.fromkeys(measures, "1"), optional_measures=frozenset(), extra_columns=extra
    )


def test_an_empty_frame_is_written_and_read(spark, tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    frame = spark.createDataFrame([], "link_id string, n_obs int")
    files = schemas.write_partition(frame, store, ATTEMPT)
    assert schemas.read_partition(spark, store, manifest(frame, files)).collect() == []


def test_silver_has_its_columns_in_their_order_and_types(spark) -> None:
    frame = spark.sql(
        "SELECT 1L AS n_obs, CAST(50 AS float) AS speed, 7 AS link_id,"
        " 3 AS flow, TIMESTAMP_NTZ'2012-03-28 08:00:00' AS timestamp"
    )
    found = schemas.canonical_silver(frame, measuring("speed", "flow"))
    with pytest.raises(DataError, match="'flow', which would be lost: add it to measures"):
        schemas.canonical_silver(frame, measuring("speed"))
    assert found.dtypes == [
        ("timestamp", "timestamp_ntz"), ("link_id", "string"), ("speed", "double"),
        ("flow", "double"), ("n_obs", "int"),
    ]  # fmt: skip


def test_a_missing_column_is_named_with_the_nearest(spark) -> None:
    frame = spark.sql("SELECT 1 AS n_obs, 2.0 AS sped, 'a' AS link_id, now() AS timestamp")
    with pytest.raises(
        DataError, match=r"silver\(\) returned no column 'speed'\. Did you mean 'sped'"
    ):
        schemas.canonical_silver(frame, measuring("speed"))
    with pytest.raises(DataError, match=r"bronze\(\) returned no column 'reject_reason'"):
        schemas.checked_bronze(frame)


def test_the_exact_mean_does_not_depend_on_the_order(spark) -> None:
    values = [0.1, 0.2, 0.3, 1e6, 99.999999, 3.3]
    means = set()
    for order in (values, values[::-1], sorted(values)):
        frame = spark.createDataFrame([(v,) for v in [*order, None]], "v double").repartition(3)
        means.add(frame.agg(exact_mean(frame.v).alias("m")).collect()[0]["m"])
    (mean,) = means
    assert mean == pytest.approx(sum(values) / len(values), abs=1e-6)
    empty = spark.createDataFrame([(None,)], "v double")
    assert empty.agg(exact_mean(empty.v).alias("m")).collect()[0]["m"] is None


def test_extra_columns_are_kept_as_numbers_behind_the_canonical_ones(spark) -> None:
    frame = spark.sql(
        "SELECT timestamp_ntz '2012-03-28 00:00:00' AS timestamp, 'a' AS link_id, 50 AS speed,"
        " 3 AS rain, 1 AS n_obs"
    )
    kept = schemas.canonical_silver(frame, measuring("speed", extra=("rain",)))
    assert kept.columns == ["timestamp", "link_id", "speed", "n_obs", "rain"]
    assert kept.schema["rain"].dataType.simpleString() == "double"
    with pytest.raises(DataError, match=r"no column 'rian'\. Did you mean 'rain'\?"):
        schemas.canonical_silver(frame, measuring("speed", extra=("rian",)))
    with pytest.raises(DataError, match=r"'rain', which would be lost: add it to extra_columns"):
        schemas.canonical_silver(frame, measuring("speed"))
