"""What all processes of a home take, for other benchmarks."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import psutil


class Cpu(threading.Thread):
    """CPU seconds and peak memory of all processes that have a home in their environment.

    Those that they started count as well: a server of PostgreSQL writes its title over both.
    """

    def __init__(self, home: Path) -> None:
        super().__init__(daemon=True)
        self._home, self._seen, self._end = str(home), {}, threading.Event()
        self.peak = 0

    def run(self) -> None:
        """Look four times a second: a process that ends is counted up to the last look."""
        while not self._end.wait(0.25):
            now = 0
            for process, memory in self._processes():
                now += memory
                used = process.cpu_times()
                self._seen[process.pid, process.create_time()] = used.user + used.system
            self.peak = max(self.peak, now)

    def _processes(self) -> Iterator[tuple[psutil.Process, int]]:
        mine: set[int] = set()
        for process in psutil.process_iter():
            try:
                if process.ppid() in mine or self._is_of_home(process):
                    mine.add(process.pid)
                    # What PostgreSQL shares is counted once a process otherwise.
                    found = process.memory_info()
                    yield process, found.rss - found.shared
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue

    def _is_of_home(self, process: psutil.Process) -> bool:
        return process.environ().get("LUIGI_TRAFFIC_HOME") == self._home or any(
            self._home in word for word in process.cmdline()
        )

    def stop(self) -> float:
        """The CPU seconds."""
        self._end.set()
        self.join()
        return sum(self._seen.values())
