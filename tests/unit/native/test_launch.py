"""Starting, stopping, killing: on small servers of this file, real processes."""

from __future__ import annotations

import socket
import sys
import threading
import time

import launch
import psutil
import pytest
from server import Server, Stack, http_probe

from luigi_traffic.errors import StoreError
from luigi_traffic.processes.postgres.postmaster import free_port

# Serves its folder by HTTP and has a child, as real servers do.
PROGRAM = """
import subprocess, sys
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), SimpleHTTPRequestHandler).serve_forever()
"""


class Pages(Server):
    name = "pages"
    variable = "PAGES"
    default_ports = {"pages": 0}
    program = PROGRAM
    finished = 0
    stop_timeout_s = 10

    def command(self):
        return [sys.executable, "-c", self.program, str(self.port)]

    def probe(self):
        return http_probe(self.port, "/")

    def finish(self):
        self.finished += 1


class More(Pages):
    name = "more"
    default_ports = {"more": 0}
    needs = ("pages",)


@pytest.fixture
def stack(state):
    made = Stack(state, {"pages": free_port(), "more": free_port()}, {})
    yield made
    for kind in (More, Pages):
        launch.stop(kind(made))


@pytest.fixture
def never() -> threading.Event:
    return threading.Event()


def gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def all_of(server: Server) -> list[int]:
    """The processes of the server, when its child is there."""
    deadline = time.monotonic() + 30
    while len(found := server.record().processes()) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert len(found) == 2
    return [process.pid for process in found]


def test_started_once_stopped_with_its_children(stack, never):
    server = Pages(stack)
    assert launch.start(server, never) is True
    pids = all_of(server)
    assert launch.start(server, never) is False
    assert all_of(server) == pids
    assert server.finished == 2
    assert launch.stop(server) is True
    assert all(gone(pid) for pid in pids)
    assert stack.state.records() == {}
    assert launch.stop(server) is False


def test_killed_and_started_again_at_its_port(stack, never):
    server = Pages(stack)
    launch.start(server, never)
    pids = all_of(server)
    assert sorted(launch.kill(server)) == sorted(pids)
    assert all(gone(pid) for pid in pids)
    assert not server.runs() and server.probe() is not None
    assert launch.start(server, never) is True
    assert server.probe() is None and not set(all_of(server)) & set(pids)


def test_what_outlives_a_killed_one_is_stopped(stack, never):
    server = Pages(stack)
    launch.start(server, never)
    leader, child = all_of(server)
    psutil.Process(leader).kill()
    psutil.Process(leader).wait()
    assert not gone(child)
    assert launch.stop(server) is True
    assert gone(child)


def test_one_that_ends_is_told_with_its_log(stack, never):
    server = Pages(stack)
    server.program = "import sys; sys.exit('no room at all')"
    with pytest.raises(StoreError, match=r"pages ended(.|\n)*no room at all"):
        launch.start(server, never)
    assert stack.state.records() == {} and server.finished == 0


def test_only_the_log_of_this_start_is_told(stack, never):
    server = Pages(stack)
    server.log.write_text("an old sorrow\n")
    server.program = "import sys; sys.exit('a new one')"
    with pytest.raises(StoreError, match="a new one") as caught:
        launch.start(server, never)
    assert "an old sorrow" not in str(caught.value)


def test_one_that_hangs_is_told(stack, never):
    server = Pages(stack)
    server.program = "import time; time.sleep(600)"
    server.start_timeout_s = 1
    with pytest.raises(StoreError, match="does not answer after 1 s"):
        launch.start(server, never)
    assert launch.stop(server) is True


def test_one_that_ignores_its_signal_is_killed(stack, never):
    server = Pages(stack)
    server.program = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + PROGRAM
    server.stop_timeout_s = 1
    launch.start(server, never)
    pids = all_of(server)
    assert launch.stop(server) is True
    assert all(gone(pid) for pid in pids)


def test_a_taken_port_is_told_and_its_owner_left_alone(stack, never):
    with socket.create_server(("127.0.0.1", stack.ports["pages"])) as stranger:
        with pytest.raises(StoreError, match=r"port \d+ is taken"):
            launch.start(Pages(stack), never)
        socket.create_connection(stranger.getsockname()).close()


def test_each_after_what_it_needs(stack, never):
    order = []
    servers = [More(stack), Pages(stack)]
    launch.in_order(servers, lambda s: s.needs, lambda s: order.append(s.name), never)
    assert order == ["pages", "more"]


def test_what_needs_a_failed_one_is_not_tried(stack, never):
    tried = []

    def work(server: Server) -> None:
        tried.append(server.name)
        raise StoreError("no room")

    with pytest.raises(StoreError, match=r"no room(.|\n)*more: not tried, because of pages"):
        launch.in_order([More(stack), Pages(stack)], lambda s: s.needs, work, never)
    assert tried == ["pages"]


def test_a_bug_is_not_taken_for_a_server_that_failed(stack, never):
    def work(server: Server) -> None:
        raise KeyError("x")

    with pytest.raises(KeyError):
        launch.in_order([Pages(stack)], lambda s: s.needs, work, never)
