"""What Luigi's forked workers need on DuckDB is imported before the fork; nothing is started."""

from __future__ import annotations

import subprocess
import sys
from datetime import date

import pytest

from luigi_traffic.tasks.bronze import Bronze

#: As Luigi's worker does before it forks for a task.
_ASKED = """
import sys
from datetime import date
import luigi_traffic.run as run

def seen():
    return [name for name in ("sqlframe", "duckdb", "pandas", "pyspark") if name in sys.modules]

before = seen()
assert getattr(run, sys.argv[1])(date(2024, 5, 31), dataset="tiny").worker_timeout is None
from luigi_traffic.project import current
assert not current().catalog.planning
print(*before, "->", *seen())
if "sqlframe" in sys.modules:
    from luigi_traffic.compute import duckdb_session
    assert not duckdb_session._sessions
"""


def asked(stage: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", _ASKED, stage], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("stage", ["Bronze", "Silver", "Gold"])
def test_stages_that_compute_import_before_the_fork(tiny, stage: str) -> None:
    tiny.set(COMPUTE__ENGINE="duckdb")
    assert asked(stage).startswith("-> sqlframe duckdb")


@pytest.mark.parametrize("stage", ["IngestRaw", "AnnounceRaw"])
def test_others_do_not(tiny, stage: str) -> None:
    tiny.set(COMPUTE__ENGINE="duckdb")
    assert asked(stage) == "->"


def test_spark_does_not(tiny) -> None:
    tiny.set(COMPUTE__ENGINE="spark")
    assert asked("Bronze") == "->"


def test_a_missing_package_is_left_to_the_stage(tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error here would end Luigi's worker, and no task would have failed."""
    tiny.set(COMPUTE__ENGINE="duckdb")
    monkeypatch.setitem(sys.modules, "duckdb", None)
    assert Bronze(date(2024, 5, 31), dataset="tiny").worker_timeout is None
