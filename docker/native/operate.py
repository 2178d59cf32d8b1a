"""What can be done with the stack as a whole."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import client
import launch
import passwords
from kafka_server import KafkaServer
from minio_server import MinioServer
from postgres_server import PostgresServer
from server import Server, Stack, java
from spark_servers import SPARK_SERVERS
from state import State
from talk import line, say
from web_servers import Luigid, MlflowServer

from luigi_traffic.errors import SettingsError, did_you_mean
from luigi_traffic.processes import private_folder
from luigi_traffic.processes.postgres.postmaster import free_port, port_is_free
from luigi_traffic.project import current

SERVERS: tuple[type[Server], ...] = (
    MinioServer,
    KafkaServer,
    PostgresServer,
    MlflowServer,
    *SPARK_SERVERS,
    Luigid,
)
# How long a command of `run` may tidy up after Ctrl-C.
_TIDY_S = 60


class Terminated(KeyboardInterrupt):
    """SIGTERM: as Ctrl-C, but it reached us alone."""


def opened() -> tuple[Stack, list[Server]]:
    """The stack of this environment, and those of its servers that are ours to start."""
    state = State.of_environment()
    state.prepare()
    defaults = {name: port for kind in SERVERS for name, port in kind.default_ports.items()}
    stack = Stack(
        state,
        defaults | state.ports(),
        passwords.load(state.folder / "secrets.env"),
        client.given(os.environ, {kind.variable for kind in SERVERS}),
    )
    servers = [kind(stack) for kind in SERVERS if kind.variable not in stack.given]
    _become_client(stack, servers)
    return stack, servers


@contextmanager
def changing() -> Iterator[tuple[Stack, list[Server]]]:
    """As `opened`, while nobody else starts or stops servers, or chooses ports."""
    state = State.of_environment()
    state.prepare()
    with state.locked():
        yield opened()


def up(started: list[str], cancelled: threading.Event) -> list[Server]:
    """Start what does not run, and add its names to `started`; the servers that are ours."""
    with changing() as (stack, servers):
        _check_programs(servers)
        _choose_ports(stack, servers)
        environment = _become_client(stack, servers)
        file = stack.state.folder / "stack.env"
        private_folder.write_private(file, client.shell_lines(environment))

        def work(server: Server) -> None:
            if not server.runs():
                started.append(server.name)
            launch.start(server, cancelled)

        launch.in_order(servers, lambda server: server.needs, work, cancelled)
    return servers


def down(names: list[str] | None = None) -> None:
    """Stop what runs of `names`, or all."""
    if not State.of_environment().folder.exists():
        return
    with changing() as (stack, _):
        servers = [kind(stack) for kind in SERVERS if names is None or kind.name in names]

        def needed_by(server: Server) -> list[str]:
            return [other.name for other in servers if server.name in other.needs]

        def work(server: Server) -> None:
            if launch.stop(server):
                say(server.name, "stopped")

        launch.in_order(servers, needed_by, work, threading.Event())


def delete() -> None:
    """Remove all state, wherever it lies. Nothing may run."""
    if State.of_environment().folder.exists():
        stack, _ = opened()
        PostgresServer(stack).delete()
        stack.state.delete()


def status() -> bool:
    """One line a server; True where all answer."""
    stack, servers = opened()
    well = True
    for kind in SERVERS:
        if kind.variable in stack.given:
            line(f"{kind.name:16} given by {kind.variable}")
            continue
        server = named(servers, kind.name)
        record = server.record()
        if record is None or not server.runs():
            line(f"{kind.name:16} {'down' if record is None else 'has ended, or was killed'}")
            well = False
            continue
        memory = sum(process.memory_info().rss for process in record.processes()) >> 20
        reason = server.probe()
        text = f"does not answer: {reason}" if reason else f"answers at {server.address}"
        line(f"{kind.name:16} process {record.pid}, {memory} MiB, {text}")
        well = well and reason is None
    return well


def restart(name: str, cancelled: threading.Event) -> None:
    """Stop a server and start it again, at the same port and with its data."""
    with changing() as (_, servers):
        server = named(servers, name)
        launch.stop(server)
        launch.start(server, cancelled)


def kill(name: str) -> list[int]:
    """SIGKILL for all processes of a server; their ids."""
    _, servers = opened()
    return launch.kill(named(servers, name))


def environment() -> str:
    """What stack.env holds, as it is now."""
    return client.shell_lines(client.client_environment(*opened()))


def run(command: list[str], cancelled: threading.Event) -> int:
    """Run a command with the stack up, then stop what was not up before; its exit status."""
    # The probes leave marks in our own: Spark's client says there that this process is remote.
    inherited = dict(os.environ)
    started: list[str] = []
    try:
        up(started, cancelled)
        process = subprocess.Popen(command, env=inherited | client.client_environment(*opened()))
        try:
            status = process.wait()
        except KeyboardInterrupt as reason:
            # Ctrl-C of a terminal has reached it, too.
            if isinstance(reason, Terminated):
                process.send_signal(signal.SIGINT)
            _end(process)
            raise
        return status if status >= 0 else 128 - status
    finally:
        down(started)


def named(servers: list[Server], name: str) -> Server:
    """Raises `SettingsError` where we start no server of that name."""
    for server in servers:
        if server.name == name:
            return server
    known = [server.name for server in servers]
    raise SettingsError(f"There is no server {name!r} of ours.{did_you_mean(name, known)}")


def _become_client(stack: Stack, servers: list[Server]) -> dict[str, str]:
    """Our own settings are those of a client: the probes go where clients go."""
    environment = client.client_environment(stack, servers)
    os.environ.update(environment)
    current.cache_clear()
    return environment


def _check_programs(servers: list[Server]) -> None:
    """Raises `SettingsError` that names every program that is missing, and what it is for."""
    if any(server.needs_java for server in servers):
        java()
    artifacts = [server.artifact for server in servers if server.artifact]
    missing = [why for artifact in artifacts if (why := artifact.missing_program())]
    if missing:
        raise SettingsError("\n".join(missing))


def _choose_ports(stack: Stack, servers: list[Server]) -> None:
    """The default port where it is free, else another; what has a record keeps its own."""
    records = stack.state.records()
    for server in servers:
        if server.name in records:
            continue
        for name, default in server.default_ports.items():
            others = {port for other, port in stack.ports.items() if other != name}
            port = default if default not in others and port_is_free(default) else free_port()
            if port != default:
                say(server.name, f"port {default} is taken: {name} gets {port}")
            stack.ports[name] = port
    stack.state.keep_ports(stack.ports)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Give it time to tidy up."""
    try:
        process.wait(_TIDY_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
