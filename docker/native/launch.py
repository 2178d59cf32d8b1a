"""Starting, stopping and killing servers, each after what it needs and before what needs it."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Collection
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from pathlib import Path

import inherited
import psutil
from server import Server
from talk import say, tail

from luigi_traffic.errors import StoreError, TrafficError
from luigi_traffic.processes import recorded
from luigi_traffic.processes.postgres.postmaster import port_is_free
from luigi_traffic.processes.recorded import Recorded

_POLL_S = 0.3
_LOG_LIMIT = 10 << 20  # bytes


class NotTried(TrafficError):
    """What it needs did not start, or somebody pressed Ctrl-C."""


def in_order(
    servers: Collection[Server],
    needs: Callable[[Server], Collection[str]],
    work: Callable[[Server], None],
    cancelled: threading.Event,
) -> None:
    """`work` for all servers side by side, for each when it is done for those it needs.

    Raises `StoreError` with the message of each that failed. A KeyboardInterrupt sets
    `cancelled`, and goes on when all work has ended.
    """
    all_there = threading.Event()
    done: dict[str, Future[None]] = {}

    def one(server: Server) -> None:
        all_there.wait()
        for name in needs(server):
            if name in done and done[name].exception() is not None:
                raise NotTried(f"{server.name}: not tried, because of {name}")
        if cancelled.is_set():
            raise NotTried(f"{server.name}: not tried")
        work(server)

    # A thread for each: none waits for one that has not got its thread yet.
    with ThreadPoolExecutor(max_workers=max(1, len(servers))) as pool:
        done.update({server.name: pool.submit(one, server) for server in servers})
        all_there.set()
        try:
            wait(done.values())
        except KeyboardInterrupt:
            cancelled.set()
            raise
    errors = [error for future in done.values() if (error := future.exception())]
    for error in errors:
        if not isinstance(error, TrafficError):
            raise error
    if errors:
        errors.sort(key=lambda error: isinstance(error, NotTried))
        raise StoreError("\n\n".join(str(error) for error in errors))


def start(server: Server, cancelled: threading.Event) -> bool:
    """Start the server if it does not run, wait until it answers; False if it ran.

    Raises `TrafficError` where it does not come up.
    """
    record = server.record()
    if record is not None and record.process() is not None:
        _wait(server, record, _size(server.log), cancelled)
        server.finish()
        return False
    _end(server, record)  # what a killed one left
    if server.artifact is not None:
        server.artifact.get(server.stack.state.log(f"{server.artifact.name}-build"))
    began = time.monotonic()
    server.prepare()
    for name in server.default_ports:
        if not port_is_free(server.stack.ports[name]):
            raise StoreError(
                f"{server.name}: port {server.stack.ports[name]} is taken by another program. "
                "Stop that, or run `down` and `up`, which takes another port."
            )
    if cancelled.is_set():
        raise NotTried(f"{server.name}: not tried")
    if _size(server.log) > _LOG_LIMIT:
        server.log.replace(server.log.with_suffix(".log.1"))
    begin = _size(server.log)
    record = _launch(server)
    say(server.name, f"starting, process {record.pid}")
    _wait(server, record, begin, cancelled)
    server.finish()
    say(server.name, f"answers at {server.address} ({time.monotonic() - began:.1f} s)")
    return True


def stop(server: Server) -> bool:
    """Stop the server with all its processes; True where something ran.

    Raises `StoreError` where something outlives that.
    """
    return _end(server, server.record())


def kill(server: Server) -> list[int]:
    """SIGKILL for all processes of the server; their ids."""
    record = server.record()
    mine = record.processes() if record else []
    # Stopped first, so that none of them sees another die and tidies up.
    for sign in (signal.SIGSTOP, signal.SIGKILL):
        for process in mine:
            with suppress(psutil.NoSuchProcess):
                process.send_signal(sign)
    psutil.wait_procs(mine, timeout=10)
    return [process.pid for process in mine]


def _size(log: Path) -> int:
    try:
        return log.stat().st_size
    except FileNotFoundError:
        return 0


def _launch(server: Server) -> Recorded:
    command = server.command()
    records: list[Recorded] = []

    def record(pid: int, began: float) -> None:
        records.append(Recorded(server.name, pid, began, command, server.port))
        server.stack.state.keep(records[0])

    environment = {**inherited.environment(), **server.environment()}
    identity = server.identity()
    # Who is not ourselves may be unable to enter our folder.
    folder = Path("/") if "user" in identity else server.data
    recorded.start(command, record, server.log, folder, environment, identity)
    return records[0]


def _wait(server: Server, record: Recorded, begin: int, cancelled: threading.Event) -> None:
    deadline = time.monotonic() + server.start_timeout_s
    while (reason := server.probe()) is not None:
        if cancelled.is_set():
            raise NotTried(f"{server.name}: not waited for")
        gone = record.process() is None
        if gone or time.monotonic() > deadline:
            if gone:
                _end(server, record)
            what = "ended" if gone else f"does not answer after {server.start_timeout_s:.0f} s"
            raise StoreError(
                f"{server.name} {what} ({reason}). Mend what its log says, then run `up` again; "
                f"`restart {server.name}` starts it anew where it hangs. {tail(server.log, begin)}"
            )
        time.sleep(_POLL_S)


def _end(server: Server, record: Recorded | None) -> bool:
    leader = record.process() if record else None
    mine = record.processes() if record else []
    if leader is not None:
        recorded.end([leader], server.stop_timeout_s, server.stop_signal)
    left = recorded.end([*mine, *server.strays()], server.stop_timeout_s)
    if left:
        pids = ", ".join(str(process.pid) for process in left)
        raise StoreError(f"{server.name} does not end: process {pids}")
    if record is not None:
        server.stack.state.forget(server.name)
    return bool(mine)
