"""Containers that share a home: namespaces of their own, with or without the network."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager

import psutil
import psycopg2
import pytest
from embedded_servers import new_server

from luigi_traffic.errors import SettingsError
from luigi_traffic.processes.postgres.embedded import EmbeddedServer

# Writes the numbers that it is given, one committed row each, and then waits for its end.
WRITE = """
import fcntl, socket, struct, sys
with socket.socket() as loopback:  # a new network's is down
    fcntl.ioctl(loopback, 0x8914, struct.pack("16sh14x", b"lo", 0x1 | 0x40))
from contextlib import closing
from pathlib import Path
import psycopg2
from luigi_traffic.errors import TrafficError
from luigi_traffic.processes.postgres.embedded import EmbeddedServer
try:
    dsn = EmbeddedServer(Path(sys.argv[1])).ensure_running()
except TrafficError as error:
    print(f"refused: {type(error).__name__}: {error}", flush=True)
    sys.exit(3)
with closing(psycopg2.connect(**dsn.kwargs())) as conn:
    conn.autocommit = True
    with conn.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(1)")
        cursor.execute("CREATE SCHEMA IF NOT EXISTS kept")
        cursor.execute("CREATE TABLE IF NOT EXISTS kept.rows (n int)")
        for number in sys.argv[2:]:
            cursor.execute("INSERT INTO kept.rows VALUES (%s)", (number,))
print(f"wrote on {dsn.port}", flush=True)
if sys.stdin.readline() == "":
    sys.exit(0)
"""


def _unshare(*words: str) -> list[str]:
    return ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "--ipc", "--uts", *words]


def _reason() -> str | None:
    if shutil.which("unshare") is None:
        return "there is no unshare(1) here"
    answer = subprocess.run([*_unshare("--net"), "true"], capture_output=True, text=True)
    return f"unshare is not permitted: {answer.stderr.strip()}" if answer.returncode else None


REASON = _reason()
pytestmark = pytest.mark.skipif(REASON is not None, reason=str(REASON))


@pytest.fixture(scope="module")
def one() -> Iterator[EmbeddedServer]:
    with new_server() as server:
        server.ensure_running()
        yield server


@pytest.fixture
def own(one: EmbeddedServer) -> Iterator[EmbeddedServer]:
    """A server that is stopped, whose database is empty."""
    with closing(psycopg2.connect(**one.ensure_running().kwargs())) as conn:
        conn.autocommit = True
        with conn.cursor() as cursor:
            cursor.execute("DROP SCHEMA IF EXISTS kept CASCADE")
    one.stop()
    yield one
    one.stop()


@contextmanager
def container(
    server: EmbeddedServer, *numbers: int, network: bool = True
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A writer in a pid namespace of its own, and what it said. All of it dies at the end."""
    words = _unshare() if network else _unshare("--net")
    process = subprocess.Popen(
        [*words, sys.executable, "-c", WRITE, str(server.folder), *map(str, numbers)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        yield process, process.stdout.readline().strip()
    finally:
        kill_container(process)


def kill_container(process: subprocess.Popen[str]) -> None:
    """kill -9 of the namespace's first process: the kernel kills all in it, as with a container."""
    for first in psutil.Process(process.pid).children() if process.poll() is None else ():
        first.kill()
    process.communicate(timeout=20)


def rows(server: EmbeddedServer) -> list[int]:
    dsn = server.ensure_running()
    with closing(psycopg2.connect(**dsn.kwargs())) as conn, conn.cursor() as cursor:
        cursor.execute("SELECT n FROM kept.rows ORDER BY n")
        return [n for (n,) in cursor.fetchall()]


def test_a_container_without_our_network_is_refused(own: EmbeddedServer) -> None:
    with container(own, 1, 2) as (_, first):
        assert first.startswith("wrote")
        with container(own, 3, network=False) as (process, second):
            assert second.startswith("refused: SettingsError"), second
            assert "another container" in second and "LUIGI_TRAFFIC_HOME" in second
            assert process.wait(20) == 3
        with container(own, 4) as (_, third):  # the first one's server goes on
            assert third == first
    assert rows(own) == [1, 2, 4]


def test_a_server_that_can_be_reached_is_used(own: EmbeddedServer) -> None:
    with container(own, 1) as (_, first), container(own, 2) as (_, second):
        assert second == first
        assert rows(own) == [1, 2]


def test_the_other_containers_server_is_not_stopped_from_here(own: EmbeddedServer) -> None:
    with container(own, 1) as (_, said):
        assert said.startswith("wrote")
        assert own.running()
        with pytest.raises(SettingsError, match="another container"):
            own.stop()
        assert rows(own) == [1]
    assert not own.running()
    assert own.stop() is False


def test_a_killed_container_frees_its_database(own: EmbeddedServer) -> None:
    with container(own, 1, 2, network=False) as (process, said):
        assert said.startswith("wrote")
        kill_container(process)
        assert process.returncode != 0
    began = time.monotonic()
    assert rows(own) == [1, 2]
    assert time.monotonic() - began < 10


def test_starters_of_many_containers_race(own: EmbeddedServer) -> None:
    numbers = range(6)
    words = [_unshare() if n % 3 else _unshare("--net") for n in numbers]
    all_of_them = [
        subprocess.Popen(
            [*word, sys.executable, "-c", WRITE, str(own.folder), str(n)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        for n, word in zip(numbers, words, strict=True)
    ]  # fmt: skip
    try:
        said = [process.stdout.readline() for process in all_of_them]
        wrote = [n for n in numbers if said[n].startswith("wrote")]
        assert wrote
        assert all(line.startswith(("wrote", "refused: SettingsError")) for line in said), said
    finally:
        for process in all_of_them:
            kill_container(process)
    assert rows(own) == wrote


def test_a_starter_that_is_killed_leaves_one_server_at_most(own: EmbeddedServer) -> None:
    with closing(psycopg2.connect(**own.ensure_running().kwargs())) as conn:
        conn.autocommit = True
        with conn.cursor() as cursor:
            cursor.execute("CREATE SCHEMA kept")
            cursor.execute("CREATE TABLE kept.rows AS SELECT 1 AS n")
    own.stop()
    for delay in (0.2, 0.3, 0.4, 0.6):
        starter = subprocess.Popen(
            [sys.executable, "-c", WRITE, str(own.folder)],
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        time.sleep(delay)
        os.kill(starter.pid, signal.SIGKILL)
        assert starter.wait(10) == -signal.SIGKILL
        with container(own, network=False) as (_, said):
            # One of both: our server lives and it is refused, or there was none.
            assert said.startswith(("refused: SettingsError", "wrote")), said
        assert rows(own) == [1]
        own.stop()
