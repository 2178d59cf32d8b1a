from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from luigi_traffic.processes import luigi_run
from luigi_traffic.processes.luigi_run import LuigiRun, RunTimeout, command
from luigi_traffic.processes.stop_signal import stop_signal


def python(program: str, *arguments: str) -> LuigiRun:
    run = LuigiRun([sys.executable, "-c", program, *arguments])
    run.start()
    return run


def wait_for(path: Path) -> str:
    deadline = time.monotonic() + 30
    while not (path.exists() and path.read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return path.read_text()


def test_the_command_runs_luigi_with_the_tasks_of_the_pipeline() -> None:
    words = command("Gold", ["--dataset", "its", "--help"])
    done = subprocess.run(words, capture_output=True, text=True, timeout=60)
    assert "--date" in done.stdout and "--dataset" in done.stdout, done.stderr


@pytest.mark.parametrize("status", [0, 30])
def test_the_exit_status(status: int) -> None:
    run = python(f"raise SystemExit({status})")
    assert run.wait(threading.Event(), 60) == status == run.returncode


def test_before_it_starts_there_is_nothing_to_ask() -> None:
    with pytest.raises(RuntimeError, match="not started"):
        LuigiRun(["x"]).poll()


PARENT = """
import subprocess, sys, pathlib, signal
if sys.argv[2] == "deaf": signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"])
pathlib.Path(sys.argv[1]).write_text(str(child.pid))
child.wait()
import time; time.sleep(300 if sys.argv[2] == "deaf" else 0)
"""


@pytest.mark.parametrize(("manner", "number"), [("", signal.SIGTERM), ("deaf", signal.SIGKILL)])
def test_stop_ends_all_that_it_started(tmp_path: Path, manner: str, number: int) -> None:
    run = python(PARENT, str(tmp_path / "child"), manner)
    child = psutil.Process(int(wait_for(tmp_path / "child")))
    assert os.getpgid(child.pid) != os.getpgid(0)
    run.stop(grace=1 if manner else 30)
    assert run.returncode in (-number, 0 if not manner else -number)
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE


def test_a_signal_to_us_stops_the_wait_and_the_run(tmp_path: Path) -> None:
    run = python(PARENT, str(tmp_path / "child"), "")
    wait_for(tmp_path / "child")
    before = signal.getsignal(signal.SIGTERM)
    with stop_signal() as stop:
        os.kill(os.getpid(), signal.SIGTERM)
        assert run.wait(stop, 60) is None
    assert run.returncode == -signal.SIGTERM
    assert signal.getsignal(signal.SIGTERM) == before


@pytest.mark.parametrize("manner", ["", "deaf", "stopped"])
def test_a_run_that_hangs_is_stopped_with_all_that_it_started(
    tmp_path: Path, manner: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also one that takes no SIGTERM, and one that takes no signal but SIGKILL."""
    monkeypatch.setattr(luigi_run, "GRACE_S", 1.0)
    run = python(PARENT, str(tmp_path / "child"), manner)
    child = psutil.Process(int(wait_for(tmp_path / "child")))
    if manner == "stopped":
        os.killpg(os.getpgid(child.pid), signal.SIGSTOP)
    looked: list[int] = []
    with pytest.raises(RunTimeout, match=r"pipeline\.run_timeout_hours"):
        run.wait(threading.Event(), 1.0, lambda: looked.append(1))
    assert len(looked) >= 2
    assert run.returncode == (-signal.SIGTERM if not manner else -signal.SIGKILL)
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE
