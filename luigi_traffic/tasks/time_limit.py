"""A time limit on the work of a stage: what hangs is ended, and says where it hung.

Luigi's own `worker.timeout` forks a process for each task, also with one worker; then every stage
would start a Spark of its own. So a thread watches, and ends the process that works: the run
itself with one worker, one of its processes with more. Nothing is half-written by that.
"""

from __future__ import annotations

import faulthandler
import logging
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import luigi.configuration
import psutil

logger = logging.getLogger("luigi_traffic")

#: A thread of Python cannot run while C code keeps the interpreter to itself; after that much
#: longer the watch that needs no interpreter ends the process, with exit code 1.
_BACKSTOP_S = 60.0
_STDERR = 2


@contextmanager
def time_limit(what: str, seconds: float, setting: str) -> Iterator[None]:
    """End this process, and all that it started, if the block takes longer than `seconds`.

    The exit code is Luigi's for a failed task. `what` and `setting`, the key that the limit comes
    from, are reported, and where each thread is. One block at a time in a process.
    """
    done = threading.Event()

    def watch() -> None:
        if not done.wait(seconds):
            _end(what, seconds, setting)

    threading.Thread(target=watch, name=f"time limit of {what}", daemon=True).start()
    faulthandler.dump_traceback_later(seconds + _BACKSTOP_S, exit=True, file=_STDERR)
    try:
        yield
    finally:
        done.set()
        faulthandler.cancel_dump_traceback_later()


def _end(what: str, seconds: float, setting: str) -> None:
    logger.error(
        "%s: not done after %s, the limit of %s: this process (%d) ends. The place where it "
            "hung is shown below; what is committed is kept, and a new run continues from there. "
            "If the work takes that long, raise the setting.",
        what, shown(seconds), setting, os.getpid(),
    )  # fmt: skip
    faulthandler.dump_traceback(file=_STDERR, all_threads=True)
    for process in _started():
        with suppress(psutil.NoSuchProcess):
            process.kill()
    os._exit(luigi.configuration.get_config().getint("retcode", "task_failed", 30))


def _started() -> list[psutil.Process]:
    """What this process started and what should end with it: not servers, they have sessions."""
    found = []
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess, ProcessLookupError):
            if os.getsid(process.pid) == os.getsid(0):
                found.append(process)
    return found


def shown(seconds: float) -> str:
    """A time for people: 90 s, 12 h."""
    return f"{seconds / 3600:g} h" if seconds >= 3600 else f"{seconds:g} s"
