"""A password is not given to whoever listens where the server was."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psycopg2
import pytest
from embedded_servers import new_server
from impostor import impostor

from luigi_traffic.errors import SettingsError
from luigi_traffic.processes.postgres.embedded import EmbeddedServer
from luigi_traffic.processes.postgres.postmaster import free_port
from luigi_traffic.project import current
from luigi_traffic.warehouse import connect
from luigi_traffic.warehouse.connection import Warehouse


@pytest.fixture(scope="module")
def own() -> Iterator[EmbeddedServer]:
    with new_server() as server:
        yield server


def test_who_listens_on_a_stopped_servers_port_gets_no_password(own: EmbeddedServer) -> None:
    dsn = own.ensure_running()
    own.stop()
    with impostor(dsn.port) as heard:
        with pytest.raises(psycopg2.OperationalError, match="requirement"):
            psycopg2.connect(**dsn.kwargs())
        with pytest.raises(psycopg2.OperationalError, match="requirement"):
            psycopg2.connect(**replace(dsn, sslmode="prefer").kwargs())
    assert heard == [b""] * 2


def test_a_warehouse_that_was_there_goes_on_with_its_own_server(own: EmbeddedServer) -> None:
    warehouse = Warehouse(own.ensure_running)
    assert warehouse.query("SELECT 1", None)[1] == [(1,)]
    dsn = warehouse.dsn()
    own.stop()
    with impostor(dsn.port) as heard:
        assert warehouse.query("SELECT 2", None)[1] == [(2,)]
        assert warehouse.dsn().port != dsn.port
    assert not any(dsn.password.encode() in said for said in heard)
    warehouse.close()


@pytest.fixture
def server_settings(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[pytest.MonkeyPatch]:
    for name in [name for name in os.environ if name.startswith("LUIGI_TRAFFIC")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("LUIGI_TRAFFIC_HOME", str(tmp_path))
    monkeypatch.setenv("LUIGI_TRAFFIC__WAREHOUSE__KIND", "server")
    monkeypatch.setenv("LUIGI_TRAFFIC__WAREHOUSE__PASSWORD", "the-password")
    current.cache_clear()
    yield monkeypatch
    current.cache_clear()


def test_a_server_of_ones_own_gets_none_in_clear(server_settings: pytest.MonkeyPatch) -> None:
    port = free_port()
    server_settings.setenv("LUIGI_TRAFFIC__WAREHOUSE__PORT", str(port))
    dsn = current().warehouse.dsn()
    refusal = pytest.raises(SettingsError, match=r"the password was not sent.*SCRAM")
    with impostor(port) as heard, refusal:
        connect.connect(dsn)
    assert heard == [b""]


def test_the_setting_allows_it(server_settings: pytest.MonkeyPatch) -> None:
    # What LDAP and PAM need. This also shows that the impostor hears a password.
    port = free_port()
    server_settings.setenv("LUIGI_TRAFFIC__WAREHOUSE__PORT", str(port))
    server_settings.setenv("LUIGI_TRAFFIC__WAREHOUSE__REQUIRE_AUTH", "")
    dsn = current().warehouse.dsn()
    with impostor(port) as heard, pytest.raises(psycopg2.OperationalError):
        psycopg2.connect(**dsn.kwargs())
    assert b"the-password" in heard[0]
