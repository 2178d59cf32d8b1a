"""A day of which a part is missing says so; a least share of it may be asked for."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from small import FOLDER

from luigi_traffic.commands.status import Range, rows
from luigi_traffic.project import current

YAML = """\
table:
  glob: "{folder}/{{year}}-{{month}}-{{day}}.csv"
  columns: {{timestamp: time, link_id: link, speed: speed}}
  interval: 1 h
  timezone: America/Los_Angeles
"""
#: On the first day 08:00 and 09:00 are missing for all of three links, on the second, the day of
#: the clock change, nothing but the hour that it leaves out.
GAP, SPRING = "2024-03-09", "2024-03-10"
NOTE = "no link reports at the expected intervals from 08:00 to 10:00 (coverage 91.6%)"


@pytest.fixture
def city(tmp_path, monkeypatch, luigi_here):
    """Declares the dataset `gaps`, with more lines of settings."""
    folder = tmp_path / FOLDER / "data"
    folder.mkdir(parents=True)
    for day, missing in ((GAP, {8, 9}), (SPRING, {2})):
        lines = [f"{day} {h:02d}:00,{link},{30 + h}\n"
                 for h in range(24) for link in "abc" if h not in missing]  # fmt: skip
        (folder / f"{day}.csv").write_text("time,link,speed\n" + "".join(lines))
    conf = tmp_path / "conf" / "datasets"
    conf.mkdir(parents=True)
    monkeypatch.setenv("LUIGI_TRAFFIC_CONF", str(conf.parent))

    def declare(more: str) -> None:
        (conf / "gaps.yml").write_text(YAML.format(folder=folder) + more)
        luigi_here.set()

    return declare


def quality(lake: Path, day: str) -> dict:
    (file,) = lake.glob(f"_manifests/silver/gaps/{day}/*.json")
    found: dict = json.loads(file.read_text())["quality"]
    return found


def test_what_is_missing_is_told(city, luigi_here) -> None:
    city("  expected: all\nmin_coverage: 0.95\n")
    code, log = luigi_here.run("Silver", "--dataset", "gaps", "--date", GAP)
    assert code != 0 and "Traceback" not in log
    assert (
        "silver gaps 2024-03-09: only 91.6% of the day is there, less than "
        "datasets.gaps.min_coverage = 95.0%: 66 of 72 expected values (3 links at 24 intervals); "
        "no link reports at 2 of the 24 expected intervals: 08:00 to 10:00"
    ) in log
    assert not list(luigi_here.lake.glob("silver/**/*.parquet"))
    code, log = luigi_here.run("Silver", "--dataset", "gaps", "--date", SPRING)
    assert code == 0, log
    assert "66 rows" not in log and "69 rows, coverage 100.0%" in log
    assert quality(luigi_here.lake, SPRING)["coverage"]["expected"] == 69

    city("  expected: all\n")
    code, log = luigi_here.run("Silver", "--dataset", "gaps", "--date", GAP)
    assert code == 0, log
    assert f"silver gaps 2024-03-09: {NOTE}" in log
    found = quality(luigi_here.lake, GAP)
    assert found["gaps"] == NOTE
    assert (found["coverage"]["observed"], found["coverage"]["expected"]) == (66, 72)
    shown = {
        (str(row["day"]), row["stage"]): (row["reason"], row["coverage"])
        for row in rows(current(), "gaps", Range(2)) if row["kind"] == "partition"
    }  # fmt: skip
    assert shown[GAP, "silver"] == (NOTE, 0.916667)
    assert shown[SPRING, "silver"] == (None, 1.0)
    assert shown[GAP, "bronze"] == (None, None)


def test_a_share_of_nothing_cannot_be_asked_for(city, luigi_here) -> None:
    city("min_coverage: 0.5\n")
    code, log = luigi_here.run("Silver", "--dataset", "gaps", "--date", GAP)
    assert code != 0 and "Traceback" not in log
    assert "datasets.gaps.min_coverage is set, but the dataset does not say which" in log
    city("")
    code, log = luigi_here.run("Silver", "--dataset", "gaps", "--date", GAP)
    assert code == 0, log
    assert "coverage" not in quality(luigi_here.lake, GAP)
