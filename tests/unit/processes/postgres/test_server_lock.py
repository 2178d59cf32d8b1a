"""The lock of a database lives exactly as long as any process of its server."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from types import SimpleNamespace

import psutil
import psycopg2
import pytest
from embedded_servers import new_server, record

from luigi_traffic.errors import SettingsError, StoreError
from luigi_traffic.processes.postgres import embedded, leftovers, postmaster, server_lock
from luigi_traffic.processes.postgres.embedded import EmbeddedServer
from luigi_traffic.processes.postgres.server_lock import DataLock, is_of_one_kernel, locks_reach_all
from luigi_traffic.processes.postgres.server_record import Owner

ENSURE = """
import sys
from pathlib import Path
from luigi_traffic.processes.postgres.embedded import EmbeddedServer
print(EmbeddedServer(Path(sys.argv[1])).ensure_running())
"""


@pytest.fixture(scope="module")
def own() -> Iterator[EmbeddedServer]:
    with new_server() as server:
        yield server


def lock(server: EmbeddedServer) -> DataLock:
    return DataLock(record(server).data)


def main_process(server: EmbeddedServer) -> psutil.Process:
    return psutil.Process(postmaster.recorded_pid(record(server).data))


def test_it_is_held_by_the_server_and_not_by_us(own: EmbeddedServer) -> None:
    own.ensure_running()
    assert lock(own).held()
    file = record(own).data / "PG_VERSION"
    holders = [main_process(own), *main_process(own).children()]
    for process in holders:
        assert str(file) in {opened.path for opened in process.open_files()}
    assert str(file) not in {opened.path for opened in psutil.Process().open_files()}
    own.stop()
    assert not lock(own).held()
    descriptor = lock(own).take()
    assert descriptor is not None and lock(own).take() is None
    os.close(descriptor)


def test_no_second_server_while_a_child_of_a_killed_one_lives(
    own: EmbeddedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "_CHILDREN_S", 1.0)
    dsn = own.ensure_running()
    with closing(psycopg2.connect(**dsn.kwargs())) as conn:
        child = psutil.Process(conn.info.backend_pid)
        child.suspend()  # it does not notice that its parent has gone
        process = main_process(own)
        process.kill()
        process.wait(10)
        pid_file = record(own).data / "postmaster.pid"
        was = pid_file.read_text()
        try:
            with pytest.raises(StoreError, match=f"was killed.* hold its lock .*{child.pid}"):
                own.ensure_running()
            assert pid_file.read_text() == was
            assert own.running()
            with pytest.raises(StoreError, match="does not stop"):
                own.stop()
        finally:
            child.resume()
    assert own.ensure_running()
    assert main_process(own).pid != process.pid


def test_what_was_committed_outlives_a_kill_of_everything(own: EmbeddedServer) -> None:
    dsn = own.ensure_running()
    with closing(psycopg2.connect(**dsn.kwargs())) as conn, conn, conn.cursor() as cursor:
        cursor.execute("CREATE SCHEMA IF NOT EXISTS kept")
        cursor.execute("CREATE TABLE kept.killed AS SELECT 42 AS n")
    for process in [main_process(own), *main_process(own).children()]:
        process.kill()
    dsn = own.ensure_running()
    with closing(psycopg2.connect(**dsn.kwargs())) as conn, conn.cursor() as cursor:
        cursor.execute("SELECT n FROM kept.killed")
        assert cursor.fetchone() == (42,)


def test_many_starters_some_killed_make_one_server(own: EmbeddedServer) -> None:
    own.ensure_running()
    own.stop()
    command = [sys.executable, "-c", ENSURE, str(own.folder)]
    starters = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(5)]
    time.sleep(0.5)
    for starter in starters[:2]:
        starter.kill()
    answers = [starter.communicate(timeout=120)[0].strip() for starter in starters]
    assert {starter.returncode for starter in starters[:2]} <= {-signal.SIGKILL, 0}
    assert [starter.returncode for starter in starters[2:]] == [0, 0, 0]
    assert set(answers[2:]) == {str(own.ensure_running())}
    there = postmaster.processes(record(own).name)
    pids, mains = {process.pid for process in there}, []
    for process in there:
        with suppress(psutil.NoSuchProcess):  # the process of a session that has just ended
            if process.ppid() not in pids:
                mains.append(process.pid)
    assert mains == [main_process(own).pid]


def test_files_that_are_deleted_while_it_runs_make_no_second_one(own: EmbeddedServer) -> None:
    dsn = own.ensure_running()
    (own.folder / "lock").unlink()
    (own.folder / "server.json").unlink()
    assert own.ensure_running() == dsn
    assert own.stop()


def test_a_file_system_without_locks_is_refused(
    own: EmbeddedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    own.ensure_running()
    own.stop()

    def flock(*_: int) -> None:
        raise OSError(37, "No locks available")

    fake = SimpleNamespace(flock=flock, LOCK_EX=2, LOCK_NB=4)
    monkeypatch.setattr(server_lock, "fcntl", fake)
    with pytest.raises(SettingsError, match=r"does not support locks \(No locks available\)"):
        own.ensure_running()


MOUNTS = [
    ("/", "ext4", "rw", True, True),
    ("/", "overlay", "rw", True, True),
    ("/", "nfs4", "rw,local_lock=none", False, True),
    ("/", "nfs", "rw,nolock", False, False),
    ("/", "nfs4", "rw,local_lock=flock", False, False),
    ("/", "fuse.sshfs", "rw", False, False),
    ("/", "9p", "rw", False, False),
]


@pytest.mark.parametrize(("place", "kind", "options", "one", "reach"), MOUNTS)
def test_whom_a_lock_reaches(
    tmp_path, monkeypatch: pytest.MonkeyPatch, place, kind, options, one, reach
) -> None:
    mounts = [
        SimpleNamespace(mountpoint=place, fstype="ext4", opts="rw"),  # covered by the next
        SimpleNamespace(mountpoint=place, fstype=kind, opts=options),
        SimpleNamespace(mountpoint="/no/such/folder/of/ours", fstype="xfs", opts="rw"),
    ]
    fake = SimpleNamespace(disk_partitions=lambda all: mounts)
    monkeypatch.setattr(server_lock, "psutil", fake)
    assert (is_of_one_kernel(tmp_path), locks_reach_all(tmp_path)) == (one, reach)


def test_a_killed_server_of_a_machine_that_locks_for_itself(
    own: EmbeddedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with a folder that two machines share by sshfs: our lock says nothing about the other."""
    own.ensure_running()
    process = main_process(own)
    process.kill()
    process.wait(10)
    found = record(own)
    there = Owner.here().model_copy(update={"host": "elsewhere", "boot_id": "another"})
    found.model_copy(update={"owner": there}).write(own.folder)
    monkeypatch.setattr(leftovers, "locks_reach_all", lambda _: False)
    end = time.monotonic() + 20
    while lock(own).held() and time.monotonic() < end:
        time.sleep(0.05)
    with pytest.raises(SettingsError, match=r"host elsewhere.* delete .*postmaster\.pid"):
        own.ensure_running()
    (found.data / "postmaster.pid").unlink()
    own.ensure_running()
    assert record(own).owner.is_here()
