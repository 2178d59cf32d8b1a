"""A server that does not let us in: told at once, and by the setting that is wrong."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tls_server import TlsServer, tls_server

from luigi_traffic.errors import SettingsError
from luigi_traffic.warehouse.connection import Warehouse
from luigi_traffic.warehouse.dsn import Dsn


@pytest.fixture(scope="module")
def tls() -> Iterator[TlsServer]:
    with tempfile.TemporaryDirectory(prefix="luigi_traffic-test-") as folder:
        Path(folder).chmod(0o711)
        with tls_server(Path(folder)) as made:
            assert made.make_roles().returncode == 0
            yield made


def refused(dsn: Dsn) -> str:
    calls = []

    def source() -> Dsn:
        calls.append(1)
        return dsn

    with pytest.raises(SettingsError) as caught:
        Warehouse(source).migrate()
    told = str(caught.value)
    assert len(calls) == 1  # not tried for ten seconds
    assert str(dsn) in told and dsn.user in told
    assert dsn.password not in told
    return told


def test_a_password_that_is_wrong(tls: TlsServer) -> None:
    told = refused(tls.role("writer", password="wr0ng"))
    assert "Set LUIGI_TRAFFIC__WAREHOUSE__PASSWORD to the password of luigi_traffic_writer" in told
    # PostgreSQL tells nobody which roles there are.
    assert "LUIGI_TRAFFIC__WAREHOUSE__PASSWORD" in refused(tls.role("writer", user="nobody"))


def test_a_role_that_may_not_log_in(tls: TlsServer) -> None:
    tls.sql("ALTER ROLE luigi_traffic_reader NOLOGIN")
    try:
        assert "warehouse.user" in refused(tls.role("reader"))
    finally:
        tls.sql("ALTER ROLE luigi_traffic_reader LOGIN")


def test_a_database_that_is_not_there_or_not_ours(tls: TlsServer) -> None:
    told = refused(tls.role("writer", dbname="traffic_lights"))
    assert 'database "traffic_lights" does not exist' in told and "warehouse.dbname" in told
    assert "warehouse.user" in refused(tls.role("writer", dbname="mlflow"))


def test_a_ca_that_is_missing_or_no_certificate(tls: TlsServer, tmp_path: Path) -> None:
    told = refused(tls.role("writer", ca_file=tmp_path / "none.pem"))
    assert "does not exist" in told and "warehouse.ca_file" in told
    rubbish = tmp_path / "rubbish.pem"
    rubbish.write_text("this is no certificate")
    assert "warehouse.ca_file" in refused(tls.role("writer", ca_file=rubbish))


@pytest.mark.parametrize("name", ["CA of a test", "CA of another test"])
def test_a_ca_of_another_server(tls: TlsServer, name: str) -> None:
    with tempfile.TemporaryDirectory(prefix="luigi_traffic-test-") as folder:
        Path(folder).chmod(0o711)
        with tls_server(Path(folder), ca=name) as other:
            told = refused(tls.role("writer", ca_file=other.ca))
    assert "SSL error" in told and "warehouse.ca_file" in told


def test_a_name_that_the_certificate_is_not_for(tls: TlsServer) -> None:
    told = refused(tls.role("writer", host="127.0.0.1"))
    assert "does not match host name" in told and "warehouse.host" in told
    warehouse = Warehouse(lambda: tls.role("writer", host="127.0.0.1", sslmode="verify-ca"))
    assert warehouse.query("SELECT 1", 1)[1] == [(1,)]
    warehouse.close()


def test_a_server_without_tls(tls: TlsServer) -> None:
    tls.sql("ALTER SYSTEM SET ssl = off", "SELECT pg_reload_conf()")
    try:
        told = refused(tls.role("writer"))
    finally:
        tls.sql("ALTER SYSTEM SET ssl = on", "SELECT pg_reload_conf()")
    assert "does not support SSL" in told and "warehouse.sslmode (now verify-full)" in told


def test_a_server_that_asks_for_tls(tls: TlsServer) -> None:
    ((file,),) = tls.sql("SHOW hba_file")
    was = Path(file).read_text()
    Path(file).write_text(f"hostnossl all luigi_traffic_writer all reject\n{was}")
    tls.sql("SELECT pg_reload_conf()")
    try:
        told = refused(replace(tls.role("writer"), sslmode="disable", ca_file=None))
    finally:
        Path(file).write_text(was)
        tls.sql("SELECT pg_reload_conf()")
    assert "warehouse.sslmode disable" in told
