"""The processes of a server of our own, as this pid namespace shows them, and its port."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from pathlib import Path

import psutil

from luigi_traffic.recipe import short_hash

HOST = "127.0.0.1"
_PORT_LINE, _BEGIN_LINE = 3, 2  # of postmaster.pid, from 0


def lives(data: Path, name: str) -> bool:
    """True if the main process of the server `name` on `data` is there."""
    pid = recorded_pid(data)
    return pid is not None and psutil.pid_exists(pid) and _is_of(psutil.Process(pid), name)


def processes(name: str) -> list[psutil.Process]:
    """All processes of the server `name`, also where its main process has gone."""
    return [process for process in psutil.process_iter() if _is_of(process, name)]


def recorded_pid(data: Path) -> int | None:
    """The process id in `postmaster.pid`."""
    return _line(data, 0)


def recorded_port(data: Path) -> int | None:
    """The port in `postmaster.pid`."""
    return _line(data, _PORT_LINE)


def recorded_begin(data: Path) -> int | None:
    """When the server of `postmaster.pid` was started, in seconds since 1970."""
    return _line(data, _BEGIN_LINE)


def _line(data: Path, number: int) -> int | None:
    try:
        text = (data / "postmaster.pid").read_text(encoding="utf-8")
        return int(text.split("\n")[number])
    except (FileNotFoundError, ValueError, IndexError):  # the last two: just being written
        return None


def _is_of(process: psutil.Process, name: str) -> bool:
    # By its title: root in a container may not look at another user's files and folders.
    try:
        return name in " ".join(process.cmdline())
    except (psutil.NoSuchProcess, psutil.AccessDenied):  # a zombie is a NoSuchProcess
        return False


@dataclass(frozen=True)
class Cluster:
    """A database on disk and the port it is served at, by a server that somebody else starts."""

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

    def processes(self) -> list[psutil.Process]:
        """All processes of the server that live, also where its main process does not."""
        return processes(self.name)

    def clear_stale_pid_file(self) -> bool:
        """Call it when the server does not run. True if one was killed and left its pid file.

        The server itself copes with the file, unless its pid is another process by now
        (a restarted container, a zombie). Then the file is removed, but never while a
        child of the old server lives: two servers on one database destroy it.
        """
        pid = recorded_pid(self.data)
        if pid is None:
            return False
        if psutil.pid_exists(pid) and not self.processes():
            (self.data / "postmaster.pid").unlink(missing_ok=True)
        return True


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
