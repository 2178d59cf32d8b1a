"""`--workers` on the local profile: each would start a Spark of its own."""

from __future__ import annotations

import logging

import pytest
from luigi.cmdline_parser import CmdlineParser
from luigi.interface import core

import luigi_traffic.run  # noqa: F401 - it sets the limit
from luigi_traffic.project import current
from luigi_traffic.tasks import workers

SILVER = ["Silver", "--dataset", "tiny", "--date", "2024-05-31"]
RANGE = ["RangeDaily", "--start", "2024-05-01", "--of"]


@pytest.fixture(autouse=True)
def warnings(isolated, monkeypatch, caplog):
    isolated.set(COMPUTE__ENGINE="spark")
    monkeypatch.setattr(logging.getLogger("luigi_traffic"), "propagate", True)
    workers._warn.cache_clear()
    return caplog


def used(words: list[str]) -> int:
    """How many workers Luigi takes for that command line."""
    with CmdlineParser.global_instance(["--module", "luigi_traffic.run", *words]):
        return int(core().workers)


@pytest.mark.parametrize("words", [SILVER, [*RANGE, "Gold"], ["FullPipeline"]])
def test_spark_of_ones_own_is_started_once(words: list[str], warnings) -> None:
    assert used([*words, "--workers", "3"]) == 1
    assert "--workers 3 is lowered to 1: each worker would start a Spark" in warnings.text
    assert "set spark.remote" in warnings.text
    assert len(warnings.records) == 1


def test_duckdb_has_no_jvm_to_start(isolated, warnings) -> None:
    isolated.set(COMPUTE__ENGINE="auto")
    assert used([*SILVER, "--workers", "3"]) == 3
    assert not warnings.records


def test_by_build_as_well(warnings) -> None:
    assert core(workers=2, local_scheduler=True).workers == 1
    assert "--workers 2 is lowered" in warnings.text


@pytest.mark.parametrize(
    "words", [["IngestRaw", *SILVER[1:]], ["AnnounceRaw", *SILVER[1:]], [*RANGE, "IngestRaw"]]
)
def test_stages_without_spark_keep_their_workers(words: list[str], warnings) -> None:
    assert used([*words, "--workers", "3"]) == 3
    assert not warnings.records


@pytest.mark.parametrize(
    ("key", "value"), [("REMOTE", "sc://localhost:15002"), ("MASTER", "spark://h:7077")]
)
def test_a_shared_spark_takes_all_workers(isolated, warnings, key: str, value: str) -> None:
    isolated.set(**{f"SPARK__{key}": value})
    assert used([*SILVER, "--workers", "3"]) == 3
    assert not warnings.records


def test_one_worker_says_nothing(warnings) -> None:
    assert current().settings.spark.master.startswith("local")
    assert used(SILVER) == 1
    assert not warnings.records
