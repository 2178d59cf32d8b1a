"""A stage that hangs is ended, whatever hangs, and the run says so and fails."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from luigi_traffic.processes.postgres.embedded import EmbeddedServer

#: A dataset whose source hangs on one day, beside a program that it started.
HANGING = """
import subprocess, time
from pathlib import Path
{tiny}

class HangingSource(lt.Files):
    def open(self, day):
        program = subprocess.Popen(["sleep", "600"])
        Path("{mark}").write_text(str(program.pid))
        time.sleep(600)


TinyDataset.source = lambda self: HangingSource("/nowhere/{{date}}.csv")
"""
SECONDS = 4.0


@pytest.fixture
def hanging(tiny, tmp_path: Path):
    source = (tiny.home.parent / "plugins" / "tiny.py").read_text(encoding="utf-8")
    mark = tmp_path / "program"
    tiny.plugin("tiny", HANGING.format(tiny=source, mark=mark))
    tiny.set(PIPELINE__STAGE_TIMEOUT_HOURS=str(SECONDS / 3600))
    return mark


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_hung_stage_is_ended_and_the_run_has_failed(hanging: Path, tiny, workers: str) -> None:
    words = ["IngestRaw", "--dataset", "tiny", "--date", "2024-05-31", "--local-scheduler"]
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "luigi", "--module", "luigi_traffic.run", *words,
         "--workers", workers],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 30, done.stderr
    assert time.monotonic() - began < 60
    assert "raw tiny 2024-05-31: not done after 4 s, the limit of pipeline.stage_timeout_hours" in (
        done.stderr
    )
    assert "in open" in done.stderr, "the traceback shows where it hung"
    program = int(hanging.read_text())
    assert not psutil.pid_exists(program) or (
        psutil.Process(program).status() == psutil.STATUS_ZOMBIE
    )
    # The embedded database was started by the hung run, and is not ended with it.
    assert EmbeddedServer(tiny.home / "postgres").running()


STUCK = """
import ctypes, sys
from luigi_traffic.tasks import time_limit
time_limit._BACKSTOP_S = 1.0
with time_limit.time_limit("x", 1.0, "y"):
    ctypes.PyDLL(None).sleep(60)
"""


def test_c_code_that_keeps_the_interpreter_to_itself_is_ended_too() -> None:
    done = subprocess.run([sys.executable, "-c", STUCK], capture_output=True, text=True, timeout=50)
    assert done.returncode == 1
    assert "Timeout" in done.stderr and "<string>" in done.stderr


def test_what_is_done_in_time_is_left_alone() -> None:
    code = (
        "import time\nfrom luigi_traffic.tasks.time_limit import time_limit\n"
        "with time_limit('x', 0.5, 'y'): pass\ntime.sleep(2)\nprint('alive')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=50)
    assert (done.returncode, done.stdout, done.stderr) == (0, "alive\n", "")
