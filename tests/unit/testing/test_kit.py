"""The kit as pytest sees it: light to load, loud without what it needs, speeds at the end."""

from __future__ import annotations

import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest
from kit_city import DemoCity

from luigi_traffic.testing import DatasetSuite
from luigi_traffic.testing.sample import Sample

pytest_plugins = ["pytester"]


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def test_loading_the_pytest_plugin_imports_nothing_heavy() -> None:
    heavy = "('pyspark', 'torch', 'numpy', 'pandas', 'mlflow', 'luigi', 'requests')"
    done = run(
        "import sys, luigi_traffic.testing.pytest_plugin;"
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    assert done.stdout.strip() == "[]", done.stderr


def test_without_pytest_it_says_what_to_install() -> None:
    done = run(
        "import sys; sys.modules['pytest'] = None; from luigi_traffic.testing import LakeSuite"
    )
    assert "ImportError: luigi_traffic.testing.LakeSuite needs pytest" in done.stderr
    assert "pip install 'luigi-traffic[testing]'" in done.stderr
    done = run("from luigi_traffic.testing import DataSuite")
    assert "cannot import name 'DataSuite'" in done.stderr


def test_speeds_are_printed_at_the_end(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import json

        def test_speed(record_property):
            told = {"dataset": "demo", "bronze": 1.25, "silver": 3, "rows": 200000, "where": "here"}
            record_property("luigi_traffic_speed", json.dumps(told))
        """
    )
    result = pytester.runpytest("-p", "no:cacheprovider")
    result.stdout.fnmatch_lines(
        ["*luigi_traffic: seconds per million rows*",
         "demo: bronze 1.2, silver 3.0 (measured on 200,000 rows, here)"]
    )  # fmt: skip
    pytester.makepyfile("def test_other(): ...")
    assert "seconds per million rows" not in pytester.runpytest().stdout.str()


def test_a_store_that_is_not_named(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        from luigi_traffic.testing import LakeSuite

        class TestNothing(LakeSuite):
            pass
        """
    )
    result = pytester.runpytest("-k", "empty_object")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*TestNothing must say which store it tests*make_store*"])


class Large(DatasetSuite):
    dataset, day, most_lines = DemoCity, date(2024, 5, 1), 100


def test_of_a_large_day_lines_are_drawn_all_over_it(tmp_path: Path) -> None:
    sample = Sample(Large(), tmp_path, lambda: None)  # type: ignore[arg-type, return-value]
    assert sample.taken.lines == 868
    assert len(sample.lines) == 97 == sample.raw.lines
    assert sample.lines[0].startswith("2024-05-01 00:00:00,101")
    assert "23:" in sample.lines[-2]
    assert (
        Path(sample.raw.paths[0].removeprefix("file://")).read_text().splitlines() == sample.lines
    )
    assert sample.raw.header == "time,link,speed_kmh,count"


def test_a_day_that_the_source_has_not(tmp_path: Path) -> None:
    class Nothing(Large):
        def text(self) -> str:
            return "time,link,speed_kmh,count\n"

    sample = Sample(Nothing(), tmp_path, lambda: None)  # type: ignore[arg-type, return-value]
    with pytest.raises(pytest.fail.Exception, match="set `day` of the suite to a day"):
        assert sample.lines
