"""One session of a process serves its locks one after the other."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from multiprocessing import get_context

import psycopg2
import pytest

from luigi_traffic.processes.postgres.embedded import EmbeddedServer
from luigi_traffic.warehouse import locks
from luigi_traffic.warehouse.connection import Warehouse

fork = get_context("fork")


@pytest.fixture
def other(server: EmbeddedServer) -> Iterator[Warehouse]:
    """Another runner."""
    made = Warehouse(server.ensure_running)
    yield made
    made.close()


@pytest.fixture
def opened(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The process ids of the server's sessions that were opened."""
    found: list[int] = []
    connect = psycopg2.connect

    def counted(*words, **more):
        conn = connect(*words, **more)
        found.append(conn.info.backend_pid)
        return conn

    monkeypatch.setattr(psycopg2, "connect", counted)
    return found


def holder(warehouse: Warehouse, name: str) -> int | None:
    """The server's process that holds a lock."""
    unsigned = locks.key(name) % 2**64
    with warehouse.connect() as conn, conn.cursor() as cursor:
        cursor.execute(
            "SELECT pid FROM pg_locks WHERE locktype = 'advisory'"
            " AND classid::bigint = %s AND objid::bigint = %s",
            (unsigned >> 32, unsigned % 2**32),
        )
        found = cursor.fetchone()
    return found[0] if found else None


def end(server: EmbeddedServer, pid: int) -> None:
    with psycopg2.connect(**server.ensure_running().kwargs()) as conn, conn.cursor() as cursor:
        # The owner, whom a writer becomes, may not end what a writer has begun.
        cursor.execute("SET ROLE NONE")
        cursor.execute("SELECT pg_terminate_backend(%s, 5000)", (pid,))


def test_a_session_serves_one_lock_after_the_other(warehouse, opened: list[int]) -> None:
    for name in ("raw", "bronze", "silver", "gold"):
        with warehouse.lock(name) as held:
            assert held
            assert holder(warehouse, name) == opened[-1]
        assert holder(warehouse, name) is None
    assert len(opened) == 1


def test_a_lock_is_free_after_its_block_and_after_an_error(warehouse, other: Warehouse) -> None:
    with pytest.raises(RuntimeError), warehouse.lock("day"):
        raise RuntimeError
    with other.lock("day", patience_s=0) as held:
        assert held


def test_two_locks_at_once_have_two_sessions(warehouse, other: Warehouse, opened) -> None:
    with warehouse.lock("day"), warehouse.lock("event"):
        with other.lock("day", patience_s=0) as held:
            assert not held
        with other.lock("event", patience_s=0) as held:
            assert not held
    with other.lock("day", patience_s=0) as day, other.lock("event", patience_s=0) as event:
        assert day
        assert event


def test_threads_do_not_share_a_session(warehouse: Warehouse) -> None:
    """A session would get its own lock again."""
    with warehouse.lock("before"):
        pass
    ready, over, held = threading.Event(), threading.Event(), []

    def work() -> None:
        with warehouse.lock("day"):
            ready.set()
            over.wait(30)

    thread = threading.Thread(target=work)
    thread.start()
    assert ready.wait(30)
    with warehouse.lock("day", patience_s=0) as got:
        held.append(got)
    over.set()
    thread.join(30)
    assert held == [False]


def test_a_fork_does_not_share_its_parents_session(warehouse: Warehouse) -> None:
    with warehouse.lock("before"):
        pass
    ready, over = fork.Event(), fork.Event()

    def work() -> None:
        with warehouse.lock("day"):
            ready.set()
            over.wait(30)

    process = fork.Process(target=work)
    process.start()
    assert ready.wait(30)
    with warehouse.lock("day", patience_s=0) as held:
        assert not held
    over.set()
    process.join(30)
    assert process.exitcode == 0
    with warehouse.lock("day", patience_s=0) as held:
        assert held


def test_a_kept_session_that_the_server_has_ended_is_replaced(
    warehouse: Warehouse, server: EmbeddedServer, other: Warehouse, opened: list[int]
) -> None:
    with warehouse.lock("before"):
        pass
    end(server, opened[0])
    with warehouse.lock("day") as held:
        assert held
        assert holder(warehouse, "day") not in (None, opened[0])
        with other.lock("day", patience_s=0) as got:
            assert not got


def test_a_session_lost_on_the_way_is_reported_and_not_used_again(
    warehouse: Warehouse, server: EmbeddedServer, other: Warehouse, said
) -> None:
    with warehouse.lock("day"):
        lost = holder(warehouse, "day")
        assert lost
        end(server, lost)
        with other.lock("day", patience_s=5) as got:
            assert got
    assert [r.getMessage()[:22] for r in said if "lost" in r.getMessage()] == [
        "The lock day was lost:"
    ]
    with warehouse.lock("day", patience_s=5) as held:
        assert held
        assert holder(warehouse, "day") not in (None, lost)


def test_close_ends_the_kept_session(warehouse: Warehouse, opened: list[int], other) -> None:
    with warehouse.lock("day"):
        pass
    warehouse.close()
    with other.connect() as conn, conn.cursor() as cursor:
        cursor.execute("SELECT pg_sleep(0.2)")
        cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE pid = ANY(%s)", (opened[:1],))
        assert cursor.fetchone() == (0,)
