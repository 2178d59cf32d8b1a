"""A day without one good row is an empty partition; a filter that matches nothing is an error."""

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
  timezone: Asia/Seoul
"""
#: Three days of two links; on the second all sensors are down.
DAYS = ("2024-01-01", "2024-01-02", "2024-01-03")


@pytest.fixture
def city(tmp_path, monkeypatch, luigi_here):
    """Declares the dataset `down`, with more lines of settings."""
    folder = tmp_path / FOLDER / "data"
    folder.mkdir(parents=True)
    for day in DAYS:
        lines = [
            f"{day} {h:02d}:00,{link},{'' if day == DAYS[1] else 30 + h}\n"
            for h in range(24) for link in ("101", "102")
        ]  # fmt: skip
        (folder / f"{day}.csv").write_text("time,link,speed\n" + "".join(lines))
    conf = tmp_path / "conf" / "datasets"
    conf.mkdir(parents=True)
    monkeypatch.setenv("LUIGI_TRAFFIC_CONF", str(conf.parent))

    def declare(more: str = "") -> None:
        (conf / "down.yml").write_text(YAML.format(folder=folder) + more)
        luigi_here.set()

    declare()
    return declare


def manifest(lake: Path, stage: str, day: str) -> dict:
    (file,) = lake.glob(f"_manifests/{stage}/down/{day}/*.json")
    return json.loads(file.read_text())


def test_an_empty_day_completes_and_says_so(city, luigi_here) -> None:
    training = '{"input_steps": 4, "output_steps": 2, "evaluation_windows": 20}'
    code, log = luigi_here.run(
        "FullPipeline", "--dataset", "down", "--model", "ridge", "--date", DAYS[-1],
        "--window-days", "3", "--training", training,
    )  # fmt: skip
    assert code == 0, log
    said = "empty: no good row (48 x no observation)"
    assert f"bronze down 2024-01-02: {said}" in log and f"silver down 2024-01-02: {said}" in log
    for stage, rows_in in (("bronze", 48), ("silver", 0)):
        found = manifest(luigi_here.lake, stage, DAYS[1])
        assert (found["rows_in"], found["rows_out"], found["quality"]["empty"]) == (
            rows_in, 0, said,
        )  # fmt: skip
        assert "empty" not in manifest(luigi_here.lake, stage, DAYS[0])["quality"]
    with current().warehouse.connect() as connection, connection.cursor() as cursor:
        cursor.execute('SELECT "timestamp"::date::text, count(*) FROM gold.down GROUP BY 1')
        assert dict(cursor.fetchall()) == {DAYS[0]: 48, DAYS[2]: 48}
    states = {
        (str(row["day"]), row["stage"]): (row["state"], row["rows"], row["reason"])
        for row in rows(current(), "down", Range(3)) if row["kind"] == "partition"
    }  # fmt: skip
    assert states[DAYS[1], "silver"] == ("done", 0, said)
    assert states[DAYS[1], "gold"] == ("done", 0, "empty")
    assert states[DAYS[0], "gold"][1:] == (48, None)
    code, log = luigi_here.run("Gold", "--dataset", "down", "--date", DAYS[1])
    assert code == 0 and "Did not run any tasks" in log, log


@pytest.mark.parametrize("more", ["min_rows: 1\n", "min_rows: 1\nlinks: ['101']\n"])
def test_a_least_number_of_rows_is_asked_for(city, luigi_here, more: str) -> None:
    city(more)
    code, log = luigi_here.run("Silver", "--dataset", "down", "--date", DAYS[1])
    assert code != 0
    assert "0 rows, fewer than min_rows = 1" in log and "Traceback" not in log
    assert not list(luigi_here.lake.glob("silver/**/*.parquet"))


def test_links_that_were_renumbered(city, luigi_here) -> None:
    city("links: ['999', '998']\n")
    code, log = luigi_here.run("Silver", "--dataset", "down", "--date", DAYS[0])
    assert code != 0
    assert "none of the 48 good rows belongs to the 2 links of the setting `links`" in log
    assert "about 2, for example '101' and '102'" in log and "Traceback" not in log
    assert not list(luigi_here.lake.glob("_manifests/silver/**/*.json"))
    assert not list(luigi_here.lake.glob("silver/**/*.parquet"))
    city("links: ['101', '998', '999']\n")
    code, log = luigi_here.run("Silver", "--dataset", "down", "--date", DAYS[0])
    assert code == 0, log
    said = "2 of the 3 links of `links` have no good row: 998, 999"
    assert f"silver down 2024-01-01: {said}" in log
    assert manifest(luigi_here.lake, "silver", DAYS[0])["quality"]["missing_links"] == said
    # Nothing is missing of a day that has nothing.
    code, log = luigi_here.run("Silver", "--dataset", "down", "--date", DAYS[1])
    assert code == 0, log
    assert "missing_links" not in manifest(luigi_here.lake, "silver", DAYS[1])["quality"]
