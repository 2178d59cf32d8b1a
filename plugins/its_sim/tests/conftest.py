"""Small towns, and one Spark session to read them back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from luigi_traffic.settings import Settings, SparkSettings
from luigi_traffic.spark.session import properties
from luigi_traffic_its_sim import ItsSimSettings
from luigi_traffic_its_sim.files import Town


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator:
    from pyspark.sql import SparkSession

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LUIGI_TRAFFIC_HOME", str(tmp_path_factory.mktemp("spark")))
        builder = SparkSession.builder
        chosen = SparkSettings(master="local[2]", driver_memory="1g", shuffle_partitions=2)
        for key, value in properties(Settings(spark=chosen)).items():
            builder = builder.config(key, value)
        yield builder.getOrCreate()


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No test writes into the home of whoever runs it."""
    monkeypatch.setenv("LUIGI_TRAFFIC_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture(scope="session")
def town() -> Callable[..., Town]:
    def make(**settings: Any) -> Town:
        return Town(ItsSimSettings(**{"links_count": 40, **settings}))

    return make
