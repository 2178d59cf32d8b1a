from __future__ import annotations

import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date, datetime, timedelta
from multiprocessing import get_context

import psycopg2
import pyarrow as pa
import pytest

from luigi_traffic.errors import DataError
from luigi_traffic.processes.postgres.embedded import EmbeddedServer
from luigi_traffic.warehouse import ledger
from luigi_traffic.warehouse.binary import copy_in
from luigi_traffic.warehouse.connection import Warehouse
from luigi_traffic.warehouse.ledger import LedgerRow
from luigi_traffic.warehouse.partitions import Bounds, Column, PartitionedTable, freeze

fork = get_context("fork")
DAY = date(2012, 3, 28)
TABLE = PartitionedTable(
    "gold",
    "its",
    (Column("timestamp", "timestamp"), Column("link_id", "text"), Column("speed", "real")),
    key=("timestamp", "link_id"),
    by="timestamp",
)
SPEEDS = "SELECT speed FROM gold.its ORDER BY timestamp, link_id"


def batch(speeds: list[float], day: date = DAY, link: str | None = None) -> pa.Table:
    start = datetime(day.year, day.month, day.day)
    return pa.table(
        {
            "timestamp": pa.array([start] * len(speeds), pa.timestamp("us")),
            "link_id": [link or f"l{i}" for i in range(len(speeds))],
            "speed": speeds,
        }
    )


def row(partition_id: str, rows: int, day: date = DAY) -> LedgerRow:
    return LedgerRow("gold", "its", day.isoformat(), partition_id, {}, [], rows, "", {})


def stage(warehouse: Warehouse, data: pa.Table) -> str:
    with warehouse.connect() as conn:
        TABLE.ensure(conn)
    with warehouse.connect() as conn:
        staged = TABLE.stage(conn, "20120328")
        copy_in(conn, staged, TABLE.columns, data)
    return staged


def commit(warehouse: Warehouse, data: pa.Table, partition_id: str, day: date = DAY) -> bool:
    staged = stage(warehouse, data)
    with warehouse.connect() as conn:
        won = TABLE.commit(conn, staged, Bounds.day(day), row(partition_id, data.num_rows, day))
        if not won:
            conn.rollback()
    with warehouse.connect() as conn:
        TABLE.discard(conn, staged)  # leaves an attached one alone
    return won


def speeds(warehouse: Warehouse) -> list[float]:
    return [speed for (speed,) in warehouse.query(SPEEDS, None)[1]]


def partitions(warehouse: Warehouse) -> int:
    sql = "SELECT count(*) FROM pg_inherits WHERE inhparent = 'gold.its'::regclass"
    return int(warehouse.query(sql, 1)[1][0][0])


def orphans(warehouse: Warehouse, older_than: timedelta = timedelta(0)) -> list[str]:
    with warehouse.connect() as conn:
        return TABLE.orphans(conn, older_than)


def test_days_stand_side_by_side_and_are_replaced_as_a_whole(warehouse: Warehouse) -> None:
    tomorrow = DAY + timedelta(days=1)
    assert commit(warehouse, batch([1, 2, 3]), "a")
    assert commit(warehouse, batch([9], tomorrow), "b", tomorrow)
    assert speeds(warehouse) == [1, 2, 3, 9]
    assert commit(warehouse, batch([5]), "c")
    assert speeds(warehouse) == [5, 9]
    assert partitions(warehouse) == 2
    assert orphans(warehouse) == []
    with warehouse.connect() as conn:
        assert list(ledger.current_ids(conn, "gold", "its").values()) == ["c", "b"]


def test_the_statements_of_a_commit_do_not_grow_with_the_columns(warehouse: Warehouse) -> None:
    """Each is a round trip to the server."""
    assert statements(warehouse, TABLE) == statements(
        warehouse,
        replace(
            TABLE,
            name="wide",
            columns=(*TABLE.columns, *(Column(f"v{n}", "real") for n in range(20))),
        ),
    )


def statements(warehouse: Warehouse, table: PartitionedTable) -> int:
    """Of a commit without rows to a table that is there."""
    sent = []

    class Counted(psycopg2.extensions.cursor):
        def execute(self, *words) -> None:
            sent.append(words)
            super().execute(*words)

    with warehouse.connect() as conn:
        table.ensure(conn)
    with warehouse.connect() as conn:
        conn.cursor_factory = Counted
        table.ensure(conn)
        staged = table.stage(conn, "20120328")
        won = table.commit(conn, staged, Bounds.day(DAY), row(table.name, 0))
        conn.cursor_factory = None
    assert won
    return len(sent)


def test_an_empty_day_replaces_too(warehouse: Warehouse) -> None:
    assert commit(warehouse, batch([1]), "a")
    assert commit(warehouse, batch([]), "b")
    assert (speeds(warehouse), partitions(warehouse)) == ([], 1)


def test_other_output_styles_of_dates_find_the_old_partition(warehouse: Warehouse) -> None:
    assert commit(warehouse, batch([1]), "a")
    staged = stage(warehouse, batch([2]))
    with warehouse.connect() as conn:
        with conn.cursor() as cursor:
            cursor.execute("SET LOCAL datestyle = 'German, DMY'")
        assert TABLE.commit(conn, staged, Bounds.day(DAY), row("b", 1))
    assert speeds(warehouse) == [2]


@pytest.mark.parametrize(
    ("data", "rows", "message"),
    [
        (batch([1, 2], link="twin"), 2, r"link_id\)=\(2012-03-28 00:00:00, twin\)"),
        (batch([1, 2]), 3, "2 rows arrived, 3 were promised"),
        (batch([1], DAY + timedelta(days=1)), 1, "1 of 1 rows lie outside"),
    ],
)
def test_bad_rows_never_show(warehouse: Warehouse, data: pa.Table, rows: int, message: str) -> None:
    assert commit(warehouse, batch([7]), "a")
    staged = stage(warehouse, data)
    with pytest.raises(DataError, match=message), warehouse.connect() as conn:
        TABLE.commit(conn, staged, Bounds.day(DAY), row("b", rows))
    assert speeds(warehouse) == [7]
    assert orphans(warehouse) == [staged]
    with warehouse.connect() as conn:
        TABLE.discard(conn, staged)
        TABLE.discard(conn, staged)  # twice is no error
    assert orphans(warehouse) == []


def test_the_same_id_twice_is_one_commit(warehouse: Warehouse) -> None:
    assert commit(warehouse, batch([1]), "a")
    assert not commit(warehouse, batch([1]), "a")
    assert (speeds(warehouse), orphans(warehouse)) == ([1], [])


def test_nothing_shows_before_the_callers_commit(warehouse: Warehouse) -> None:
    assert commit(warehouse, batch([1]), "a")
    staged = stage(warehouse, batch([2]))

    def fail() -> None:
        raise RuntimeError

    with pytest.raises(RuntimeError), warehouse.connect() as conn:
        TABLE.commit(conn, staged, Bounds.day(DAY), row("b", 1), before_commit=fail)
    assert speeds(warehouse) == [1]
    with warehouse.connect() as conn:
        assert ledger.current_ids(conn, "gold", "its") == {"2012-03-28": "a"}


def test_discard_never_drops_what_is_attached(warehouse: Warehouse) -> None:
    staged = stage(warehouse, batch([1]))
    with warehouse.connect() as conn:
        TABLE.commit(conn, staged, Bounds.day(DAY), row("a", 1))
    with warehouse.connect() as conn:
        TABLE.discard(conn, staged)
    assert speeds(warehouse) == [1]


def test_discard_copes_with_a_table_that_goes_while_it_waits(
    warehouse: Warehouse, server: EmbeddedServer
) -> None:
    staged = stage(warehouse, batch([1]))
    waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"

    def discard() -> None:
        with warehouse.connect() as conn:
            TABLE.discard(conn, staged)

    owner = psycopg2.connect(**server.ensure_running().kwargs())
    with ThreadPoolExecutor() as pool, owner, owner.cursor() as cursor:
        cursor.execute(f"DROP TABLE {staged}")
        waiter = pool.submit(discard)
        while warehouse.query(waiting, 1)[1] == [(0,)]:
            assert not waiter.done()
        owner.commit()
        waiter.result(10)
    owner.close()
    assert orphans(warehouse) == []


def test_gc_spares_the_young_and_other_tables(warehouse: Warehouse) -> None:
    staged = stage(warehouse, batch([1]))
    its_sim = replace(TABLE, name="its_20120328")
    with warehouse.connect() as conn:
        its_sim.ensure(conn)
        its_sim.stage(conn, "x")
    assert orphans(warehouse) == [staged]
    assert orphans(warehouse, timedelta(hours=1)) == []


def test_a_value_that_has_quotes(warehouse: Warehouse) -> None:
    table = replace(TABLE, name="pairs", then_by="link_id", key=("timestamp",))
    link = "o'link\\x"
    bounds = replace(Bounds.day(DAY), value=link)
    for n in (1, 2):
        with warehouse.connect() as conn:
            table.ensure(conn)
        with warehouse.connect() as conn:
            staged = table.stage(conn, "x")
            copy_in(conn, staged, table.columns, batch([n], link=link))
            assert table.commit(conn, staged, bounds, row(str(n), 1))
    assert warehouse.query("SELECT link_id, speed FROM gold.pairs", None)[1] == [(link, 2)]
    for wrong, other in [(table, Bounds.day(DAY)), (TABLE, bounds)]:
        staged = stage(warehouse, batch([1], link=link))
        with pytest.raises(DataError, match="A partition of"), warehouse.connect() as conn:
            wrong.commit(conn, staged, other, row("z", 1))


def test_long_names_stay_apart(warehouse: Warehouse) -> None:
    table = replace(TABLE, name="ü" * 30)
    with warehouse.connect() as conn:
        table.ensure(conn)
        names = {table.stage(conn, "20120328") for _ in range(3)}
        assert len(names) == 3
        assert all(len(name.split(".")[1].strip('"').encode()) <= 63 for name in names)
        assert set(table.orphans(conn)) == names


def test_names_as_long_as_may_be_and_almost_the_same_share_nothing(warehouse: Warehouse) -> None:
    tables = [replace(TABLE, name="x" * 62 + last) for last in "ab"]
    staged = {}
    for table in tables:
        with warehouse.connect() as conn:
            table.ensure(conn)
            staged[table.name] = [table.stage(conn, "20120328") for _ in range(3)]
    assert len({name for names in staged.values() for name in names}) == 6
    with warehouse.connect() as conn:
        for table in tables:
            assert sorted(table.orphans(conn)) == sorted(staged[table.name])
    for n, table in enumerate(tables):
        with warehouse.connect() as conn:
            copy_in(conn, staged[table.name][0], table.columns, batch([n]))
            assert table.commit(conn, staged[table.name][0], Bounds.day(DAY), row(table.name, 1))
    for n, table in enumerate(tables):
        assert warehouse.query(f"SELECT speed FROM gold.{table.name}", None)[1] == [(n,)]


def test_a_new_column_is_added_and_another_type_refused(warehouse: Warehouse) -> None:
    assert commit(warehouse, batch([1]), "a")
    wider = replace(TABLE, columns=(*TABLE.columns, Column("flow", "integer")))
    with warehouse.connect() as conn:
        wider.ensure(conn)
    assert warehouse.query("SELECT flow FROM gold.its", None)[1] == [(None,)]
    assert commit(warehouse, batch([2]), "b")  # code that does not know the column
    assert speeds(warehouse) == [2]
    other = replace(TABLE, columns=(Column("speed", "text"),))
    with (
        pytest.raises(DataError, match=r"'speed'.*'real'.*'text'"),
        warehouse.connect() as conn,
    ):
        other.ensure(conn)


def test_ensure_by_many_at_once(warehouse: Warehouse) -> None:
    barrier = threading.Barrier(4)

    def ensure(_: int) -> None:
        barrier.wait()
        with warehouse.connect() as conn:
            TABLE.ensure(conn)

    with ThreadPoolExecutor(4) as pool:
        assert len(list(pool.map(ensure, range(4)))) == 4
    assert speeds(warehouse) == []


@pytest.mark.parametrize("kind", ["thread", "process"])
@pytest.mark.parametrize("same", [True, False])
def test_two_committers_one_result(warehouse: Warehouse, kind: str, same: bool) -> None:
    """The same id: one commits, the other finds it done. Other ids: the later one stands, whole."""
    assert commit(warehouse, batch([0]), "old")
    ready = threading.Barrier(3) if kind == "thread" else fork.Barrier(3)
    box: list[bool] = []
    queue = fork.Queue()

    def race(n: int) -> None:
        ready.wait()
        won = commit(warehouse, batch([n] * n), "same" if same else f"id{n}")
        box.append(won) if kind == "thread" else queue.put(won)

    make = threading.Thread if kind == "thread" else fork.Process
    racers = [make(target=race, args=(n,)) for n in (1, 2, 3)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join(60)
    won = box if kind == "thread" else [queue.get(timeout=30) for _ in racers]
    assert sorted(won) == ([False, False, True] if same else [True, True, True])
    left = speeds(warehouse)
    assert left in ([1], [2, 2], [3, 3, 3])
    assert (partitions(warehouse), orphans(warehouse)) == (1, [])
    with warehouse.connect() as conn:
        live = ledger.current(conn, "gold", "its")["2012-03-28"]
    assert live.rows == len(left)


def test_two_days_staged_and_replaced_in_one_transaction_each(warehouse: Warehouse) -> None:
    """A lock on the parent kept since `stage` would make them wait for each other for ever."""
    days = [DAY, DAY + timedelta(days=1)]
    for day in days:
        assert commit(warehouse, batch([0], day), f"old{day}", day)
    barrier = threading.Barrier(2)

    def replace_day(day: date) -> bool:
        with warehouse.connect() as conn:
            staged = TABLE.stage(conn, "x")
            copy_in(conn, staged, TABLE.columns, batch([1], day))
            barrier.wait()
            return TABLE.commit(conn, staged, Bounds.day(day), row(f"new{day}", 1, day))

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(replace_day, days)) == [True, True]
    assert speeds(warehouse) == [1, 1]


@pytest.mark.parametrize("where", ["staged", "attached"])
def test_kill_9_leaves_the_old_partition(warehouse: Warehouse, where: str) -> None:
    assert commit(warehouse, batch([1, 2]), "a")

    def die() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def child() -> None:
        staged = stage(warehouse, batch([8]))
        if where == "staged":
            die()
        with warehouse.connect() as conn:
            TABLE.commit(conn, staged, Bounds.day(DAY), row("b", 1), before_commit=die)

    process = fork.Process(target=child)
    process.start()
    process.join(30)
    assert process.exitcode == -signal.SIGKILL
    assert speeds(warehouse) == [1, 2]
    left = orphans(warehouse)
    assert len(left) == 1
    assert commit(warehouse, batch([8]), "b")
    assert speeds(warehouse) == [8]


def test_freeze_keeps_ledger_and_rows_together(
    warehouse: Warehouse, server: EmbeddedServer
) -> None:
    """Without it, a reader whose snapshot is older than a replacement sees the day empty."""
    assert commit(warehouse, batch([1]), "a")

    def read(frozen: bool) -> tuple[str, list[tuple[float]]]:
        conn = psycopg2.connect(**server.ensure_running().kwargs())
        with conn.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            if frozen:
                freeze(conn, "gold", "its")
            seen = ledger.current_ids(conn, "gold", "its")["2012-03-28"]
            writer = threading.Thread(target=commit, args=(warehouse, batch([2]), f"b{frozen}"))
            writer.start()
            writer.join(1.5)
            assert writer.is_alive() == frozen
            cursor.execute(SPEEDS)
            found = cursor.fetchall()
        conn.rollback()
        conn.close()
        writer.join(30)
        return seen, found

    assert read(frozen=True) == ("a", [(1.0,)])
    assert speeds(warehouse) == [2]
    assert read(frozen=False) == ("bTrue", [])  # what PostgreSQL does, and why freeze exists
    with warehouse.connect() as conn:
        assert not freeze(conn, "gold", "nothing")
        assert freeze(conn, "gold", "its")


def test_freeze_takes_one_lock_however_many_days_there_are(warehouse: Warehouse) -> None:
    for n in range(5):
        day = DAY + timedelta(days=n)
        assert commit(warehouse, batch([n], day), f"id{n}", day)
    with warehouse.connect() as conn, conn.cursor() as cursor:
        freeze(conn, "gold", "its")
        cursor.execute(
            "SELECT count(*) FROM pg_locks l JOIN pg_class c ON c.oid = l.relation"
            " WHERE l.pid = pg_backend_pid() AND c.relnamespace = 'gold'::regnamespace"
        )
        assert cursor.fetchone() == (1,)
