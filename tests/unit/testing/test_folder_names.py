"""The kit works in a folder of any name: what Spark takes for a pattern is none there."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from kit_city import DemoCity

from luigi_traffic.testing import DatasetSuite
from luigi_traffic.testing.sample import Sample


class Suite(DatasetSuite):
    dataset = DemoCity
    day = date(2024, 5, 1)
    speed_lines = 1_000


def test_a_folder_with_signs_of_a_pattern(tmp_path: Path, luigi_traffic_spark) -> None:
    folder = tmp_path / "바탕 화면 #1 100% [ab]"
    folder.mkdir()
    suite = Suite()
    suite.sample = Sample(suite, folder, lambda: luigi_traffic_spark)
    assert len(suite.sample.bronze.rows) == 868
    assert len(suite.sample.bronze_of(suite.sample.raw_of(suite.sample.good_lines[:3])).rows) == 3
    suite.test_the_pipeline_accepts_the_day()
    told: dict[str, object] = {}
    suite.test_speed_is_reported(told.__setitem__)
    assert told
    # Nothing was written beside it, under a name that stands for the other.
    assert [path.name for path in tmp_path.iterdir()] == [folder.name]
