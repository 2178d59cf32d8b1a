"""What a client is told, and which servers are somebody else's."""

from __future__ import annotations

import os
import shlex
import stat
import subprocess

import artifacts
import client
import operate
import passwords
import pytest
from server import Stack

from luigi_traffic.project import current

LAKE, EVENTS = "LUIGI_TRAFFIC__LAKE__ENDPOINT", "LUIGI_TRAFFIC__EVENTS__SERVERS"


@pytest.fixture
def stack(state, isolated) -> Stack:
    ports = {name: port for kind in operate.SERVERS for name, port in kind.default_ports.items()}
    return Stack(state, ports, passwords.load(state.folder / "secrets.env"))


def told(stack, *without: str) -> dict[str, str]:
    return client.client_environment(
        stack, [kind(stack) for kind in operate.SERVERS if kind.name not in without]
    )


def test_settings_take_it(stack, isolated, monkeypatch):
    stack.ports["kafka"] = 19092
    isolated.write(
        "stack.yml", "lake: {kind: s3}\nevents: {kind: kafka}\nwarehouse: {kind: server}\n"
    )
    for name, value in told(stack).items():
        monkeypatch.setenv(name, value)
    isolated.set()
    found = current().settings
    assert found.events.servers == ["127.0.0.1:19092"]
    assert found.warehouse.secret() == stack.passwords["LUIGI_TRAFFIC__WAREHOUSE__PASSWORD"]
    assert found.spark.remote == "sc://localhost:15002"
    assert found.spark.jars == artifacts.SPARK_S3A.folder


def test_no_client_is_told_the_superusers_passwords(stack):
    text = client.shell_lines(told(stack))
    for name in ("MINIO_ROOT_PASSWORD", "POSTGRES_PASSWORD", "MLFLOW_DB_PASSWORD",
                 "MLFLOW_S3_SECRET_KEY", "SPARK_AUTHENTICATE_SECRET"):  # fmt: skip
        assert stack.passwords[name] not in text


def test_a_shell_reads_it(stack, tmp_path):
    awkward = {"A": "it's $HOME", "B": '["127.0.0.1:9092"]'}
    file = tmp_path / "stack.env"
    file.write_text(client.shell_lines(awkward))
    said = subprocess.run(
        ["sh", "-c", f'. {shlex.quote(str(file))}; printf "%s|%s" "$A" "$B"'],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert said.stdout == 'it\'s $HOME|["127.0.0.1:9092"]'


def test_a_server_of_the_environment_is_used_instead():
    environment = {LAKE: "https://s3.example", "PATH": "/bin"}
    assert client.given(environment, {LAKE, EVENTS}) == {LAKE}
    assert client.given({LAKE: ""}, {LAKE}) == set()


def test_a_shell_that_has_sourced_it_may_start_the_stack_again(stack):
    sourced = told(stack)
    variables = {kind.variable for kind in operate.SERVERS}
    assert client.given(sourced, variables) == set()
    assert client.given(sourced | {LAKE: "https://s3.example"}, variables) == {LAKE}


def test_nothing_is_said_of_a_server_that_is_not_ours(stack):
    found = told(stack, "minio")
    assert LAKE not in found and "LUIGI_TRAFFIC__LAKE__SECRET_KEY" not in found
    assert EVENTS in found


def test_passwords_are_made_once_and_only_we_read_them(state):
    file = state.folder / "secrets.env"
    first = passwords.load(file)
    assert passwords.load(file) == first
    assert len(set(first.values())) == len(passwords.NAMES)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    # A file of an older version lacks one.
    kept = [line for line in file.read_text().splitlines() if not line.startswith("POSTGRES")]
    file.write_text("\n".join(kept) + "\n")
    again = passwords.load(file)
    assert again["POSTGRES_PASSWORD"] != first["POSTGRES_PASSWORD"]
    assert {**again, "POSTGRES_PASSWORD": ""} == {**first, "POSTGRES_PASSWORD": ""}


def test_servers_are_told_nothing_that_is_meant_for_clients(stack, monkeypatch):
    import inherited

    for name, value in told(stack).items():
        monkeypatch.setenv(name, value)
    found = inherited.environment()
    assert found["PATH"] == os.environ["PATH"]
    assert not [name for name in found if name.startswith(("LUIGI_", "SPARK_"))]
    assert "127.0.0.1" in found["NO_PROXY"]
