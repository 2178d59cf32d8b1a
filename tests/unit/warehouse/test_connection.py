from __future__ import annotations

import os
import signal
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import psutil
import psycopg2
import psycopg2.errors
import pytest
from embedded_servers import record

from luigi_traffic.errors import DataError, StoreError, TerminalError
from luigi_traffic.processes.postgres.embedded import EmbeddedServer
from luigi_traffic.processes.postgres.postmaster import recorded_pid
from luigi_traffic.warehouse import connection, schema
from luigi_traffic.warehouse.connection import Warehouse
from luigi_traffic.warehouse.dsn import Dsn
from luigi_traffic.warehouse.limits import Limits

fork = get_context("fork")


def one(conn, sql: str) -> object:
    with conn.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchone()[0]


def backend(conn) -> object:
    return one(conn, "SELECT pg_backend_pid()")


def run(conn, sql: str) -> None:
    with conn.cursor() as cursor:
        cursor.execute(sql)


def end(conn, pid: object) -> None:
    # The owner, whom a writer becomes, may not end what a writer has begun.
    run(conn, "SET ROLE NONE")
    run(conn, f"SELECT pg_terminate_backend({pid}, 5000)")
    run(conn, "RESET ROLE")


@pytest.fixture
def table(warehouse: Warehouse) -> str:
    with warehouse.connect() as conn:
        run(conn, "CREATE SCHEMA gold; CREATE TABLE gold.t (a int); CREATE SEQUENCE gold.s")
    return "gold.t"


def test_commits_at_the_end_and_rolls_back_on_an_error(warehouse: Warehouse, table: str) -> None:
    with warehouse.connect() as conn:
        run(conn, f"INSERT INTO {table} VALUES (1)")

    def fail() -> None:
        with warehouse.connect() as conn:
            run(conn, f"INSERT INTO {table} VALUES (2)")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert warehouse.query(f"SELECT a FROM {table}", None) == (["a"], [(1,)])


def test_one_connection_a_process_and_another_for_nested_use(warehouse: Warehouse) -> None:
    with warehouse.connect() as outer:
        first = backend(outer)
        with warehouse.connect() as inner:
            assert backend(inner) != first
        assert inner.closed
    with warehouse.connect() as conn:
        assert backend(conn) == first


def test_a_thread_has_a_transaction_of_its_own(warehouse: Warehouse) -> None:
    seen = []

    def other() -> None:
        with warehouse.connect() as conn:
            seen.append(backend(conn))

    with warehouse.connect() as conn:
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
        assert seen
        assert seen != [backend(conn)]


def test_a_fork_opens_its_own_and_leaves_the_parents_alone(warehouse: Warehouse) -> None:
    with warehouse.connect() as conn:
        mine = backend(conn)

    def child(queue) -> None:
        with warehouse.connect() as conn:
            queue.put(backend(conn))

    queue = fork.Queue()
    process = fork.Process(target=child, args=(queue,))
    process.start()
    theirs = queue.get(timeout=30)
    process.join(30)
    assert process.exitcode == 0
    assert theirs != mine
    with warehouse.connect() as conn:
        assert backend(conn) == mine


def test_a_broken_connection_is_replaced(warehouse: Warehouse) -> None:
    with warehouse.connect() as conn:
        pid = backend(conn)
    with warehouse.connect(), warehouse.connect() as other:
        end(other, pid)
    with warehouse.connect() as conn:
        assert backend(conn) != pid


def test_a_connection_lost_on_the_way_is_a_store_error(warehouse: Warehouse) -> None:
    def lose() -> None:
        with warehouse.connect() as conn:
            pid = backend(conn)
            with warehouse.connect() as other:
                end(other, pid)
            run(conn, "SELECT 1")

    with pytest.raises(StoreError, match="was lost"):
        lose()


def test_no_server_names_the_place_but_not_the_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "RETRY_CONNECT_S", 1.0)
    calls = []

    def source() -> Dsn:
        calls.append(1)
        return Dsn("127.0.0.1", 1, "db", "me", "hush-hush")

    with pytest.raises(StoreError, match=r"postgresql://me@127\.0\.0\.1:1/db") as caught:
        Warehouse(source).migrate()
    assert "hush-hush" not in str(caught.value)
    assert len(calls) > 1  # asked again: the server may have moved


def kill(server: EmbeddedServer) -> None:
    pid = recorded_pid(record(server).data)
    assert pid is not None
    os.kill(pid, signal.SIGKILL)


def test_a_server_that_was_there_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "RETRY_CONNECT_S", 0.0)  # for one that never was
    with tempfile.TemporaryDirectory(prefix="luigi_traffic-test-") as folder:
        Path(folder).chmod(0o711)
        server = EmbeddedServer(Path(folder) / "postgres")
        try:
            dsn = server.ensure_running()
            warehouse, waiting = Warehouse(lambda: dsn), Warehouse(lambda: dsn)
            with waiting.lock("day"):
                held = threading.Event()
                threading.Thread(target=lambda: hold(warehouse, held), daemon=True).start()
                assert not held.wait(1.2)
                kill(server)
                starts = threading.Timer(1.0, server.ensure_running)
                starts.start()
                assert held.wait(60)  # its holder lost it, and the one who waited did not give up
                assert waiting.query("SELECT 1", 1)[1] == [(1,)]
                starts.join()
            monkeypatch.setattr(connection, "RETRY_AGAIN_S", 0.5)
            kill(server)
            waiting.close()  # a server process may outlive its postmaster by a moment
            with pytest.raises(StoreError, match="No connection to the warehouse postgresql://"):
                waiting.query("SELECT 1", 1)
        finally:
            server.destroy()


def hold(warehouse: Warehouse, held: threading.Event) -> None:
    with warehouse.lock("day"):
        held.set()


def test_the_dsn_is_asked_for_at_first_use(server: EmbeddedServer) -> None:
    calls = []

    def source() -> Dsn:
        calls.append(1)
        return server.ensure_running()

    warehouse = Warehouse(source)
    assert calls == []
    warehouse.query("SELECT 1", 1)
    warehouse.query("SELECT 1", 1)
    assert calls == [1]
    warehouse.close()


def test_query_limits_and_names(warehouse: Warehouse) -> None:
    sql = "SELECT g AS n, 'ü%' AS t FROM generate_series(1, 5) g;"
    assert warehouse.query(sql, 2) == (["n", "t"], [(1, "ü%"), (2, "ü%")])
    assert len(warehouse.query(sql, None)[1]) == 5
    assert warehouse.query("SHOW server_encoding", 1) == (["server_encoding"], [("UTF8",)])


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO gold.t VALUES (1) RETURNING a",
        "INSERT INTO gold.t VALUES (1)",
        "SELECT 1; COMMIT; INSERT INTO gold.t VALUES (1)",
        "COMMIT; INSERT INTO gold.t VALUES (1)",
        "WITH x AS (DELETE FROM gold.t RETURNING a) SELECT * FROM x",
        "DROP TABLE gold.t",
        "COMMIT; DROP TABLE gold.t",
        "SELECT a, nextval('gold.s') FROM gold.t",
        "SELECT a FROM gold.t FOR UPDATE",
        "COPY gold.t TO PROGRAM 'true'",
        "SELECT 1) q; DROP TABLE gold.t; --",
        "SELECT set_config('transaction_read_only', 'off', false)",
        "SELECT * FROM gold.no_such_table",
    ],
)
def test_query_only_reads(warehouse: Warehouse, table: str, sql: str) -> None:
    with warehouse.connect() as conn:
        run(conn, f"INSERT INTO {table} VALUES (7)")
    with pytest.raises(DataError, match="The query was refused"):
        warehouse.query(sql, 1)
    assert warehouse.query(f"SELECT a FROM {table}", None)[1] == [(7,)]


def test_query_times_out(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "QUERY_TIMEOUT_S", 1)
    with pytest.raises(DataError, match="statement timeout"):
        warehouse.query("SELECT pg_sleep(20)", 1)


def test_the_lock_is_exclusive_and_says_that_it_waits(
    warehouse: Warehouse, server: EmbeddedServer
) -> None:
    other, waits, got = Warehouse(server.ensure_running), [], threading.Event()

    def wait() -> None:
        with other.lock("day", lambda: waits.append(1)):
            got.set()

    with warehouse.lock("day", lambda: pytest.fail("nobody holds it")):
        with other.lock("another"):
            pass
        thread = threading.Thread(target=wait)
        thread.start()
        assert not got.wait(1.2)
    thread.join(10)
    assert got.is_set()
    assert waits == [1]


def test_the_lock_dies_with_its_process(warehouse: Warehouse) -> None:
    def hold(ready) -> None:
        with warehouse.lock("the day before"):
            pass
        with warehouse.lock("day"):
            ready.set()
            time.sleep(60)

    ready = fork.Event()
    process = fork.Process(target=hold, args=(ready,))
    process.start()
    assert ready.wait(30)
    os.kill(process.pid, signal.SIGKILL)
    process.join(10)
    assert process.exitcode == -signal.SIGKILL
    began = time.monotonic()
    with warehouse.lock("day"):
        assert time.monotonic() - began < 50


@pytest.fixture
def leased(server: EmbeddedServer) -> Iterator[Warehouse]:
    """One whose locks are free after two seconds without a sign of life."""
    made = Warehouse(lambda: replace(server.ensure_running(), limits=Limits(lease_s=2)))
    yield made
    made.close()


def test_a_stopped_process_loses_its_lock(leased: Warehouse) -> None:
    """Its connection is as it was: without a lease the next one waited for ever."""

    def hold(ready, lost) -> None:
        with leased.lock("the day before"):
            pass
        with leased.lock("day"):
            ready.set()
            lost.wait(60)

    ready, lost = fork.Event(), fork.Event()
    process = fork.Process(target=hold, args=(ready, lost))
    process.start()
    try:
        assert ready.wait(30)
        os.kill(process.pid, signal.SIGSTOP)
        with leased.lock("day", patience_s=30) as held:
            assert held
            assert psutil.Process(process.pid).status() == psutil.STATUS_STOPPED
        os.kill(process.pid, signal.SIGCONT)
        lost.set()
        process.join(30)
        assert process.exitcode == 0  # it goes on, and its commit decides
    finally:
        process.kill()


def test_a_process_that_works_for_long_keeps_its_lock(leased: Warehouse) -> None:
    with leased.lock("day"), leased.lock("day", patience_s=5) as held:
        assert not held


def test_waiting_for_a_lock_names_its_holder_and_ends(
    warehouse: Warehouse, server: EmbeddedServer, said
) -> None:
    with warehouse.lock("day"), warehouse.lock("day", patience_s=0.6) as held:
        assert not held
    me = f"(luigi_traffic {os.getpid()}@"
    waits, ends = [r for r in said if "day: held by process" in r.getMessage()]
    assert me in waits.getMessage() and me in ends.getMessage()
    assert ends.levelname == "ERROR" and "no longer waiting" in ends.getMessage()


def test_migrations_run_once_though_two_start_at_once(server: EmbeddedServer) -> None:
    dsn = server.ensure_running()
    with psycopg2.connect(**dsn.kwargs()) as conn:
        run(conn, "DROP SCHEMA IF EXISTS meta CASCADE")
    conn.close()
    ran, barrier = [], threading.Barrier(4)

    def start() -> None:
        conn = psycopg2.connect(**dsn.kwargs())
        barrier.wait()
        ran.extend(schema.migrate(conn))
        conn.close()

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ran == [m.number for m in schema.known()]
    with psycopg2.connect(**dsn.kwargs()) as conn:
        assert schema.migrate(conn) == []
        assert one(conn, "SELECT count(*) FROM meta.migrations") == len(ran)
    conn.close()


def test_a_database_of_a_newer_version_is_refused(server: EmbeddedServer) -> None:
    conn = psycopg2.connect(**server.ensure_running().kwargs())
    schema.migrate(conn)
    run(conn, "INSERT INTO meta.migrations (number, name) VALUES (999, 'future')")
    with pytest.raises(TerminalError, match="a newer version has used it"):
        schema.migrate(conn)
    conn.close()
