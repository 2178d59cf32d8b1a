"""Replacing a partition while others read: nobody waits for long behind the writer."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace as replaced
from datetime import date
from types import SimpleNamespace

import psycopg2
import psycopg2.errors
import pytest

from luigi_traffic.errors import StoreError
from luigi_traffic.processes.postgres.embedded import EmbeddedServer
from luigi_traffic.warehouse import ledger, locks, partitions, patience
from luigi_traffic.warehouse.connection import Warehouse
from luigi_traffic.warehouse.ledger import LedgerRow
from luigi_traffic.warehouse.limits import Limits
from luigi_traffic.warehouse.partitions import Bounds, freeze
from luigi_traffic.warehouse.tables import gold_table

DAY = date(2012, 3, 28)
TABLE = gold_table("tiny", ["timestamp", "link_id", "speed"])
IDS = "SELECT partition_id FROM meta.ledger WHERE superseded_at IS NULL"


@pytest.fixture
def other(server: EmbeddedServer, warehouse: Warehouse) -> Iterator[Warehouse]:
    """The warehouse as another process has it."""
    made = Warehouse(server.ensure_running)
    yield made
    made.close()


@pytest.fixture(autouse=True)
def short_turns(monkeypatch) -> None:
    monkeypatch.setattr(patience, "LOCK_TIMEOUT_S", 0.1)
    monkeypatch.setattr(partitions, "LOCK_TIMEOUT_S", 0.1)
    monkeypatch.setattr(locks, "PAUSE_S", 0.1)


@pytest.fixture
def hasty(server: EmbeddedServer) -> Iterator[Warehouse]:
    """One that waits for readers for half a second."""
    made = Warehouse(lambda: replaced(server.ensure_running(), limits=Limits(patience_s=0.5)))
    yield made
    made.close()


@contextmanager
def reading(server: EmbeddedServer) -> Iterator[None]:
    """A transaction that has read gold and goes on."""
    conn = psycopg2.connect(**server.ensure_running().kwargs())
    try:
        with conn.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM gold.tiny")
        yield
    finally:
        conn.close()


def replace(warehouse: Warehouse, partition_id: str) -> None:
    with warehouse.connect() as conn:
        TABLE.ensure(conn)
        staged = TABLE.stage(conn, "20120328")
    with warehouse.connect() as conn:
        row = LedgerRow("gold", "tiny", DAY.isoformat(), partition_id, {}, [], 0, "", {})
        assert TABLE.commit(conn, staged, Bounds.day(DAY), row)


def in_thread(work: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=work)
    thread.start()
    return thread


def test_readers_pass_a_writer_who_waits_for_a_reader(
    server: EmbeddedServer, warehouse: Warehouse, other: Warehouse, monkeypatch
) -> None:
    waits, go_on = threading.Event(), threading.Event()

    def pause(_: float) -> None:
        waits.set()
        assert go_on.wait(60)

    monkeypatch.setattr(patience, "time", SimpleNamespace(sleep=pause, monotonic=time.monotonic))
    replace(warehouse, "id-1")
    with reading(server):
        thread = in_thread(lambda: replace(other, "id-2"))
        assert waits.wait(60)
        # The writer is between two tries: a new reader is not behind it in any queue.
        with warehouse.connect() as conn, conn.cursor() as cursor:
            cursor.execute("SET LOCAL lock_timeout = '5s'")
            freeze(conn, "gold", "tiny")
            cursor.execute(IDS)
            assert cursor.fetchall() == [("id-1",)]
    go_on.set()
    thread.join(60)
    assert warehouse.query(IDS, None)[1] == [("id-2",)]
    attached = "SELECT count(*) FROM pg_inherits WHERE inhparent = 'gold.tiny'::regclass"
    assert warehouse.query(attached, 1)[1] == [(1,)]


def test_a_reader_who_never_ends_is_named_and_nothing_is_changed(
    server: EmbeddedServer, warehouse: Warehouse, hasty: Warehouse, said
) -> None:
    replace(warehouse, "id-1")
    me = rf"process \d+ of luigi_traffic_writer \(luigi_traffic {os.getpid()}@.*\), idle in transac"
    with reading(server), pytest.raises(StoreError, match=me) as error:
        replace(hasty, "id-2")
    assert "warehouse.patience_hours" in str(error.value)
    assert len([r for r in said if "Replacing a partition of" in r.getMessage()]) == 1
    with warehouse.connect() as conn:
        assert list(ledger.current_ids(conn, "gold", "tiny").values()) == ["id-1"]
        assert len(TABLE.orphans(conn)) == 1


def test_a_reader_of_an_hour_is_waited_for_and_reported_every_minute(
    server: EmbeddedServer, warehouse: Warehouse, other: Warehouse, monkeypatch, said
) -> None:
    """The night's run failed after 15 minutes of that."""
    replace(warehouse, "id-1")
    clock, ended = SimpleNamespace(now=0.0), threading.Event()

    def pause(seconds: float) -> None:
        clock.now += 30
        if clock.now >= 3600:
            ended.set()
            time.sleep(0.05)

    fake = SimpleNamespace(sleep=pause, monotonic=lambda: clock.now)
    monkeypatch.setattr(patience, "time", fake)
    monkeypatch.setattr(patience, "LOCK_TIMEOUT_S", 0.01)
    with reading(server):
        thread = in_thread(lambda: replace(other, "id-2"))
        assert ended.wait(60)
    thread.join(60)
    assert warehouse.query(IDS, None)[1] == [("id-2",)]
    told = [r for r in said if "Replacing a partition of" in r.getMessage()]
    assert 55 <= len(told) <= 65
    assert all("process " in r.getMessage() for r in told[:-1])


def test_a_lock_of_a_transaction_is_not_waited_for_without_end(
    server: EmbeddedServer, warehouse: Warehouse, hasty: Warehouse
) -> None:
    def take() -> None:
        with hasty.connect() as conn:
            locks.lock_transaction(conn, "ledger:x")

    with warehouse.connect() as conn:
        locks.lock_transaction(conn, "ledger:x")
        me = rf"'ledger:x'.* process {conn.info.backend_pid} of luigi_traffic"
        with pytest.raises(StoreError, match=me):
            take()
    take()


def test_a_new_day_waits_for_no_reader(
    server: EmbeddedServer, warehouse: Warehouse, monkeypatch
) -> None:
    monkeypatch.setattr(patience, "time", SimpleNamespace(monotonic=time.monotonic, sleep=None))
    with warehouse.connect() as conn:
        TABLE.ensure(conn)
    with reading(server):
        replace(warehouse, "id-1")


def test_the_limit_ends_with_the_lock(warehouse: Warehouse) -> None:
    with warehouse.connect() as conn, conn.cursor() as cursor:
        locks.between_readers(conn, "gold.tiny", lambda: None)
        cursor.execute("SHOW lock_timeout")
        assert cursor.fetchone() == ("10min",)
        cursor.execute("SHOW idle_in_transaction_session_timeout")
        assert cursor.fetchone() == ("30s",)
    with warehouse.connect() as conn, conn.cursor() as cursor:
        cursor.execute("SHOW idle_in_transaction_session_timeout")
        assert cursor.fetchone() == ("10min",)


def test_a_column_is_added_between_readers(
    server: EmbeddedServer, warehouse: Warehouse, hasty: Warehouse
) -> None:
    wider = gold_table("tiny", ["timestamp", "link_id", "speed", "flow", "occupancy"])
    replace(warehouse, "id-1")

    def widen() -> None:
        with hasty.connect() as conn:
            wider.ensure(conn)

    with reading(server), pytest.raises(StoreError, match="in use"):
        widen()
    widen()
    with warehouse.connect() as conn:
        assert list(wider.existing_columns(conn))[-2:] == ["flow", "occupancy"]


def test_a_staged_table_in_use_is_left_to_the_garbage_collection(
    server: EmbeddedServer, warehouse: Warehouse
) -> None:
    with warehouse.connect() as conn:
        TABLE.ensure(conn)
        staged = TABLE.stage(conn, "x")
    filling = psycopg2.connect(**server.ensure_running().kwargs())
    with filling.cursor() as cursor:
        cursor.execute(f"INSERT INTO {staged} DEFAULT VALUES")
    with warehouse.connect() as conn:
        TABLE.discard(conn, staged)
        assert TABLE.orphans(conn) == [staged]
    filling.close()
    with warehouse.connect() as conn:
        TABLE.discard(conn, staged)
        assert TABLE.orphans(conn) == []
