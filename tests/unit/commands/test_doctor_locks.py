"""`luigi-traffic doctor` on the room for locks: a real server with a small lock table."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import date

import psycopg2
import pytest
from psycopg2.extensions import connection as Connection

from luigi_traffic.commands.doctor import command, lock_table
from luigi_traffic.commands.doctor.finding import NOTE, OK, Finding, Problem
from luigi_traffic.processes.postgres import server_start
from luigi_traffic.processes.postgres.embedded import EmbeddedServer
from luigi_traffic.project import current
from luigi_traffic.settings.reading import home

DAY = date(2024, 5, 1)


@pytest.fixture
def small(empty, monkeypatch) -> Iterator[Connection]:
    """10 × (10 + 0) places."""
    small = {"max_locks_per_transaction": "10", "max_connections": "10", "max_wal_senders": "0"}
    with monkeypatch.context() as patch:
        patch.setattr(server_start, "SETTINGS", server_start.SETTINGS | small)
        empty.commit_day(DAY)
        dsn = EmbeddedServer(empty.path / "postgres").ensure_running()
    with closing(psycopg2.connect(**dsn.kwargs())) as conn:
        run(conn, "CREATE SCHEMA gold; CREATE SCHEMA forecast_versions")
        parent(conn, "gold.tiny")
        conn.commit()
        yield conn


def run(conn: Connection, sql: str) -> None:
    with conn.cursor() as cursor:
        cursor.execute(sql)


def parent(conn: Connection, table: str) -> None:
    run(conn, f"CREATE TABLE {table} (n int) PARTITION BY RANGE (n)")


def partitions(conn: Connection, table: str, count: int, first: int = 0) -> None:
    for n in range(first, first + count):
        name = f"{table}_{n}"
        run(conn, f"CREATE TABLE {name} PARTITION OF {table} FOR VALUES FROM ({n}) TO ({n + 1})")
        run(conn, f"ALTER TABLE {name} ADD PRIMARY KEY (n)")
        conn.commit()


def asked() -> list[Finding]:
    return [check() for _, check in lock_table.lock_checks(current())]


def test_enough_then_few_then_too_few(small: Connection) -> None:
    partitions(small, "gold.tiny", 8)
    found = lock_table.room(small, "embedded")
    assert (found.state, found.found) == (OK, "a query over all days takes 17 of 100 locks")
    partitions(small, "gold.tiny", 22, first=8)
    found = lock_table.room(small, "embedded")
    assert found.state == NOTE and "4 such queries at once do not fit" in found.found
    # Forecasts of the same dataset are read with it; another dataset is asked by itself.
    parent(small, "forecast_versions.tiny")
    partitions(small, "forecast_versions.tiny", 25)
    parent(small, "gold.other")
    partitions(small, "gold.other", 10)
    with pytest.raises(Problem, match=r"takes 112 of 100 locks: the query does not fit") as caught:
        lock_table.room(small, "embedded")
    assert "down" in caught.value.todo
    # What it says is enough.
    EmbeddedServer(home() / "postgres").stop()
    assert asked() == []
    EmbeddedServer(home() / "postgres").ensure_running()
    assert [finding.state for finding in asked()] == [OK]


def test_a_server_of_others_is_told_what_to_set(small: Connection) -> None:
    partitions(small, "gold.tiny", 60)
    with pytest.raises(Problem) as caught:
        lock_table.room(small, "server")
    # 4 × 121 locks in 10 transactions, a multiple of 64
    assert "max_locks_per_transaction = 64 in its postgresql.conf" in caught.value.todo


def test_only_a_database_that_is_up_is_asked(empty) -> None:
    assert asked() == []
    empty.commit_day(DAY)
    (row,) = [r for r in command.rows(current(), deep=False) if r["check"] == "warehouse locks"]
    assert row["state"] == OK
    EmbeddedServer(empty.path / "postgres").stop()
    assert asked() == []
