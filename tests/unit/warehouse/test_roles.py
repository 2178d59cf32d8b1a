"""docker/postgres/roles.sql on a real server with TLS: what each role can, and what it cannot."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import date, datetime, timedelta
from multiprocessing import get_context
from pathlib import Path

import psycopg2
import psycopg2.errors
import pyarrow as pa
import pytest
from tls_server import PASSWORDS, TlsServer, tls_server

from luigi_traffic.errors import DataError, SettingsError
from luigi_traffic.warehouse import published
from luigi_traffic.warehouse.binary import copy_in
from luigi_traffic.warehouse.commit import staging
from luigi_traffic.warehouse.connection import Warehouse
from luigi_traffic.warehouse.ledger import LedgerRow
from luigi_traffic.warehouse.partitions import Bounds
from luigi_traffic.warehouse.tables import forecast_bounds, forecast_table, gold_table

fork = get_context("fork")
DAY = date(2012, 3, 28)
TABLE = gold_table("tiny", ["timestamp", "link_id", "speed", "n_obs"])
COUNT = "SELECT count(*), sum(speed) FROM gold.tiny"


@pytest.fixture(scope="module")
def tls() -> Iterator[TlsServer]:
    # Not pytest's tmp_path: the server's user cannot enter that.
    with tempfile.TemporaryDirectory(prefix="luigi_traffic-test-") as folder:
        Path(folder).chmod(0o711)
        with tls_server(Path(folder)) as made:
            answer = made.make_roles()
            assert answer.returncode == 0, answer.stderr
            yield made


@pytest.fixture
def writer(tls: TlsServer) -> Iterator[Warehouse]:
    """The writer, in a database that nothing has been written to."""
    with closing(psycopg2.connect(**tls.role("writer").kwargs())) as conn, conn.cursor() as cursor:
        cursor.execute("DROP SCHEMA IF EXISTS gold, forecast, meta CASCADE")
        conn.commit()
    warehouse = Warehouse(lambda: tls.role("writer"))
    yield warehouse
    warehouse.close()


@pytest.fixture
def reader(tls: TlsServer, writer: Warehouse) -> Iterator[Warehouse]:
    warehouse = Warehouse(lambda: tls.role("reader"))
    yield warehouse
    warehouse.close()


def commit(warehouse: Warehouse, speeds: list[float], partition_id: str, day: date = DAY) -> bool:
    at = datetime(day.year, day.month, day.day, 8)
    rows = pa.table(
        {
            "timestamp": [at] * len(speeds),
            "link_id": [f"l{n}" for n in range(len(speeds))],
            "speed": pa.array(speeds, pa.float64()),
            "n_obs": [1] * len(speeds),
        }
    )

    with staging(warehouse, TABLE, f"{day:%Y%m%d}") as attempt:
        with warehouse.connect() as connection:
            copy_in(connection, attempt.name, TABLE.columns, rows)
        row = LedgerRow(
            "gold",
            "tiny",
            day.isoformat(),
            partition_id,
            {},
            [],
            len(speeds),
            attempt.checksum(),
            {},
        )
        return attempt.commit(Bounds.day(day), row)


def test_the_writer_migrates_commits_replaces_and_collects_garbage(
    tls: TlsServer, writer: Warehouse
) -> None:
    assert commit(writer, [50.0, 60.0], "id-1")
    assert commit(writer, [70.0], "id-2")
    assert not commit(writer, [70.0], "id-2")
    with writer.connect() as conn:
        forecast_table("tiny").ensure(conn)
        left = TABLE.stage(conn, "x")
    with writer.lock("day"), writer.connect() as conn:
        assert TABLE.orphans(conn) == [left]
        TABLE.discard(conn, left)
        assert TABLE.orphans(conn) == []
    assert writer.query(COUNT, None)[1] == [(1, 70.0)]
    schemas = "('gold', 'forecast_versions', 'meta')"
    owners = f"SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname IN {schemas}"
    assert writer.query(owners, None)[1] == [("luigi_traffic_owner",)]
    with writer.connect() as conn, conn.cursor() as cursor:
        cursor.execute("SELECT session_user::text, current_user::text")
        assert cursor.fetchone() == ("luigi_traffic_writer", "luigi_traffic_owner")
        assert conn.info.ssl_in_use


def test_what_one_writer_has_made_another_replaces(tls: TlsServer, writer: Warehouse) -> None:
    assert commit(writer, [50.0], "id-1")
    tls.sql(
        "CREATE ROLE second_writer LOGIN PASSWORD 'second' IN ROLE luigi_traffic_owner",
        "GRANT CONNECT ON DATABASE luigi_traffic TO second_writer",
        "ALTER ROLE second_writer IN DATABASE luigi_traffic SET role = 'luigi_traffic_owner'",
    )
    second = Warehouse(lambda: tls.role("writer", user="second_writer", password="second"))
    try:
        assert commit(second, [60.0], "id-2")
        assert commit(writer, [70.0], "id-3")
        assert second.query(COUNT, 1)[1] == [(1, 70.0)]
    finally:
        second.close()
        tls.sql("DROP OWNED BY second_writer", "DROP ROLE second_writer")


def test_the_reader_sees_gold_and_can_change_nothing(
    tls: TlsServer, writer: Warehouse, reader: Warehouse
) -> None:
    commit(writer, [50.0, 60.0], "id-1")
    table, part = forecast_table("tiny"), f"{DAY}/m:1"
    with writer.connect() as conn:
        published.ensure(conn, table)
        row = LedgerRow("forecast", "tiny", part, "id-2", {}, [], 0, "", {})
        staged = table.stage(conn, "x")
        assert table.commit(conn, staged, forecast_bounds(DAY, part), row)
        published.publish(conn, "tiny", "", DAY, part, published.now(conn))
    assert reader.query(COUNT, 1)[1] == [(2, 110.0)]
    versions = "forecast_versions.tiny"
    for every_level in ("forecast.tiny", versions, f'forecast_versions."tiny/{DAY}"', staged):
        assert reader.query(f"SELECT count(*) FROM {every_level}", 1)[1] == [(0,)]
    assert reader.query("SELECT partition_id FROM meta.ledger ORDER BY seq", 1)[1] == [("id-1",)]
    changes = [
        "DELETE FROM gold.tiny",
        "UPDATE gold.tiny SET speed = 0",
        "INSERT INTO meta.migrations (number, name) VALUES (99, 'x')",
        "TRUNCATE meta.ledger",
        "DROP TABLE gold.tiny",
        "ALTER TABLE gold.tiny DETACH PARTITION gold.x",
        "CREATE TABLE public.t (a int)",
        "CREATE TABLE gold.t (a int)",
        "CREATE TEMPORARY TABLE t (a int)",
        "CREATE SCHEMA s",
        "SELECT lo_create(0)",
        "LOCK TABLE gold.tiny IN ACCESS EXCLUSIVE MODE",
        "SET ROLE luigi_traffic_owner",
        "SET ROLE luigi_traffic_writer",
        "COPY gold.tiny TO PROGRAM 'true'",
    ]
    with closing(psycopg2.connect(**tls.role("reader").kwargs())) as conn, conn.cursor() as cursor:
        cursor.execute("SHOW transaction_read_only")
        assert cursor.fetchone() == ("on",)
        conn.rollback()
        # Anyone can turn that off: the privileges must do without it.
        conn.set_session(readonly=False)
        for change in changes:
            with pytest.raises(psycopg2.errors.InsufficientPrivilege):
                cursor.execute(change)
            conn.rollback()
    assert writer.query(COUNT, 1)[1] == [(2, 110.0)]


def test_the_reader_cannot_migrate_and_is_told_so(writer: Warehouse, reader: Warehouse) -> None:
    with pytest.raises(SettingsError, match="luigi_traffic_reader may not change that"):
        reader.query("SELECT 1", 1)
    writer.migrate()
    assert reader.query("SELECT 1", 1)[1] == [(1,)]


def test_the_reader_waits_for_no_table_that_is_to_come(
    writer: Warehouse, reader: Warehouse
) -> None:
    writer.migrate()
    with pytest.raises(DataError, match="does not exist"):
        reader.query(COUNT, 1)
    commit(writer, [50.0], "id-1")
    assert reader.query(COUNT, 1)[1] == [(1, 50.0)]


def test_each_database_is_open_to_its_own_roles_only(tls: TlsServer) -> None:
    own = tls.role("writer", user="mlflow", password=PASSWORDS["MLFLOW_DB_PASSWORD"])
    at_home = replace(own, dbname="mlflow")
    with closing(psycopg2.connect(**at_home.kwargs())) as conn, conn.cursor() as cursor:
        cursor.execute("CREATE TABLE experiments (a int); DROP TABLE experiments")
    for dsn in (own, tls.role("writer", dbname="mlflow"), tls.role("reader", dbname="mlflow")):
        with pytest.raises(psycopg2.OperationalError, match="permission denied for database"):
            psycopg2.connect(**dsn.kwargs())
    owner = tls.role("writer", user="luigi_traffic_owner")
    with pytest.raises(psycopg2.OperationalError):  # it has no password and no LOGIN
        psycopg2.connect(**owner.kwargs())


def test_a_second_run_keeps_all_and_changes_passwords(tls: TlsServer, writer: Warehouse) -> None:
    commit(writer, [50.0], "id-1")
    try:
        changed = PASSWORDS | {"LUIGI_TRAFFIC_READER_PASSWORD": "another"}
        answer = tls.make_roles(**changed)
        assert (answer.returncode, answer.stdout.strip(), answer.stderr) == (0, "", "")
        with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
            psycopg2.connect(**tls.role("reader").kwargs())
        reader = Warehouse(lambda: tls.role("reader", password="another"))
        assert reader.query(COUNT, 1)[1] == [(1, 50.0)]
        reader.close()
    finally:
        assert tls.make_roles().returncode == 0
    assert commit(writer, [60.0], "id-2")


def test_the_passwords_are_scram_and_in_no_log(tls: TlsServer) -> None:
    everything = {
        "log_statement": "'all'",
        "log_min_duration_statement": "0",
        "log_min_error_statement": "'debug5'",
        "log_duration": "on",
        "log_parameter_max_length": "-1",
    }
    tls.sql(*[f"ALTER SYSTEM SET {key} = {value}" for key, value in everything.items()],
            "SELECT pg_reload_conf()")  # fmt: skip
    try:
        begin = tls.log.stat().st_size
        answer = tls.make_roles("-a", "-b", "-e")  # all that psql can echo
        assert answer.returncode == 0
        logged = tls.log.read_text()[begin:]
    finally:
        tls.sql(*[f"ALTER SYSTEM RESET {key}" for key in everything], "SELECT pg_reload_conf()")
    assert "GRANT SELECT ON TABLES TO luigi_traffic_reader" in logged  # it does log statements
    for text in (logged, answer.stdout, answer.stderr):
        assert "SCRAM-SHA-256$" not in text
        for password in PASSWORDS.values():
            assert password not in text and password.replace("'", "''") not in text
    stored = tls.sql("SELECT rolname, rolpassword FROM pg_authid WHERE rolpassword IS NOT NULL")
    assert {n for n, p in stored if p.startswith("SCRAM-SHA-256$")} >= {
        "luigi_traffic_writer", "luigi_traffic_reader", "mlflow"
    }  # fmt: skip


def test_no_password_no_roles(tls: TlsServer) -> None:
    two = {name: value for name, value in PASSWORDS.items() if name != "MLFLOW_DB_PASSWORD"}
    answer = tls.make_roles(**two)
    assert answer.returncode == 3
    assert "MLFLOW_DB_PASSWORD" in answer.stderr


def test_forked_workers_commit_over_tls_beside_their_parent(
    tls: TlsServer, writer: Warehouse
) -> None:
    """As `luigi --workers 4`: the parent has an open connection when it forks."""
    mine = "SELECT pg_backend_pid()"
    before = writer.query(mine, 1)[1]
    days = [DAY + timedelta(days=n) for n in range(4)]

    def work(day: date, queue: object) -> None:
        queue.put((writer.query(mine, 1)[1], commit(writer, [50.0], f"id-{day}", day)))

    queue = fork.Queue()
    workers = [fork.Process(target=work, args=(day, queue)) for day in days]
    for worker in workers:
        worker.start()
    answers = [queue.get(timeout=60) for _ in workers]
    for worker in workers:
        worker.join(30)
    assert [worker.exitcode for worker in workers] == [0] * 4
    assert all(won for _, won in answers)
    assert len({str(pid) for pid, _ in answers} | {str(before)}) == 5
    assert writer.query(mine, 1)[1] == before  # nobody closed it
    assert writer.query(COUNT, 1)[1] == [(4, 200.0)]
