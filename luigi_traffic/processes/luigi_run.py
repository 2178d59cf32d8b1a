"""Luigi's command line as a subprocess, for commands that start runs and outlive them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

import psutil

from luigi_traffic.errors import TransientError
from luigi_traffic.processes.waiting import until

#: How long a run may take to end after SIGTERM. Nothing is lost if it is killed: what is
#: not committed does not exist.
GRACE_S = 30.0
_KILLED_S = 10.0
#: Luigi's exit code where tasks are left that another worker on luigid is at; luigi_traffic.run
#: and luigi.cfg set it. Nothing has failed.
NOT_RUN = 25
_POLL_S = 0.2


def command(task: str, arguments: Sequence[str]) -> list[str]:
    """`luigi --module luigi_traffic.run TASK …` with this Python, whatever the PATH says."""
    return [sys.executable, "-m", "luigi", "--module", "luigi_traffic.run", task, *arguments]


class RunTimeout(TransientError):
    """A run took longer than it may, and was stopped."""

    def __init__(self, seconds: float) -> None:
        super().__init__(
            f"not done within {seconds / 3600:.3g} h, so it was stopped with everything it had "
            "started. What it committed is kept. If it needs more time, raise "
            "pipeline.run_timeout_hours."
        )


class LuigiRun:
    """One run of Luigi; what it says goes where ours goes.

    It leads a process group: a Ctrl-C of the terminal reaches us alone, and `stop()` reaches
    all that it started, its workers and Spark's JVM included.
    """

    def __init__(self, words: Sequence[str]) -> None:
        self.words = list(words)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def returncode(self) -> int | None:
        """None while it runs, negative where a signal ended it."""
        return self._started.returncode

    def start(self) -> None:
        """Start it. Raises OSError if that cannot be done."""
        self._process = subprocess.Popen(
            self.words, stdin=subprocess.DEVNULL, start_new_session=True
        )

    def poll(self) -> int | None:
        """The exit status, None while it runs."""
        return self._started.poll()

    def wait(
        self,
        stop: threading.Event,
        seconds: float,
        meanwhile: Callable[[], None] = lambda: None,
    ) -> int | None:
        """Wait for its end, or for `stop`, and then stop it. The exit status; None if stopped.

        `meanwhile` is called several times a second. Raises `RunTimeout`, and the run is
        stopped, if it has not ended after `seconds`.
        """
        deadline = time.monotonic() + seconds
        while self.poll() is None:
            if stop.wait(_POLL_S):
                self.stop()
                return None
            if time.monotonic() > deadline:
                self.stop()
                raise RunTimeout(seconds)
            meanwhile()
        return self.returncode

    def stop(self, grace: float | None = None) -> None:
        """SIGTERM to its process group; SIGKILL to what is left after `grace` seconds (30)."""
        group = self._started.pid
        term_s = GRACE_S if grace is None else grace
        for number, seconds in ((signal.SIGTERM, term_s), (signal.SIGKILL, _KILLED_S)):
            with suppress(ProcessLookupError):
                os.killpg(group, number)
            if until(lambda: self.poll() is not None and not _members(group), seconds, _POLL_S):
                return

    @property
    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise RuntimeError("the run was not started")
        return self._process


def _members(group: int) -> bool:
    """Whether a process of that group still runs; a zombie does not."""
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if os.getpgid(process.pid) == group and process.status() != psutil.STATUS_ZOMBIE:
                return True
    return False
