from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import luigi_traffic
from luigi_traffic.crashpoints import STOP_VARIABLE, VARIABLE, CrashPoint, crash_point

CODE = """
from luigi_traffic.crashpoints import CrashPoint, crash_point
for n in range(3):
    print(n, flush=True)
    crash_point(CrashPoint.GOLD_STAGED)
    crash_point(CrashPoint.GOLD_ATTACHED)
"""


@pytest.mark.parametrize(
    ("wanted", "passed", "status"),
    [
        ("", 3, 0),
        ("gold.committed", 3, 0),
        ("gold.staged", 1, -signal.SIGKILL),
        ("gold.attached:1", 1, -signal.SIGKILL),
        ("gold.staged:3", 3, -signal.SIGKILL),
        ("gold.staged:4", 3, 0),
    ],
)
def test_the_process_dies_where_it_is_told(wanted: str, passed: int, status: int) -> None:
    child = subprocess.run(
        [sys.executable, "-c", CODE], env={VARIABLE: wanted}, capture_output=True, text=True
    )
    assert (child.returncode, len(child.stdout.split())) == (status, passed), child.stderr


def test_the_process_stops_where_it_is_told_and_goes_on() -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", CODE],
        env={STOP_VARIABLE: "gold.staged:2"},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        _, status = os.waitpid(child.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status) and os.WSTOPSIG(status) == signal.SIGSTOP
        os.kill(child.pid, signal.SIGCONT)
        said, _ = child.communicate(timeout=30)
    finally:
        child.kill()
    assert (child.returncode, said.split()) == (0, ["0", "1", "2"])


def test_nothing_happens_unless_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    for point in CrashPoint:
        crash_point(point)


def test_every_point_is_passed_somewhere() -> None:
    package = Path(luigi_traffic.__file__).parent
    used = {
        name
        for file in package.rglob("*.py")
        for name in re.findall(r"crash_point\(CrashPoint\.(\w+)\)", file.read_text())
    }
    assert used == {point.name for point in CrashPoint}
