"""A process runs only when it is recorded."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import psutil
import pytest

from luigi_traffic.processes import recorded
from luigi_traffic.processes.recorded import Recorded


def wait_for(path, timeout=30.0):
    deadline = time.monotonic() + timeout
    while not path.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    return path.exists()


def test_is_ours_before_and_after_it_becomes_the_command(tmp_path):
    command = [sys.executable, "-c", "open('ran', 'w').close(); import time; time.sleep(600)"]
    seen: list[Recorded] = []

    def record(pid: int, began: float) -> None:
        seen.append(Recorded("x", pid, began, command, 1))
        assert seen[0].process() is not None
        assert not (tmp_path / "ran").exists()

    process = recorded.start(command, record, tmp_path / "log", tmp_path, os.environ)
    assert wait_for(tmp_path / "ran")
    assert seen[0].process() is not None
    assert psutil.Process(process.pid).cmdline()[1:] == command[1:]
    assert recorded.end(seen[0].processes(), 10) == []
    assert seen[0].process() is None


def test_one_that_cannot_be_recorded_never_runs(tmp_path):
    born = []

    def record(pid: int, began: float) -> None:
        born.append(pid)
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        recorded.start(["touch", "ran"], record, tmp_path / "log", tmp_path, os.environ)
    psutil.wait_procs([psutil.Process(pid) for pid in born if psutil.pid_exists(pid)], timeout=10)
    assert born and not (tmp_path / "ran").exists()


def test_ends_with_one_who_is_killed_before_recording_it(tmp_path):
    program = (
        "import os, signal; from pathlib import Path\n"
        "from luigi_traffic.processes import recorded\n"
        "def record(pid, began):\n"
        "    Path('pid').write_text(str(pid)); os.kill(os.getpid(), signal.SIGKILL)\n"
        "recorded.start(['touch', 'ran'], record, Path('log'), Path('.'), os.environ)"
    )
    killed = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=False)
    assert killed.returncode == -9
    pid = int((tmp_path / "pid").read_text())
    deadline = time.monotonic() + 30
    while psutil.pid_exists(pid) and time.monotonic() < deadline:
        if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            break
        time.sleep(0.02)
    assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    assert not (tmp_path / "ran").exists()
