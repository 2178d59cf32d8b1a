"""What every server of the stack is: a command, its environment, its ports, and a probe."""

from __future__ import annotations

import signal
import socket
from collections.abc import Collection
from dataclasses import dataclass
from functools import cache
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any, ClassVar

import psutil
from artifacts import Artifact
from inherited import HOST
from state import State

from luigi_traffic.errors import SettingsError
from luigi_traffic.processes.recorded import Recorded
from luigi_traffic.spark.session import JAVA_NEEDED, java_version

PROBE_TIMEOUT_S = 5


@dataclass
class Stack:
    """What the servers share. `given` holds the variables of the environment that name servers
    of somebody else."""

    state: State
    ports: dict[str, int]
    passwords: dict[str, str]
    given: Collection[str] = ()

    def url(self, port: str) -> str:
        """The address of a port that speaks HTTP."""
        return f"http://{HOST}:{self.ports[port]}"


class Server:
    """One server. `name` is also the name of its first port, its log and its data folder."""

    name: ClassVar[str]
    #: Where this variable of the environment names another server, that one is used.
    variable: ClassVar[str]
    #: By name; what they are when they are free.
    default_ports: ClassVar[dict[str, int]]
    needs: ClassVar[tuple[str, ...]] = ()
    artifact: ClassVar[Artifact | None] = None
    needs_java: ClassVar[bool] = False
    stop_signal: ClassVar[int] = signal.SIGTERM
    start_timeout_s: ClassVar[float] = 120
    stop_timeout_s: ClassVar[float] = 30

    def __init__(self, stack: Stack) -> None:
        self.stack = stack

    @property
    def port(self) -> int:
        """Where clients reach it."""
        return self.stack.ports[self.name]

    @property
    def address(self) -> str:
        """As a person reads it."""
        return f"{HOST}:{self.port}"

    @property
    def data(self) -> Path:
        """Its folder, which outlives it."""
        return self.stack.state.data(self.name)

    @property
    def log(self) -> Path:
        """What it said."""
        return self.stack.state.log(self.name)

    def record(self) -> Recorded | None:
        """What was started and not yet stopped; it may have ended since."""
        return self.stack.state.records().get(self.name)

    def runs(self) -> bool:
        """Whether its main process lives."""
        record = self.record()
        return record is not None and record.process() is not None

    def files(self) -> Path:
        """The folder of its artifact."""
        if self.artifact is None:
            raise ValueError(f"{self.name} has no artifact")
        return self.artifact.folder

    def prepare(self) -> None:
        """Whatever has to be there before it starts; called again before every start."""

    def command(self) -> list[str]:
        """No secret in it: everybody may read it."""
        raise NotImplementedError

    def environment(self) -> dict[str, str]:
        """What it needs beside `inherited.environment`."""
        return {}

    def identity(self) -> dict[str, Any]:
        """Who runs it, as `subprocess.Popen` takes it: ourselves."""
        return {"umask": 0o077}

    def probe(self) -> str | None:
        """None where it answers as its clients need it, else why it does not."""
        raise NotImplementedError

    def finish(self) -> None:
        """What is done once it answers; done again on every `up`, so it must bear that."""

    def strays(self) -> list[psutil.Process]:
        """Processes of a killed one that its session does not show."""
        return []


def http_probe(port: int, path: str) -> str | None:
    """None where GET of `path` is answered with 200."""
    try:
        status, _ = get(port, path)
    except (OSError, HTTPException) as error:
        return f"GET {path}: {error}"
    return None if status == 200 else f"GET {path}: status {status}"


def get(port: int, path: str) -> tuple[int, bytes]:
    """Status and body of a page. Raises OSError or HTTPException."""
    connection = HTTPConnection(HOST, port, timeout=PROBE_TIMEOUT_S)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def tcp_probe(port: int) -> str | None:
    """None where something listens."""
    try:
        socket.create_connection((HOST, port), timeout=PROBE_TIMEOUT_S).close()
    except OSError as error:
        return f"port {port}: {error}"
    return None


@cache
def java() -> str:
    """The path of a Java that is new enough. Raises `SettingsError` where there is none."""
    path, version = java_version()
    if version < JAVA_NEEDED:
        raise SettingsError(
            f"Kafka and Spark need Java {JAVA_NEEDED} or newer; {path} is version {version}. "
            "Install a newer one, or point JAVA_HOME at it."
        )
    return path
