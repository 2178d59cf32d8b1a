from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from luigi_traffic.errors import SettingsError
from luigi_traffic.settings.engine_keys import SparkSettings
from luigi_traffic.settings.keys import Settings
from luigi_traffic.spark import session


def fake_java(folder: Path, text: str, status: int = 0) -> Path:
    (folder / "bin").mkdir()
    java = folder / "bin" / "java"
    java.write_text(f"#!/bin/sh\necho '{text}' >&2\nexit {status}\n")
    java.chmod(0o755)
    return java


@pytest.mark.parametrize(
    ("said", "version"),
    [
        ('openjdk version "17.0.13" 2024-10-15', 17),
        ('java version "1.8.0_431"', 8),
        ('openjdk version "21" 2023-09-19', 21),
        ("something else", 0),
    ],
)
def test_the_version_of_java(tmp_path: Path, monkeypatch, said: str, version: int) -> None:
    java = fake_java(tmp_path, said)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    assert session.java_version() == (str(java), version)


def test_no_java_says_what_to_do(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SettingsError, match="Install Java 17 or newer, or point JAVA_HOME"):
        session.java_version()
    fake_java(tmp_path, "cannot", status=1)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(SettingsError, match="does not run"):
        session.java_version()


def test_an_old_java_is_refused_before_spark_is_loaded(tmp_path: Path, monkeypatch) -> None:
    java = fake_java(tmp_path, 'java version "1.8.0_431"')
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    session.stop()
    with pytest.raises(SettingsError, match=rf"{java} is version 8"):
        session.session(Settings())


def test_properties_keep_to_loopback_and_the_users_win(isolated) -> None:
    found = session.properties(Settings(spark=SparkSettings(master="local[1]")))
    assert found["spark.driver.bindAddress"] == found["spark.driver.host"] == "127.0.0.1"
    assert found["spark.local.dir"] == str(isolated.home / "tmp" / "spark")
    assert found["spark.sql.session.timeZone"] == "UTC"
    mine = SparkSettings(conf={"spark.sql.session.timeZone": "Asia/Seoul", "spark.x": "1"})
    found = session.properties(Settings(spark=mine))
    assert (found["spark.sql.session.timeZone"], found["spark.x"]) == ("Asia/Seoul", "1")


def test_an_installation_may_lie_in_any_folder(tmp_path: Path, monkeypatch) -> None:
    """Java's options are split at blanks, and log4j takes an address."""
    monkeypatch.setattr(session, "files", lambda _: tmp_path / "My Data" / "바탕화면#")
    options = session.properties(Settings())["spark.driver.extraJavaOptions"]
    assert " " not in options
    assert "file:///" in options and options.isascii() and "#" not in options


def test_a_home_that_spark_would_split_is_refused(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("LUIGI_TRAFFIC_HOME", str(tmp_path / "Seoul, 2024"))
    with pytest.raises(SettingsError, match=r"(?s)comma.*Seoul, 2024.*LUIGI_TRAFFIC_HOME"):
        session.properties(Settings())


def test_a_local_session_is_local_whatever_the_environment_says(isolated, monkeypatch) -> None:
    """A parent that has had a Connect session hands the mark of it down."""
    from pyspark.sql import SparkSession

    for name, value in {"SPARK_CONNECT_MODE_ENABLED": "1", "SPARK_REMOTE": "sc://other"}.items():
        monkeypatch.setenv(name, value)
    seen: dict[str, str] = {}

    def get_or_create(builder) -> None:
        seen.update(os.environ)

    monkeypatch.setattr(SparkSession.Builder, "getOrCreate", get_or_create)
    session.start(Settings(spark=SparkSettings(master="local[1]")))
    assert seen
    assert not {"SPARK_CONNECT_MODE_ENABLED", "SPARK_REMOTE"} & set(seen)


@pytest.mark.spark
def test_workers_run_the_python_of_the_driver(spark) -> None:
    def tell(batches: Iterator) -> Iterator:
        import pyarrow as pa

        for _ in batches:
            yield pa.RecordBatch.from_pydict({"python": [sys.executable]})

    (row,) = spark.range(1).mapInArrow(tell, "python string").collect()
    assert row.python == sys.executable


@pytest.mark.spark
def test_wall_time_is_never_shifted(spark) -> None:
    text = "2012-03-28 08:00:00"
    row = spark.sql(
        f"SELECT CAST('{text}' AS timestamp) AS t, typeof(CAST('{text}' AS timestamp)) AS k"
    )
    (found,) = row.collect()
    assert (str(found.t), found.k) == (text, "timestamp_ntz")
