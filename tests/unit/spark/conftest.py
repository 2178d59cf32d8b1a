from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from luigi_traffic.settings import SparkSettings
from luigi_traffic.spark.session import properties


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator:
    """One small session with the framework's own properties, for all Spark tests."""
    from pyspark.sql import SparkSession

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LUIGI_TRAFFIC_HOME", str(tmp_path_factory.mktemp("spark")))
        os.environ.setdefault("OMP_NUM_THREADS", "2")
        builder = SparkSession.builder
        chosen = SparkSettings(master="local[2]", driver_memory="1g", shuffle_partitions=2)
        for key, value in properties(chosen).items():
            builder = builder.config(key, value)
        session = builder.getOrCreate()
        yield session
        session.stop()
