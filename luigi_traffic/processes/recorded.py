"""Processes that outlive the command that started them, and whose is whose.

A process is ours where id, time of birth and command line are the recorded ones: an id
alone may be somebody else's by now.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

#: The clock that birth times are told by is set now and then.
_CLOCK_SLACK_S = 5.0
_POLL_S = 0.2
# Becomes the command when its birth is recorded; ends where the one who records is killed.
_GATE = 'read -r go && exec "$@" </dev/null'


@dataclass(frozen=True)
class Recorded:
    """One started server. `began` is the birth of its main process, in seconds of the epoch."""

    name: str
    pid: int
    began: float
    command: list[str]
    port: int

    def process(self) -> psutil.Process | None:
        """Its main process, None where that is gone or the id is another process's by now."""
        # The first word may be rewritten (a Python that starts another Python).
        words = self.command[1:] or self.command
        try:
            process = psutil.Process(self.pid)
            born_then = abs(process.create_time() - self.began) < _CLOCK_SLACK_S
            said = process.cmdline()
            # Empty for a moment while it begins. Before that, behind the gate.
            if born_then and (not said or said[-len(words) :] == words):
                return process
        except psutil.Error:  # gone, a zombie, or somebody else's
            pass
        return None

    def processes(self) -> list[psutil.Process]:
        """Main process and all that it started, those included that outlived it.

        It leads a session of its own, and no new process gets the id of a session that has
        members: where the id is no process's, the members of that session are ours.
        """
        leader = self.process()
        if leader is None and (psutil.pid_exists(self.pid) or psutil.boot_time() > self.began):
            return []
        found = [leader] if leader else []
        if leader:
            with suppress(psutil.Error):
                found += leader.children(recursive=True)  # with a session of their own, too
        for process in psutil.process_iter():
            with suppress(psutil.Error, OSError):
                if os.getsid(process.pid) == self.pid and process not in found:
                    found.append(process)
        return found


def start(
    command: Sequence[str],
    record: Callable[[int, float], None],
    log: Path,
    cwd: Path,
    environment: Mapping[str, str],
    identity: Mapping[str, Any] | None = None,
) -> subprocess.Popen[bytes]:
    """Start `command` in a session of its own, its output appended to `log`.

    It runs only when `record(pid, began)` has returned: a process that nobody recorded ends
    with us, however we end. `identity` is who runs it, as `Popen` takes it.
    """
    with log.open("ab") as output:
        process = subprocess.Popen(
            ["/bin/sh", "-c", _GATE, "sh", *command],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=cwd,
            env=dict(environment),
            # Out of reach of the terminal's Ctrl-C, and alive when it is closed.
            start_new_session=True,
            **(identity or {}),
        )
    if process.stdin is None:
        raise AssertionError("the gate has no pipe")
    with process.stdin as gate:
        record(process.pid, psutil.Process(process.pid).create_time())
        gate.write(b"go\n")
    return process


def end(
    processes: Iterable[psutil.Process], timeout_s: float, sign: int = signal.SIGTERM
) -> list[psutil.Process]:
    """Signal them, wait, kill those that are left. Returns those that outlive even that."""
    mine = list(processes)
    for process in mine:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(sign)
    left = _left(mine, timeout_s)
    for process in left:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    return _left(left, timeout_s)


def _left(processes: list[psutil.Process], timeout_s: float) -> list[psutil.Process]:
    """Those that live on after that time."""
    deadline = time.monotonic() + timeout_s
    left = processes
    while left:
        _, waiting = psutil.wait_procs(left, timeout=_POLL_S)
        # In a container it may take long until somebody asks for what an orphan returned.
        left = [process for process in waiting if not _is_zombie(process)]
        if time.monotonic() > deadline:
            break
    return left


def _is_zombie(process: psutil.Process) -> bool:
    try:
        return bool(process.status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True
