"""staging: fill, check and commit, raced and killed in processes of their own."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from datetime import date, datetime
from multiprocessing import get_context

import pyarrow as pa
import pytest

from luigi_traffic.errors import DataError
from luigi_traffic.warehouse import ledger
from luigi_traffic.warehouse.binary import copy_in
from luigi_traffic.warehouse.commit import staging
from luigi_traffic.warehouse.connection import Warehouse
from luigi_traffic.warehouse.content import Content
from luigi_traffic.warehouse.ledger import LedgerRow
from luigi_traffic.warehouse.partitions import Bounds
from luigi_traffic.warehouse.tables import gold_table

fork = get_context("fork")
DAY = date(2012, 3, 28)
TABLE = gold_table("tiny", ["timestamp", "link_id", "speed", "n_obs"])


def data(speeds: list[float]) -> pa.Table:
    return pa.table(
        {
            "timestamp": [datetime(2012, 3, 28, 8)] * len(speeds),
            "link_id": [f"l{n}" for n in range(len(speeds))],
            "speed": pa.array(speeds, pa.float64()),
            "n_obs": [1] * len(speeds),
        }
    )


def nothing() -> None:
    pass


def commit(
    warehouse: Warehouse,
    speeds: list[float],
    partition_id: str,
    *,
    promised: int | None = None,
    twice: bool = False,
    staged: Callable[[], None] = nothing,
    attached: Callable[[], None] = nothing,
) -> bool:
    with staging(warehouse, TABLE, "20120328") as attempt:
        with warehouse.connect() as conn:
            for _ in range(2 if twice else 1):
                copy_in(conn, attempt.name, TABLE.columns, data(speeds))
        row = LedgerRow(
            "gold", "tiny", DAY.isoformat(), partition_id, {}, [],
            len(speeds) if promised is None else promised, attempt.checksum(), {},
        )  # fmt: skip
        staged()
        return attempt.commit(Bounds.day(DAY), row, before_commit=lambda _: attached())


def speeds(warehouse: Warehouse) -> list[float]:
    rows = warehouse.query("SELECT speed FROM gold.tiny ORDER BY link_id", None)[1]
    return [speed for (speed,) in rows]


def live(warehouse: Warehouse) -> dict[str, str]:
    with warehouse.connect() as conn:
        return ledger.current_ids(conn, "gold", "tiny")


def orphans(warehouse: Warehouse) -> list[str]:
    with warehouse.connect() as conn:
        return TABLE.orphans(conn)


def count(warehouse: Warehouse, sql: str) -> int:
    return int(warehouse.query(sql, 1)[1][0][0])


def attached_partitions(warehouse: Warehouse) -> int:
    return count(
        warehouse, "SELECT count(*) FROM pg_inherits WHERE inhparent = 'gold.tiny'::regclass"
    )


def test_rows_ledger_and_checksum_agree(warehouse: Warehouse) -> None:
    assert commit(warehouse, [1.0, 2.0], "a")
    assert speeds(warehouse) == [1.0, 2.0]
    with warehouse.connect() as conn:
        row = ledger.current(conn, "gold", "tiny")[DAY.isoformat()]
        assert row.rows == 2
        # The checksum taken of the staged table is that of what readers see.
        assert row.checksum == Content.measure(conn, "gold.tiny").checksum


def test_the_checksum_is_of_the_rows_whatever_their_order(warehouse: Warehouse) -> None:
    def of(values: str) -> str:
        with warehouse.connect() as conn:
            return Content.measure(conn, f"(VALUES {values})").checksum

    assert of("(1, 'a'), (2, 'b')") == of("(2, 'b'), (1, 'a')")
    assert of("(1, 'a'), (2, 'b')") != of("(1, 'b'), (2, 'a')")  # of equal sums of records' hashes
    assert of("(1, 'a')") != of("(1, 'a'), (1, 'a')")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"promised": 3}, "2 rows arrived, 3 were promised"),
        ({"twice": True}, "4 rows arrived, 2 were promised"),
    ],
)
def test_rows_lost_or_repeated_are_refused(
    warehouse: Warehouse, arguments: dict, message: str
) -> None:
    assert commit(warehouse, [7.0], "old")
    with pytest.raises(DataError, match=message):
        commit(warehouse, [1.0, 2.0], "new", **arguments)
    assert (speeds(warehouse), live(warehouse)) == ([7.0], {"2012-03-28": "old"})
    assert orphans(warehouse) == []


@pytest.mark.parametrize(
    ("link", "message"),
    [
        ("l0", r"unique and not null.*\(2012-03-28 08:00:00, l0\) is duplicated"),
        ("late", "3 rows arrived, 2 were promised"),
    ],
)
def test_a_row_that_comes_after_the_checksum_is_refused(
    warehouse: Warehouse, link: str, message: str
) -> None:
    def late() -> None:
        (table,) = orphans(warehouse)
        with warehouse.connect() as conn, conn.cursor() as cursor:
            cursor.execute(f"INSERT INTO {table} VALUES ('2012-03-28 08:00', %s, 1, 1)", (link,))

    assert commit(warehouse, [7.0], "old")
    with pytest.raises(DataError, match=message):
        commit(warehouse, [1.0, 2.0], "new", staged=late)
    assert (speeds(warehouse), live(warehouse)) == ([7.0], {"2012-03-28": "old"})


def test_an_empty_partition_is_committed(warehouse: Warehouse) -> None:
    assert commit(warehouse, [], "none")
    assert (speeds(warehouse), live(warehouse)) == ([], {"2012-03-28": "none"})


@pytest.mark.parametrize("where", ["staged", "attached"])
def test_an_error_on_the_way_leaves_no_table(warehouse: Warehouse, where: str) -> None:
    def fail() -> None:
        raise InterruptedError

    assert commit(warehouse, [7.0], "old")
    with pytest.raises(InterruptedError):
        commit(warehouse, [1.0], "new", **{where: fail})
    assert (speeds(warehouse), live(warehouse)) == ([7.0], {"2012-03-28": "old"})
    assert orphans(warehouse) == []


def test_two_processes_commit_one_partition(warehouse: Warehouse) -> None:
    barrier, answers = fork.Barrier(2), fork.Queue()

    def run() -> None:
        # Both have staged and filled before one of them commits.
        answers.put(commit(warehouse, [1.0, 2.0], "same", staged=barrier.wait))

    racers = [fork.Process(target=run) for _ in range(2)]
    for racer in racers:
        racer.start()
    won = sorted(answers.get(timeout=60) for _ in racers)
    for racer in racers:
        racer.join(30)
        assert racer.exitcode == 0
    assert won == [False, True]
    assert (speeds(warehouse), live(warehouse)) == ([1.0, 2.0], {"2012-03-28": "same"})
    assert count(warehouse, "SELECT count(*) FROM meta.ledger") == 1
    assert attached_partitions(warehouse) == 1
    assert orphans(warehouse) == []


@pytest.mark.parametrize("where", ["staged", "attached"])
def test_killed_on_the_way_the_old_partition_stands(warehouse: Warehouse, where: str) -> None:
    assert commit(warehouse, [7.0], "old")

    def die() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    child = fork.Process(target=lambda: commit(warehouse, [1.0, 2.0], "new", **{where: die}))
    child.start()
    child.join(60)
    assert child.exitcode == -signal.SIGKILL
    assert (speeds(warehouse), live(warehouse)) == ([7.0], {"2012-03-28": "old"})
    assert count(warehouse, "SELECT count(*) FROM meta.ledger") == 1
    (left,) = orphans(warehouse)
    # The next run commits beside it, and gc takes it away.
    assert commit(warehouse, [1.0, 2.0], "new")
    assert (speeds(warehouse), orphans(warehouse)) == ([1.0, 2.0], [left])
    with warehouse.connect() as conn:
        TABLE.discard(conn, left)
    assert orphans(warehouse) == []
    assert speeds(warehouse) == [1.0, 2.0]
