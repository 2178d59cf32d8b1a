"""The process of an embedded server: does it live, what did a killed one leave, its port."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from pathlib import Path

import psutil

from luigi_traffic.recipe import short_hash

HOST = "127.0.0.1"


@dataclass(frozen=True)
class Cluster:
    """A database on disk and the port it is served at."""

    home: str  # holds data/
    port: int

    @property
    def data(self) -> Path:
        """PostgreSQL's data folder."""
        return Path(self.home) / "data"

    @property
    def name(self) -> str:
        """`cluster_name`: in the title of every process of the server, which anybody may read."""
        return f"luigi_traffic-{short_hash(str(self.data))}"

    def runs(self) -> bool:
        """True if the server's main process lives."""
        pid = self._pid()
        return pid is not None and psutil.pid_exists(pid) and self._owns(psutil.Process(pid))

    def processes(self) -> list[psutil.Process]:
        """All processes of the server that live, also where its main process does not."""
        return [process for process in psutil.process_iter() if self._owns(process)]

    def clear_stale_pid_file(self) -> bool:
        """Call it when the server does not run. True if one was killed and left its pid file.

        The server itself copes with the file, unless its pid is another process by now
        (a restarted container, a zombie). Then the file is removed, but never while a
        child of the old server lives: two servers on one database destroy it.
        """
        pid = self._pid()
        if pid is None:
            return False
        if psutil.pid_exists(pid) and not self.processes():
            (self.data / "postmaster.pid").unlink(missing_ok=True)
        return True

    def _pid(self) -> int | None:
        try:
            text = (self.data / "postmaster.pid").read_text(encoding="utf-8")
            return int(text.split("\n")[0])
        except (FileNotFoundError, ValueError):  # ValueError: just being written
            return None

    def _owns(self, process: psutil.Process) -> bool:
        # By its title: root in a container may not look at another user's files and folders.
        try:
            return self.name in " ".join(process.cmdline())
        except (psutil.NoSuchProcess, psutil.AccessDenied):  # a zombie is a NoSuchProcess
            return False


def free_port() -> int:
    """A port of the loopback address that nobody listens on now."""
    with socket.socket() as server:
        server.bind((HOST, 0))
        return int(server.getsockname()[1])


def port_is_free(port: int) -> bool:
    """True if a server could listen there now."""
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            server.bind((HOST, port))
        except OSError:
            return False
    return True
