from __future__ import annotations

from collections.abc import Iterator

import pytest

from luigi_traffic.settings import Settings, SparkSettings
from luigi_traffic.spark.session import start


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator:
    """One small session with the framework's own properties, for all Spark tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LUIGI_TRAFFIC_HOME", str(tmp_path_factory.mktemp("spark")))
        chosen = SparkSettings(master="local[2]", driver_memory="1g", shuffle_partitions=2)
        session = start(Settings(spark=chosen))
        yield session
        session.stop()
