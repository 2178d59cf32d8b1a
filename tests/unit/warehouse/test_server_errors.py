"""What the server refuses reaches a person as one sentence of ours, whatever it is."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import closing
from datetime import date, datetime
from pathlib import Path

import psycopg2
import psycopg2.errors
import pyarrow as pa
import pytest
from psycopg2.extensions import connection as Connection

from luigi_traffic.errors import DataError, SettingsError, StoreError, TrafficError
from luigi_traffic.processes.postgres.embedded import EmbeddedServer
from luigi_traffic.warehouse.binary import copy_in
from luigi_traffic.warehouse.connection import Warehouse
from luigi_traffic.warehouse.ledger import LedgerRow
from luigi_traffic.warehouse.partitions import Bounds
from luigi_traffic.warehouse.tables import gold_table

DAY = date(2012, 3, 28)
TABLE = gold_table("tiny", ["timestamp", "link_id", "speed"])


def run(warehouse: Warehouse, sql: str) -> None:
    with warehouse.connect() as conn, conn.cursor() as cursor:
        cursor.execute(sql)


@pytest.mark.parametrize(
    ("sqlstate", "kind", "todo"),
    [
        ("53100", StoreError, "Free disk space"),
        ("53200", StoreError, "max_locks_per_transaction"),
        ("53300", StoreError, "max_connections"),
        ("40P01", StoreError, "Run again"),
        ("57014", StoreError, "server's log"),
        ("58030", StoreError, "disk"),
        ("XX001", StoreError, "backup"),
        ("25006", SettingsError, "warehouse.user"),
        ("42501", SettingsError, "roles.sql"),
        ("42804", DataError, "ALTER TABLE"),
        ("42P01", DataError, "by hand"),
        ("22003", DataError, "do not fit"),
        ("23514", DataError, "constraint"),
        ("P0001", DataError, "by hand"),
    ],
)
def test_each_kind_of_refusal_has_a_kind_of_error_and_says_what_to_do(
    warehouse: Warehouse, sqlstate: str, kind: type[TrafficError], todo: str
) -> None:
    raising = f"DO $$ BEGIN RAISE 'No tea' USING ERRCODE = '{sqlstate}', HINT = 'Boil'; END $$"
    with pytest.raises(TrafficError) as caught:
        run(warehouse, raising)
    assert type(caught.value) is kind
    told = str(caught.value)
    assert f"refused: No tea. Boil. ({sqlstate})" in told
    assert todo in told and str(warehouse.dsn()) in told
    # The next one has a connection that works.
    assert warehouse.query("SELECT 1", 1)[1] == [(1,)]


def test_a_fault_of_our_own_keeps_its_traceback(warehouse: Warehouse) -> None:
    def fetch_nothing() -> None:
        with warehouse.connect() as conn, conn.cursor() as cursor:
            cursor.fetchone()

    with pytest.raises(psycopg2.ProgrammingError, match="no results to fetch"):
        fetch_nothing()


def take_every_place(conn: Connection) -> None:
    """Of the table of locks, until the transaction ends."""
    taken = 0
    with conn.cursor() as cursor:
        for count in (100_000, 10_000, 1_000, 100, 10, 1):
            while True:
                cursor.execute("SAVEPOINT more")
                numbers = f"generate_series({taken}, {taken + count - 1}) n"
                try:
                    cursor.execute(f"SELECT count(pg_advisory_xact_lock(n)) FROM {numbers}")
                except psycopg2.errors.OutOfMemory:
                    cursor.execute("ROLLBACK TO SAVEPOINT more")
                    break
                taken += count


def test_a_full_lock_table_names_the_setting(warehouse: Warehouse, server: EmbeddedServer) -> None:
    told = r"out of shared memory.*max_locks_per_transaction"
    with closing(psycopg2.connect(**server.ensure_running().kwargs())) as conn:

        def take() -> None:
            with warehouse.lock("x", on_wait=lambda: take_every_place(conn)):
                pass

        with warehouse.lock("x"), pytest.raises(StoreError, match=told):
            take()
        with pytest.raises(StoreError, match=told):
            run(warehouse, "SELECT pg_advisory_xact_lock(n) FROM generate_series(-999, -1) n")


def test_a_partition_that_the_table_does_not_take_any_more(warehouse: Warehouse) -> None:
    with warehouse.connect() as conn:
        TABLE.ensure(conn)
        staged = TABLE.stage(conn, "x")
    run(warehouse, "ALTER TABLE gold.tiny ALTER speed SET NOT NULL")

    def commit() -> None:
        with warehouse.connect() as conn:
            row = LedgerRow("gold", "tiny", DAY.isoformat(), "a", {}, [], 0, "", {})
            TABLE.commit(conn, staged, Bounds.day(DAY), row)

    with pytest.raises(DataError, match=r"NOT NULL.*ALTER TABLE") as caught:
        commit()
    assert isinstance(caught.value.__cause__, psycopg2.errors.DatatypeMismatch)


@pytest.fixture
def small_disk() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="luigi_traffic-test-") as folder:
        size = "mode=711,size=160m"
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", size, "tmpfs", folder], check=False, capture_output=True
        )
        if done.returncode != 0:
            pytest.skip("needs the right to mount a small disk")
        try:
            yield Path(folder)
        finally:
            subprocess.run(["umount", folder], check=True)


def test_a_disk_that_is_full(small_disk: Path) -> None:
    server = EmbeddedServer(small_disk / "postgres")
    warehouse = Warehouse(server.ensure_running)
    count = 200_000
    batch = pa.table(
        {
            "timestamp": pa.array([datetime(2012, 3, 28)] * count, pa.timestamp("us")),
            "link_id": [f"{n:0100}" for n in range(count)],
            "speed": pa.array([1.0] * count, pa.float64()),
        }
    )

    def fill() -> None:
        with warehouse.connect() as conn:
            staged = TABLE.stage(conn, "x")
            for _ in range(20):
                copy_in(conn, staged, TABLE.columns, batch)

    try:
        with warehouse.connect() as conn:
            TABLE.ensure(conn)
        with pytest.raises(StoreError, match=r"No space left on device.*Free disk space"):
            fill()
        with warehouse.connect() as conn:  # the server goes on, and nothing is left of it
            assert TABLE.orphans(conn) == []
    finally:
        warehouse.close()
        server.destroy()
