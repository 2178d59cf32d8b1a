"""A day without one good row completes on Spark Connect, as it does on a JVM of one's own."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from homes import Home
from small import SMALL
from stack_home import StackHome

TABLE = "LUIGI_TRAFFIC__DATASETS__DOWN__TABLE__"
GOLD = ("luigi", "--module", "luigi_traffic.run", "Gold", "--dataset", "down", "--local-scheduler")


def of_two_days(folder: Path) -> dict[str, str]:
    """Environment that declares `down`: on the second day all sensors are down."""
    for day in ("2024-01-01", "2024-01-02"):
        speed = "" if day.endswith("02") else "40"
        rows = [f"{day} {hour:02d}:00,101,{speed}\n" for hour in range(24)]
        (folder / f"{day}.csv").write_text("time,link,speed\n" + "".join(rows))
    return {
        f"{TABLE}GLOB": f"{folder}/{{year}}-{{month}}-{{day}}.csv",
        f"{TABLE}COLUMNS": json.dumps({"timestamp": "time", "link_id": "link", "speed": "speed"}),
        f"{TABLE}INTERVAL": "1 h",
        f"{TABLE}TIMEZONE": "Asia/Seoul",
        "LUIGI_TRAFFIC__INGEST__SETTLE_SECONDS": "0",
    }


def an_empty_day_completes(home: Home) -> None:
    for day, rows in (("2024-01-02", 0), ("2024-01-01", 24)):
        code, output = home.run(*GOLD, "--date", day)
        assert code == 0, output
        assert ("empty: no good row (24 x no observation)" in output) == (rows == 0)
        (silver,) = [found for found in home.manifests("silver") if found["day"] == day]
        assert silver["rows_out"] == rows
    assert home.sql("SELECT count(*) FROM gold.down") == [(24,)]


@pytest.mark.timeout(600)
def test_a_day_without_a_good_row(
    make_stack_home: Callable[..., StackHome], tmp_path: Path
) -> None:
    an_empty_day_completes(make_stack_home("empty-day", **SMALL, **of_two_days(tmp_path)))
