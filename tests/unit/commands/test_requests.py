"""Promise 2: what is asked of the lake and the warehouse does not grow with the days."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
from fabricated import DATASET, Asked, counted, days, fabricate, plan, scenarios
from process_state import forget

#: raw, announce, bronze, silver; with what gc and lineage look through besides.
MOST_LISTS = 8
MOST_SQL = 30
#: Calls of Python functions for a day that is done, down the whole tree. It has five stages.
MOST_CALLS = 300
#: `luigi` with what it imported and which files of the home it opened.
WATCHED = """
import json, sys
from luigi.cmdline import luigi_run
home, opened = sys.argv.pop(1), 0

def watch(event, details):
    global opened
    opened += event == "open" and str(details[0]).startswith(home)

sys.addaudithook(watch)
try:
    luigi_run(sys.argv[1:])
except SystemExit as e:
    assert not e.code, e.code
print(json.dumps({"opened": opened, "imported": sorted(sys.modules)}))
"""


@pytest.fixture
def change(monkeypatch: pytest.MonkeyPatch):
    def set_all(**environment: str | None) -> None:
        for name, value in environment.items():
            if value is None:
                monkeypatch.delenv(name)
            else:
                monkeypatch.setenv(name, value)
        forget()

    return set_all


def asked(count: int, change) -> dict[str, Asked]:
    found: list[Asked] = []
    made = scenarios(count, change)
    made["lineage"]()  # reads every manifest once, into the index
    for work in made.values():
        with counted(found):
            work()
    return dict(zip(made, found, strict=True))


def test_questions_do_not_grow_with_the_days(cleared, change) -> None:
    fabricate(10)
    first = asked(10, change)
    fabricate(40)
    many = asked(40, change)
    for name, few in first.items():
        more = many[name]
        assert (more.lists, more.sql) == (few.lists, few.sql), name
        assert more.lists <= MOST_LISTS, name
        assert more.sql <= MOST_SQL, name
        assert more.reads == 0, name  # the index has them all


def test_a_finished_day_is_little_work(cleared) -> None:
    """Seconds depend on the machine; the calls of Python's functions do not."""
    calls = {}
    for count in (15, 365):
        fabricate(count)
        plan(count)  # reads each manifest once, into the index
        forget()
        calls[count] = _calls(count)
    assert (calls[365] - calls[15]) / (365 - 15) <= MOST_CALLS


def _calls(count: int) -> int:
    made = 0

    def profile(_frame: Any, event: str, _given: Any) -> None:
        nonlocal made
        made += event == "call"

    sys.setprofile(profile)
    try:
        assert plan(count) == 0
    finally:
        sys.setprofile(None)
    return made


def test_a_year_of_finished_days_opens_no_more_files(cleared) -> None:
    """And it imports neither an engine nor what only work needs."""
    watched = {}
    for count in (15, 365):
        fabricate(count)
        plan(count)
        watched[count] = _watched(cleared, count)
    assert watched[365]["opened"] == watched[15]["opened"]
    heavy = {"duckdb", "sqlframe", "pyspark", "pyarrow", "numpy", "pandas", "torch", "mlflow"}
    assert heavy & set(watched[365]["imported"]) == set()


def _watched(home: Any, count: int) -> dict[str, Any]:
    wanted = days(count)
    done = subprocess.run(
        [
            sys.executable, "-c", WATCHED, str(home.path), "--module", "luigi_traffic.run",
            "RangeDaily", "--of", "Gold", "--of-params", json.dumps({"dataset": DATASET}),
            "--start", str(wanted[0]), "--stop", str(wanted[-1]), "--local-scheduler",
        ],
        env=home.environment, capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    assert "1 complete ones were encountered" in done.stdout + done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found
