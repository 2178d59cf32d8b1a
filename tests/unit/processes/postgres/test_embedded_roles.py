"""The embedded server's roles: the same rights as those of docker/postgres/roles.sql."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import psycopg2
import psycopg2.errors
import pytest
from embedded_servers import let_superuser_in, new_server
from tls_server import tls_server

from luigi_traffic.processes.postgres import server_roles
from luigi_traffic.processes.postgres.embedded import EmbeddedServer
from luigi_traffic.warehouse.connection import Warehouse
from luigi_traffic.warehouse.dsn import Dsn
from luigi_traffic.warehouse.tables import gold_table

NAMES = "('luigi_traffic_owner', 'luigi_traffic_writer', 'luigi_traffic_reader')"
RIGHTS = {
    "attributes": "SELECT rolname, rolsuper, rolinherit, rolcreaterole, rolcreatedb, rolcanlogin,"
    f" rolreplication, rolbypassrls FROM pg_roles WHERE rolname IN {NAMES} ORDER BY 1",
    "members": "SELECT roleid::regrole::text, member::regrole::text, admin_option, inherit_option,"
    f" set_option FROM pg_auth_members WHERE roleid::regrole::text IN {NAMES} ORDER BY 1, 2",
    "settings": "SELECT setrole::regrole::text, datname, setconfig FROM pg_db_role_setting"
    f" JOIN pg_database d ON d.oid = setdatabase WHERE setrole::regrole::text IN {NAMES}"
    " ORDER BY 1",
    "defaults": "SELECT defaclrole::regrole::text, defaclnamespace, defaclobjtype,"
    " grantee::regrole::text, privilege_type FROM pg_default_acl, aclexplode(defaclacl)"
    " ORDER BY 1, 3, 4, 5",
    "database": "SELECT pg_get_userbyid(datdba), (SELECT array_agg(grantee::regrole::text || ' '"
    " || privilege_type ORDER BY grantee::regrole::text, privilege_type) FROM aclexplode(datacl))"
    " FROM pg_database WHERE datname = 'luigi_traffic'",
    "large objects": "SELECT proname, bool_or(grantee = 0) FROM pg_proc, aclexplode(proacl)"
    " WHERE proname IN ('lo_creat', 'lo_create', 'lo_from_bytea') GROUP BY 1 ORDER BY 1",
}


def ask(dsn: Dsn, sql: str) -> list[tuple]:
    with closing(psycopg2.connect(**dsn.kwargs())) as conn, conn.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchall()


@pytest.fixture(scope="module")
def own() -> Iterator[EmbeddedServer]:
    with new_server() as server:
        server.ensure_running()
        yield server


@pytest.fixture
def filled(own: EmbeddedServer) -> EmbeddedServer:
    warehouse = Warehouse(own.ensure_running)
    table = gold_table("tiny", ["timestamp", "link_id", "speed", "n_obs"])
    with warehouse.connect() as conn:
        table.ensure(conn)
    warehouse.close()
    return own


def test_the_pipelines_role_is_no_superuser_and_owns_what_it_makes(filled: EmbeddedServer) -> None:
    dsn = filled.ensure_running()
    sql = "SELECT session_user::text, current_user::text, current_setting('is_superuser')"
    assert ask(dsn, sql) == [("luigi_traffic_writer", "luigi_traffic_owner", "off")]
    owners = "SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname IN ('gold', 'meta')"
    assert ask(dsn, owners) == [("luigi_traffic_owner",)]
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
        ask(dsn, "SELECT pg_read_file('/etc/passwd')")


def test_no_superuser_can_log_in(own: EmbeddedServer) -> None:
    dsn = own.ensure_running()
    assert ask(dsn, "SELECT rolname FROM pg_roles WHERE rolsuper") == [("luigi_traffic",)]
    for password in (dsn.password, own.ensure_reader().password, ""):
        with pytest.raises(psycopg2.OperationalError, match=r"password"):
            ask(replace(dsn, user="luigi_traffic", password=password), "SELECT 1")


def test_the_reader_reads_and_changes_nothing(filled: EmbeddedServer) -> None:
    reader = filled.ensure_reader()
    assert ask(reader, "SELECT count(*) FROM gold.tiny") == [(0,)]
    assert ask(reader, "SELECT count(*) FROM meta.ledger") == [(0,)]
    changes = [
        "DELETE FROM gold.tiny", "TRUNCATE meta.ledger", "DROP TABLE gold.tiny",
        "CREATE TABLE public.t (a int)", "CREATE TEMPORARY TABLE t (a int)", "CREATE SCHEMA s",
        "SELECT lo_create(0)", "SET ROLE luigi_traffic_owner", "SET ROLE luigi_traffic_writer",
        "SELECT pg_read_file('/etc/passwd')", "COPY gold.tiny TO PROGRAM 'true'",
    ]  # fmt: skip
    with closing(psycopg2.connect(**reader.kwargs())) as conn, conn.cursor() as cursor:
        conn.set_session(readonly=False)  # the privileges must do without it
        for change in changes:
            with pytest.raises(psycopg2.errors.InsufficientPrivilege):
                cursor.execute(change)
            conn.rollback()


def test_pages_have_checksums(own: EmbeddedServer) -> None:
    assert ask(own.ensure_running(), "SHOW data_checksums") == [("on",)]


def test_rights_are_those_of_the_stack(filled: EmbeddedServer) -> None:
    with tempfile.TemporaryDirectory(prefix="luigi_traffic-test-") as folder:
        Path(folder).chmod(0o711)
        with tls_server(Path(folder)) as tls:
            assert tls.make_roles().returncode == 0
            stack = replace(tls.admin, dbname="luigi_traffic")
            expected = {what: ask(stack, sql) for what, sql in RIGHTS.items()}
    admin = let_superuser_in(filled, "luigi_traffic")
    assert {what: ask(admin, sql) for what, sql in RIGHTS.items()} == expected


def test_a_verifier_holds_no_password(own: EmbeddedServer) -> None:
    made = server_roles.verifier("the-password")
    assert made.startswith("SCRAM-SHA-256$4096:") and "the-password" not in made
    assert made != server_roles.verifier("the-password")  # salted
