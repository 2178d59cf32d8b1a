"""The stages of the pipeline on a suite's day: the tasks of a run, in a home of their own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import pluggy

from luigi_traffic.api.dataset import Dataset
from luigi_traffic.plugins.hookspecs import PROJECT
from luigi_traffic.plugins.loading import Plugins
from luigi_traffic.project import Project, in_place_of_current
from luigi_traffic.spark import session
from luigi_traffic.tasks.bronze import Bronze
from luigi_traffic.tasks.raw import IngestRaw
from luigi_traffic.tasks.silver import Silver

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

#: What is run, in order. Later stages need a server, and judge nothing of the dataset's.
STAGES = (IngestRaw, Bronze, Silver)


class _OneDataset(Plugins):
    """Provides the dataset of the suite, with its settings, and nothing else."""

    given: Dataset

    def dataset(self, name: str) -> Dataset:
        return self.given


def run_stages(dataset: Dataset, day: date, home: Path, spark: SparkSession) -> None:
    """Run each of `STAGES`. Raises `TrafficError` if the core refuses the day.

    Without the lock that two runners of a stage share, which a PostgreSQL keeps.
    """
    conf = home / "conf"
    conf.mkdir(parents=True, exist_ok=True)
    # As for somebody who has set nothing: other settings of the author's shape nothing here.
    # On Spark, which takes less of a check: DuckDB would take a DISTINCT.
    project = Project(home, conf, "local", {"LUIGI_TRAFFIC__COMPUTE__ENGINE": "spark"})
    plugins = _OneDataset(pluggy.PluginManager(PROJECT), project.settings, project.layers)
    plugins.given = dataset
    vars(project)["plugins"] = plugins
    with in_place_of_current(project), _spark(spark):
        for stage in STAGES:
            project.catalog.begin_work()
            stage(day, dataset=dataset.name).work()


@contextmanager
def _spark(spark: SparkSession) -> Iterator[None]:
    """The session of this process is that of the suite."""
    before = session._sessions.get(os.getpid())
    session._sessions[os.getpid()] = spark
    try:
        yield
    finally:
        del session._sessions[os.getpid()]
        if before is not None:
            session._sessions[os.getpid()] = before
