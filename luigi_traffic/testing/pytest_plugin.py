"""What pytest loads by entry point: the fixtures of the suites, and the speeds at the end.

Nothing heavy is imported before a suite asks for it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from luigi_traffic.compute.engine import Engine

#: The property of a test report that carries what a suite has measured.
SPEED = "luigi_traffic_speed"

pytest.register_assert_rewrite("luigi_traffic.testing.lake_suite")


@pytest.fixture(scope="session")
def luigi_traffic_spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    """One session a process, with the framework's own properties, small and in a home of its own.

    With LUIGI_TRAFFIC__SPARK__REMOTE a session on that Connect server, which has to see the
    folders of this machine.
    """
    from luigi_traffic.settings.engine_keys import SparkSettings
    from luigi_traffic.settings.keys import Settings
    from luigi_traffic.settings.reading import Layers, conf_folder, profile, validated
    from luigi_traffic.spark.session import start

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LUIGI_TRAFFIC_HOME", str(tmp_path_factory.mktemp("luigi-traffic-spark")))
        found = Layers.read(conf_folder(), profile(), os.environ)
        small = {"master": "local[2]", "driver_memory": "1g", "shuffle_partitions": 2}
        wanted = small | found.values.get("spark", {})
        session = start(Settings(spark=validated(SparkSettings, wanted, "spark", found)))
        yield session
        session.stop()


@pytest.fixture(params=["spark", "duckdb"])
def luigi_traffic_engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """Each engine in turn, with `luigi_traffic.functions` on it."""
    from luigi_traffic.compute.duckdb_engine import DuckDbEngine
    from luigi_traffic.compute.spark_engine import SparkEngine
    from luigi_traffic.settings.keys import Settings

    if request.param == "spark":
        chosen: Engine = SparkEngine(request.getfixturevalue("luigi_traffic_spark"))
    else:
        chosen = DuckDbEngine(Settings())
    with chosen.in_force():
        yield chosen


@pytest.fixture(scope="class")
def luigi_traffic_sample(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[None]:
    """`sample` of a `DatasetSuite`: one day of the dataset, in a home of its own."""
    from luigi_traffic.testing.sample import Sample

    folder = tmp_path_factory.mktemp("luigi-traffic-sample")
    suite = request.cls
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LUIGI_TRAFFIC_HOME", str(folder / "home"))
        sample = Sample(suite(), folder, lambda: request.getfixturevalue("luigi_traffic_spark"))
        patch.setattr(suite, "sample", sample, raising=False)
        if suite.yaml is not None:
            patch.setattr(suite, "dataset", type(sample.declared()), raising=False)
        yield


@pytest.fixture(scope="class")
def luigi_traffic_trial(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[None]:
    """`trial` of a `ModelSuite`: its model, and the same trained once on a toy road."""
    import torch

    from luigi_traffic.testing.trial import Trial

    suite, threads = request.cls, torch.get_num_threads()
    with pytest.MonkeyPatch.context() as patch:
        # On toy data a second thread costs more than it brings, above all on a busy machine.
        patch.setenv("OMP_NUM_THREADS", "1")
        torch.set_num_threads(1)
        trial = Trial(suite(), tmp_path_factory.mktemp("luigi-traffic-trial"))
        patch.setattr(suite, "trial", trial, raising=False)
        yield
    torch.set_num_threads(threads)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """How fast the datasets' transforms are: reported, never asserted."""
    reports = terminalreporter.getreports("passed")
    found = [json.loads(str(v)) for r in reports for k, v in r.user_properties if k == SPEED]
    if not found:
        return
    terminalreporter.section("luigi_traffic: seconds per million rows")
    for speed in found:
        terminalreporter.write_line(
            f"{speed['dataset']}: bronze {speed['bronze']:.1f}, silver {speed['silver']:.1f} "
            f"(measured on {speed['rows']:,} rows, {speed['where']})"
        )
