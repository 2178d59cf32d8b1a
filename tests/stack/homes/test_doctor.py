"""`luigi-traffic doctor` names what is wrong with the stack, each thing by itself."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from http_server import Answer, Request, http_server
from small import SMALL
from stack_home import TEST_BUCKETS, StackHome

SERVERS = {"lake", "events", "warehouse", "MLflow store", "Spark Connect", "luigid"}
CLOSED = "127.0.0.1:9"  # nobody has that port


@pytest.fixture(scope="module")
def home(make_stack_home: Callable[..., StackHome]) -> StackHome:
    return make_stack_home("doctor", **SMALL, LUIGI_TRAFFIC__PIPELINE__DATASET="its_sim")


def examined(home: StackHome, **variables: str) -> tuple[int, dict[str, dict[str, str]], str]:
    """Exit code, check → row, and all it has said."""
    settings = {f"LUIGI_TRAFFIC__{key}": value for key, value in variables.items()}
    code, output = home.run("luigi-traffic", "doctor", "--json", **settings)
    return code, told(output), output


def told(output: str) -> dict[str, dict[str, str]]:
    """Check → row, of the JSON that stands below what went to standard error."""
    rows = json.loads(output[output.index("[\n") :])
    return {row["check"]: row for row in rows}


def problems(rows: dict[str, dict[str, str]]) -> set[str]:
    return {name for name, row in rows.items() if row["state"] == "problem"}


def test_a_stack_that_is_well(home: StackHome) -> None:
    code, rows, output = examined(home)
    assert (code, problems(rows)) == (0, set()), output
    assert set(rows) >= SERVERS | {"lake clock", "warehouse clock", "MLflow clock"}
    assert {rows[name]["state"] for name in SERVERS} == {"ok"}, output
    assert "TLS" in rows["warehouse"]["found"] and "conditional create" in rows["lake"]["found"]
    assert [k for k in home.objects() if k.startswith("_doctor/")] == []  # the probe is gone


def test_servers_that_are_down(home: StackHome) -> None:
    code, rows, output = examined(
        home,
        LAKE__ENDPOINT=f"http://{CLOSED}",
        EVENTS__SERVERS=f"[{CLOSED}]",
        WAREHOUSE__PORT="9",
        TRACKING__URI=f"http://{CLOSED}",
        SPARK__REMOTE="sc://127.0.0.1:9",
    )
    assert code == 1
    assert problems(rows) == SERVERS - {"luigid"}, output
    named = {
        "lake": "lake.endpoint", "events": "events.servers", "warehouse": "warehouse.port",
        "MLflow store": "tracking.uri", "Spark Connect": "spark.remote",
    }  # fmt: skip
    for name, setting in named.items():
        assert setting in rows[name]["todo"], rows[name]


def test_passwords_that_are_wrong(home: StackHome) -> None:
    wrong = "wr0ng-wr0ng"
    code, rows, output = examined(
        home, LAKE__SECRET_KEY=wrong, WAREHOUSE__PASSWORD=wrong, SPARK__TOKEN=wrong
    )
    assert code == 1
    assert problems(rows) == {"lake", "warehouse", "Spark Connect"}, output
    for name, variable in {
        "lake": "LAKE__SECRET_KEY", "warehouse": "WAREHOUSE__PASSWORD",
        "Spark Connect": "SPARK__TOKEN",
    }.items():  # fmt: skip
        assert f"LUIGI_TRAFFIC__{variable}" in rows[name]["found"] + rows[name]["todo"]
    assert wrong not in output


def test_a_bucket_and_a_database_that_are_missing(home: StackHome) -> None:
    bucket, database = f"{TEST_BUCKETS}missing", "test_missing"
    code, rows, output = examined(home, LAKE__BUCKET=bucket, WAREHOUSE__DBNAME=database)
    assert code == 1
    assert problems(rows) == {"lake", "warehouse"}, output
    assert f"no bucket '{bucket}'" in rows["lake"]["found"]
    assert f'database "{database}" does not exist' in rows["warehouse"]["found"]


def test_a_clock_that_is_off_by_over_a_minute(home: StackHome) -> None:
    def answers(_: Request) -> Answer:
        ahead = datetime.now(UTC) + timedelta(seconds=90)
        return Answer("{}", headers={"Date": format_datetime(ahead, usegmt=True)})

    with http_server(answers) as web:
        code, rows, output = examined(home, TRACKING__URI=web.url)
    assert code == 1
    assert problems(rows) == {"MLflow clock"}, output
    assert "1 min 2" in rows["MLflow clock"]["found"] or "1 min 3" in rows["MLflow clock"]["found"]
    assert "ahead of" in rows["MLflow clock"]["found"]
    assert rows["lake clock"]["state"] == rows["warehouse clock"]["state"] == "ok"


def test_the_clock_of_this_machine(home: StackHome, tmp_path) -> None:
    """All clocks at once: the machine's own is ten minutes slow for that one command."""
    (tmp_path / "sitecustomize.py").write_text(SLOW)
    code, output = home.run("luigi-traffic", "doctor", "--json", PYTHONPATH=str(tmp_path))
    rows = told(output)
    assert code == 1
    assert problems(rows) == {"lake clock", "warehouse clock", "MLflow clock"}, output
    for name in problems(rows):
        assert "ahead of" in rows[name]["found"]


SLOW = """
from datetime import timedelta
from luigi_traffic.commands.doctor import clocks

now = clocks.now
clocks.now = lambda: now() - timedelta(minutes=10)
"""
