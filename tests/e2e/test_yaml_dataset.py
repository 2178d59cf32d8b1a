"""A dataset that is a file of settings and nothing else goes from its CSV files to a forecast."""

from __future__ import annotations

import json
from datetime import date, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from luigi_traffic.project import current
from luigi_traffic.tasks.bronze import Bronze
from luigi_traffic.tasks.gold import Gold
from luigi_traffic.tasks.raw import IngestRaw
from luigi_traffic.tasks.silver import Silver

LINKS = ["강남대로 1", "강남대로 2", '을지로 "동"', "을지로, 서", "세종대로", "한강로"]
FIRST, LAST = date(2024, 1, 9), date(2024, 1, 10)
TINY = '{"epochs": 1, "samples_per_epoch": 500, "validation_samples": 200}'

YAML = """\
table:
  glob: {folder}/{{date}}_*.csv
  columns:
    timestamp: 시각
    link_id: 구간
    speed: 속도
    flow: 교통량
  time_format: yyyy/MM/dd HH:mm
  interval: 10min
  timezone: Asia/Seoul
  speed_unit: km/h
  speed_range: [0, 120]
  missing: ["", -1]
  graph:
    edges_csv: {folder}/roads.csv
max_rejected_share: 0.01
topic: seoul.speeds
lake_prefix: cities/seoul
"""


def quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"' if set(text) & set('",') else text


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two files a day, rows every 5 minutes: a daily wave and noise, by a seed."""
    folder = tmp_path_factory.mktemp("서울 데이터")
    random = np.random.default_rng(7)
    day = FIRST
    while day <= LAST:
        for half in range(2):
            rows = ["시각,구간,비고,속도,교통량"]
            for minute in range(half * 720, half * 720 + 720, 5):
                at = datetime.combine(day, datetime.min.time()) + timedelta(minutes=minute)
                wave = 50 + 25 * np.sin(2 * np.pi * minute / 1440)
                for number, link in enumerate(LINKS):
                    speed = f"{wave + 2 * number + random.normal():.1f}"
                    if (minute // 5 + number) % 10 == 0:
                        speed = "-1"
                    rows.append(f'{at:%Y/%m/%d %H:%M},{quoted(link)},"a, b",{speed},{minute}')
            name = f"{day:%Y%m%d}_{half}.csv"
            (folder / name).write_text("\r\n".join(rows) + "\r\n", encoding="utf-8-sig")
        day += timedelta(days=1)
    edges = [f"{quoted(a)},{quoted(b)}\n" for a, b in pairwise(LINKS)]
    (folder / "roads.csv").write_text("upstream,downstream\n" + "".join(edges), encoding="utf-8")
    return folder


@pytest.fixture
def declare(tmp_path, monkeypatch, luigi_here, folder):
    """Write conf/datasets/seoul.yml, with one text replaced by another."""
    conf = tmp_path / "conf" / "datasets"
    conf.mkdir(parents=True)
    monkeypatch.setenv("LUIGI_TRAFFIC_CONF", str(conf.parent))

    def write(old: str = "", new: str = "") -> None:
        (conf / "seoul.yml").write_text(YAML.format(folder=folder).replace(old, new))
        luigi_here.set()

    write()
    return write


def complete(day: date) -> list[str]:
    tasks = (IngestRaw, Bronze, Silver, Gold)
    return [task.__name__ for task in tasks if task(day, dataset="seoul").complete()]


def test_from_yaml_to_a_forecast(declare, luigi_here) -> None:
    code, log = luigi_here.run(
        "FullPipeline", "--dataset", "seoul", "--model", "convlstm", "--date", LAST.isoformat(),
        "--window-days", "2", "--training", TINY,
    )  # fmt: skip
    assert code == 0, log
    with current().warehouse.connect() as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT link_id, count(*), min(timestamp), max(timestamp), sum(n_obs), sum(n_speed),"
            " count(t1), min(speed), max(speed) FROM gold.seoul GROUP BY link_id"
        )
        gold = {row[0]: row[1:] for row in cursor.fetchall()}
        cursor.execute(
            "SELECT count(DISTINCT link_id), min(timestamp), max(timestamp), count(*),"
            " min(speed), max(speed) FROM forecast.seoul WHERE kind = 'next'"
        )
        (forecast,) = cursor.fetchall()
    assert set(gold) == set(LINKS)
    for number, link in enumerate(LINKS):
        rows, first, last, counted, observed, upstream, low, high = gold[link]
        assert (first, last) == (datetime(2024, 1, 9), datetime(2024, 1, 10, 23, 50))
        # Two rows an interval; one in ten has a flow and no speed.
        assert (rows, counted) == (288, 576)
        assert observed == 576 - sum((n + number) % 10 == 0 for n in range(288)) * 2
        assert (upstream > 0) == (number > 0)
        assert 20 < low < 35 and 65 < high < 95
    step = timedelta(minutes=10)
    links, first, last, count, low, high = forecast
    assert (links, first, last) == (6, datetime(2024, 1, 11), datetime(2024, 1, 11) + 11 * step)
    assert count == 6 * 12
    assert 0 < low < high < 120

    events = luigi_here.lake.parent / "events" / "seoul.speeds.jsonl"
    assert sorted(json.loads(line)["key"] for line in events.read_text().splitlines()) == [
        "seoul/2024-01-09", "seoul/2024-01-10",
    ]  # fmt: skip
    data = {p.relative_to(luigi_here.lake).parts[:3] for p in luigi_here.lake.rglob("*.parquet")}
    assert data == {("cities", "seoul", "bronze"), ("cities", "seoul", "silver")}


def test_each_key_makes_its_stage_stale_and_those_below(declare, luigi_here) -> None:
    code, log = luigi_here.run("Gold", "--dataset", "seoul", "--date", LAST.isoformat())
    assert code == 0, log
    everything = ["IngestRaw", "Bronze", "Silver", "Gold"]
    for old, new, left in (
        ("", "", everything),
        ("topic: seoul.speeds", "topic: other", everything),
        ("lake_prefix: cities/seoul", "lake_prefix: elsewhere", everything),
        ("max_rejected_share: 0.01", "max_rejected_share: 0.5", everything),
        ("_*.csv", "_0.csv", []),
        ("[0, 120]", "[0, 110]", ["IngestRaw"]),
        ("    flow: 교통량\n", "", ["IngestRaw"]),
        ("interval: 10min", "interval: 1 h", ["IngestRaw", "Bronze"]),
        ("topic:", "links: [세종대로, 한강로]\ntopic:", ["IngestRaw", "Bronze"]),
        ("  graph:\n    edges_csv:", "#", ["IngestRaw", "Bronze", "Silver"]),
    ):
        declare(old, new)
        assert complete(LAST) == left, (old, new)
