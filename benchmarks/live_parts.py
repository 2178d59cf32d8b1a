"""The simulated service and the live runner as processes, for `live.py`."""

from __future__ import annotations

import json
import os
import random
import shlex
import signal
import statistics
import subprocess
import sys
import threading
import time
from contextlib import AbstractContextManager, suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import NoReturn
from zoneinfo import ZoneInfo

import psutil

CLOCK = "LUIGI_TRAFFIC_CLOCK"
OUTAGE = timedelta(minutes=20)
SEOUL = ZoneInfo("Asia/Seoul")
_MIB = 2**20
_LOOK_S = 0.05
_WATCH_S = 1.0


def clock_at(begin: datetime, real: float | None = None, pace: float = 1.0) -> str:
    """A clock that shows the wall time `begin` now, or at that Unix time."""
    moment = begin.replace(tzinfo=SEOUL).isoformat()
    return f"{moment}@{time.time() if real is None else real:.6f}x{pace!r}"


def command(*words: str, clock: str | None = None) -> str:
    """What a command of this environment prints to stdout. Ends the benchmark if it fails."""
    done = subprocess.run(
        words, env=os.environ | ({CLOCK: clock} if clock else {}), capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    if done.returncode:
        sys.exit(f"{' '.join(words)} failed:\n{done.stdout[-4000:]}{done.stderr[-4000:]}")
    return done.stdout


def kill_times(count: int, begin: datetime, span: timedelta, seed: int) -> list[datetime]:
    """Wall times, one in each of as many equal parts of the span."""
    drawn = random.Random(seed)
    return [begin + span * (n + drawn.random()) / count for n in range(count)]


class Server(AbstractContextManager["Server"]):
    """`its-sim-serve`, ready when the block begins: its clock begins then, too."""

    def __init__(
        self, begin: datetime, pace: float, outage: tuple[datetime, datetime], folder: Path
    ) -> None:
        self._begin, self._pace = begin, pace
        words = [
            "luigi-traffic", "its-sim-serve", "--from", begin.isoformat(), "--pace", str(pace),
            "--outage", "/".join(at.isoformat() for at in outage),
        ]  # fmt: skip
        self._log = (folder / "serve.log").open("w")
        self._process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=self._log, text=True)

    def __enter__(self) -> Server:
        """Take over the environment that it prints."""
        for _ in range(3):
            line = self._process.stdout.readline() if self._process.stdout else ""
            if not line.startswith("export "):
                sys.exit(f"its-sim-serve printed {line!r} instead of its environment")
            name, _, value = shlex.split(line)[1].partition("=")
            if name == CLOCK:  # only the processes that are to have it
                _, _, rest = value.partition("@")
                self._real = float(rest.partition("x")[0])
            else:
                os.environ[name] = value
        return self

    def __exit__(self, *error: object) -> None:
        self._process.terminate()
        self._process.wait()
        self._log.close()

    def clock(self, off: timedelta = timedelta(0)) -> str:
        """The clock of the service, or one that is off by so much."""
        return clock_at(self._begin + off, self._real, self._pace)

    def wait_until(self, wall: datetime) -> None:
        """Until the clock of the service shows that time."""
        until = self._real + (wall - self._begin).total_seconds() / self._pace
        time.sleep(max(0.0, until - time.time()))

    def is_past(self, wall: datetime) -> bool:
        """Whether the clock of the service shows that time or a later one."""
        return time.time() >= self._real + (wall - self._begin).total_seconds() / self._pace


class Runner(AbstractContextManager["Runner"]):
    """`luigi-traffic live`, started again whenever it is killed. Its log goes on in one file."""

    def __init__(self, clock: str, log: Path, seed: int) -> None:
        self._clock, self._log = clock, log.open("ab")
        self._drawn = random.Random(seed)
        self._watched: list[float] = []
        self._tick_s = 0.0
        self.kills = self.kills_in_ticks = 0
        self._start()

    def __exit__(self, *error: object) -> None:
        self._process.kill()
        self._process.wait()

    def _start(self) -> None:
        words = ["luigi-traffic", "live", "--dataset", "its_openapi"]
        self._process = subprocess.Popen(
            words, env=os.environ | {CLOCK: self._clock}, stdout=self._log, stderr=self._log
        )

    def _doing(self) -> str:
        """What its heartbeat says; empty if it is still that of the process before."""
        home = Path(os.environ["LUIGI_TRAFFIC_HOME"])
        try:
            said = json.loads((home / "heartbeats" / "live-its_openapi.json").read_text())
        except FileNotFoundError:
            return ""
        return str(said["doing"]) if said["pid"] == self._process.pid else ""

    def time_a_tick(self, longest_s: float = 120.0) -> None:
        """See how long the first tick of a runner takes: kills are spread over so much."""
        begin = self._begun(longest_s)
        while self._in_a_tick():
            time.sleep(_LOOK_S)
        self._tick_s = time.monotonic() - begin

    def kill_in_a_tick(self, longest_s: float = 60.0) -> None:
        """SIGKILL at a random moment of the next tick, and start again."""
        self._begun(longest_s)
        time.sleep(self._drawn.uniform(0, self._tick_s))
        self.kills_in_ticks += self._in_a_tick()
        self.kills += 1
        self.restart(self._clock)

    def _begun(self, longest_s: float) -> float:
        """Wait for a tick to begin; the time."""
        until = time.monotonic() + longest_s
        while not self._in_a_tick() and time.monotonic() < until:
            self._expect_alive()
            time.sleep(_LOOK_S)
        return time.monotonic()

    def _in_a_tick(self) -> bool:
        return self._doing().startswith("tick of")

    def _expect_alive(self) -> None:
        if (code := self._process.poll()) is not None:
            self._complain(code)

    def restart(self, clock: str) -> None:
        """SIGKILL, and start again with that clock."""
        self._expect_alive()
        self._process.kill()
        self._process.wait()
        self._clock = clock
        self._start()

    def watch(self) -> None:
        """Note the memory of this process from now on."""
        process = psutil.Process(self._process.pid)

        def look() -> None:
            with suppress(psutil.NoSuchProcess):
                while process.is_running():
                    self._watched.append(process.memory_info().rss / _MIB)
                    time.sleep(_WATCH_S)

        threading.Thread(target=look, daemon=True).start()

    def memory(self) -> tuple[float, float, float]:
        """MiB of the watched process: medians of the second tenth of its time, of one in the
        middle, and of the last one. The first one has the imports."""
        seen = [mib for mib in self._watched if mib > 0]
        tenth = max(1, len(seen) // 10)
        parts = (seen[tenth : 2 * tenth], seen[len(seen) // 2 :][:tenth], seen[-tenth:])
        start, middle, end = (statistics.median(part) for part in parts)
        return start, middle, end

    def stop(self) -> None:
        """SIGTERM: a tick that is at work is finished."""
        self._expect_alive()
        self._process.terminate()
        # One that is still starting has no handler yet.
        if (code := self._process.wait()) not in (0, -signal.SIGTERM):
            self._complain(code)

    def _complain(self, code: int) -> NoReturn:
        log = Path(self._log.name).read_text(errors="replace")
        sys.exit(f"luigi-traffic live ended with exit code {code}:\n{log[-4000:]}")
