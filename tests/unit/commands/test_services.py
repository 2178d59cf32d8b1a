"""luigid and the MLflow UI for real, and what is whose."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from dataclasses import asdict
from http.client import HTTPConnection

import psutil
import pytest

from luigi_traffic.commands import services as commands
from luigi_traffic.errors import StoreError
from luigi_traffic.processes import services
from luigi_traffic.processes.postgres.embedded import EmbeddedServer
from luigi_traffic.processes.services import LUIGID, MLFLOW, Service
from luigi_traffic.project import current


def record(service: Service) -> None:
    current().services.folder().mkdir(parents=True, exist_ok=True)
    (current().services.folder() / f"{service.name}.json").write_text(json.dumps(asdict(service)))


@pytest.fixture
def sleeper():
    """A process that leads a session and has a child, as a service does."""
    program = (
        "import subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(300)'])\n"
        "print(child.pid, flush=True); time.sleep(300)"
    )
    command = [sys.executable, "-c", program]
    process = subprocess.Popen(command, start_new_session=True, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    child = int(process.stdout.readline())
    began = psutil.Process(process.pid).create_time()
    yield process, child, Service(LUIGID, process.pid, began, command, 1)
    for pid in (process.pid, child):
        if psutil.pid_exists(pid):
            psutil.Process(pid).kill()
    process.wait()
    process.stdout.close()


def gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_stops_what_it_started_with_its_children(empty, sleeper):
    process, child, service = sleeper
    record(service)
    assert current().services.running(LUIGID) == service
    assert current().services.stop(LUIGID) is True
    assert gone(process.pid) and gone(child)
    assert current().services.running(LUIGID) is None
    assert current().services.stop(LUIGID) is False


@pytest.mark.parametrize("other", [{"began": 1.0}, {"command": ["x", "another", "command"]}])
def test_a_process_that_got_the_recorded_id_is_left_alone(empty, sleeper, other):
    process, child, service = sleeper
    record(Service(**asdict(service) | other))
    assert current().services.running(LUIGID) is None
    assert current().services.stop(LUIGID) is False
    assert process.poll() is None and not gone(child)


def test_a_service_that_is_just_beginning_is_ours(empty, sleeper, monkeypatch):
    """Between its birth and its first instruction a process shows an empty command line."""
    _, _, service = sleeper
    monkeypatch.setattr(psutil.Process, "cmdline", lambda self: [])
    assert service.process() is not None


def test_children_that_outlive_a_killed_service_are_stopped(empty, sleeper):
    process, child, service = sleeper
    record(service)
    process.kill()
    process.wait()
    assert not gone(child)
    assert current().services.running(LUIGID) is None
    assert current().services.stop(LUIGID) is True
    deadline = time.monotonic() + 30
    while not gone(child) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert gone(child)


def test_a_service_that_does_not_come_up_is_told_with_its_log(empty, monkeypatch):
    command = [sys.executable, "-c", "import sys; sys.exit('no room at all')"]
    monkeypatch.setattr(services.Services, "_command", lambda self, name, port: (command, {}))
    with pytest.raises(StoreError, match="no room at all"):
        current().services.start(LUIGID)
    assert current().services.running(LUIGID) is None
    assert not (current().services.folder() / f"{LUIGID}.json").exists()


def test_address_of_a_run(empty, monkeypatch, anew, sleeper):
    assert (
        current().services.ui_run_url("1", "abc")
        == "http://127.0.0.1:5000/#/experiments/1/runs/abc"
    )
    _, _, service = sleeper
    record(Service(MLFLOW, service.pid, service.began, service.command, 5017))
    assert (
        current().services.ui_run_url("1", "abc")
        == "http://127.0.0.1:5017/#/experiments/1/runs/abc"
    )
    monkeypatch.setenv("LUIGI_TRAFFIC__TRACKING__URI", "https://me:hush@mlflow.example/base/")
    anew()
    assert (
        current().services.ui_run_url("1", "a")
        == "https://mlflow.example/base/#/experiments/1/runs/a"
    )


def test_the_command_names_luigids_port_where_it_is_not_the_default():
    def row(port: int) -> list[dict]:
        return [{"name": LUIGID, "port": port}]

    assert "--scheduler-port" not in commands.luigi_command(row(8082))
    assert commands.luigi_command(row(9)).endswith("FullPipeline --scheduler-port 9")
    assert "--local-scheduler" not in commands.luigi_command(row(9))


def get(port: int, path: str) -> int:
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    finally:
        connection.close()


def listens_elsewhere(port: int) -> bool:
    """Whether the port is open on an address that is not loopback."""
    at = [c.laddr.ip for c in psutil.net_connections("tcp")
          if c.status == psutil.CONN_LISTEN and c.laddr.port == port]  # fmt: skip
    return any(ip != "127.0.0.1" for ip in at)


def test_up_and_down_as_a_user_has_them(empty):
    """With the default port of luigid taken by a stranger, who must survive it all."""
    with socket.socket() as stranger:
        stranger.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            stranger.bind(("127.0.0.1", services.DEFAULT_PORTS[LUIGID]))
            stranger.listen()
        except OSError:
            pass  # taken already, by another stranger
        try:
            first = empty.command("up")
            assert first.returncode == 0, first.stderr
            luigid, mlflow = current().services.running(LUIGID), current().services.running(MLFLOW)
            assert luigid and mlflow
            assert luigid.port != services.DEFAULT_PORTS[LUIGID]
            for service in (luigid, mlflow):
                assert service.url in first.stdout
                assert not listens_elsewhere(service.port)
                assert os.getsid(service.pid) == service.pid  # out of reach of Ctrl-C
            assert f"--scheduler-port {luigid.port}" in first.stdout
            assert get(luigid.port, "/static/visualiser/index.html") == 200
            assert get(mlflow.port, "/") == 200

            again = empty.command("up")
            assert again.returncode == 0 and "was already up" in again.stdout
            assert (current().services.running(LUIGID), current().services.running(MLFLOW)) == (
                luigid,
                mlflow,
            )

            EmbeddedServer(empty.path / "postgres").ensure_running()
            mine = [*luigid.processes(), *mlflow.processes()]
            down = empty.command("down")
            assert down.returncode == 0, down.stderr
            for name in ("luigid", "MLflow UI", "embedded PostgreSQL"):
                assert name in down.stdout
            assert all(gone(process.pid) for process in mine)
            assert not EmbeddedServer(empty.path / "postgres").running()
            assert "nothing was running" in empty.command("down").stdout
        finally:
            current().services.stop(MLFLOW)
            current().services.stop(LUIGID)
