"""The table of all forecasts: a range a day, a partition a version; a question touches few."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from datetime import date, datetime, timedelta
from multiprocessing import get_context

import psycopg2
import pyarrow as pa
import pytest

from luigi_traffic.errors import DataError
from luigi_traffic.processes.postgres.embedded import EmbeddedServer
from luigi_traffic.warehouse import ledger
from luigi_traffic.warehouse.binary import copy_in
from luigi_traffic.warehouse.commit import staging
from luigi_traffic.warehouse.connection import Warehouse
from luigi_traffic.warehouse.ledger import LedgerRow
from luigi_traffic.warehouse.partitions import Bounds
from luigi_traffic.warehouse.tables import forecast_bounds, forecast_table

fork = get_context("fork")
DAY = date(2012, 3, 28)
TABLE = forecast_table("tiny")
HOUR = timedelta(hours=1)
# What a client asks the server to do in one transaction, and the locks it takes for that.
LOCKS = """
SELECT count(*) FROM pg_locks l JOIN pg_class c ON c.oid = l.relation
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE l.pid = pg_backend_pid() AND n.nspname = 'forecast_versions'"""


def rows(day: date, model: str, speed: float, *, of: str | None = None) -> pa.Table:
    """Issued at 01:00 and at the day's end, two steps of an hour each."""
    midnight = datetime(day.year, day.month, day.day)
    made = [
        {
            "part": f"{day}/{of or model}", "model": model, "issued_at": issued, "kind": kind,
            "step": step, "timestamp": issued + (step - 1) * HOUR, "link_id": "l", "speed": speed,
            "version": 1, "observed": 12,
            "lower": 1.0, "upper": 99.0,
        }
        for issued, kind in ((midnight + HOUR, "rolling"), (midnight + 24 * HOUR, "next"))
        for step in (1, 2)
    ]  # fmt: skip
    return pa.Table.from_pylist(made)


def nothing() -> None:
    pass


def commit(
    warehouse: Warehouse,
    day: date,
    model: str,
    speed: float = 1.0,
    *,
    bounds: Bounds | None = None,
    of: str | None = None,
    attached: Callable[[], None] = nothing,
    staged: Callable[[], None] = nothing,
) -> bool:
    part = f"{day}/{model}"

    with staging(warehouse, TABLE, f"{day:%Y%m%d}") as attempt:
        with warehouse.connect() as conn:
            copy_in(conn, attempt.name, TABLE.columns, rows(day, model, speed, of=of))
        row = LedgerRow(
            "forecast", "tiny", part, f"{part}/{speed}", {}, [], 4, attempt.checksum(), {}
        )
        staged()
        return attempt.commit(
            bounds or forecast_bounds(day, part), row, before_commit=lambda _: attached()
        )


def found(warehouse: Warehouse, columns: str = "part, speed") -> list[tuple]:
    return warehouse.query(
        f"SELECT DISTINCT {columns} FROM forecast_versions.tiny ORDER BY 1", None
    )[1]


def live(warehouse: Warehouse) -> set[str]:
    with warehouse.connect() as conn:
        return set(ledger.current_ids(conn, "forecast", "tiny").values())


def test_two_models_and_two_days_stand_side_by_side_and_are_replaced_alone(
    warehouse: Warehouse,
) -> None:
    tomorrow = DAY + timedelta(days=1)
    for day, model, speed in [(DAY, "a", 1), (DAY, "b", 2), (tomorrow, "a", 3), (DAY, "a", 4)]:
        assert commit(warehouse, day, model, speed)
    assert found(warehouse) == [("2012-03-28/a", 4), ("2012-03-28/b", 2), ("2012-03-29/a", 3)]
    assert warehouse.query("SELECT count(*) FROM forecast_versions.tiny", 1)[1] == [(12,)]
    assert live(warehouse) == {"2012-03-28/a/4", "2012-03-28/b/2", "2012-03-29/a/3"}
    with warehouse.connect() as conn:
        assert TABLE.orphans(conn) == []


def test_the_forecast_of_the_days_end_belongs_to_the_day(warehouse: Warehouse) -> None:
    assert commit(warehouse, DAY, "a")
    assert commit(warehouse, DAY + timedelta(days=1), "a")
    asked = (
        "SELECT part, kind FROM forecast_versions.tiny WHERE issued_at = '2012-03-29' AND step = 1"
    )
    assert warehouse.query(asked, None)[1] == [("2012-03-28/a", "next")]


@pytest.mark.parametrize(
    ("bounds", "of"),
    [(forecast_bounds(DAY + timedelta(days=1), f"{DAY}/a"), None), (None, "b")],
    ids=["another day", "another version"],
)
def test_rows_of_another_day_or_version_are_refused(
    warehouse: Warehouse, bounds: Bounds | None, of: str | None
) -> None:
    with pytest.raises(DataError, match="rows lie outside"):
        commit(warehouse, DAY, "a", bounds=bounds, of=of)
    assert found(warehouse) == []
    with warehouse.connect() as conn:
        assert TABLE.orphans(conn) == []


def locks(warehouse: Warehouse, question: str) -> int:
    with warehouse.connect() as conn, conn.cursor() as cursor:
        cursor.execute(question)
        cursor.fetchall()
        cursor.execute(LOCKS)
        return int((cursor.fetchone() or (0,))[0])


ABOUT_A_DAY = [
    "issued_at = '2012-03-29'",
    "issued_at > '2012-03-28' AND issued_at <= '2012-03-29'",
    "issued_at >= '2012-03-28' AND issued_at < '2012-03-29'",
    "timestamp >= '2012-03-28' AND timestamp < '2012-03-29'"
    " AND issued_at > '2012-03-27 23:00' AND issued_at < '2012-03-29'",
]


def test_a_question_about_a_day_takes_as_few_locks_however_many_days_there_are(
    warehouse: Warehouse,
) -> None:
    question = "SELECT count(*) FROM forecast_versions.tiny WHERE "
    taken = []
    for days in (range(-1, 2), range(2, 20)):
        for n in days:
            for model in ("a", "b"):
                assert commit(warehouse, DAY + timedelta(days=n), model)
        taken.append([locks(warehouse, question + condition) for condition in ABOUT_A_DAY])
    assert taken[0] == taken[1]
    # The table, at most two days, of each two versions with their indexes.
    assert max(taken[1]) <= 1 + 2 + 2 * 2 * 2
    # It is the condition that spares them.
    assert locks(warehouse, question + "true") > 80


@pytest.mark.parametrize(
    "condition",
    ["timestamp > '2012-03-28 01:00' AND timestamp < '2012-03-28 03:00'", "part = '2012-03-28/a'"],
)
def test_a_question_by_other_columns_reads_only_partitions_that_may_answer(
    warehouse: Warehouse, condition: str
) -> None:
    for n in range(-5, 5):
        assert commit(warehouse, DAY + timedelta(days=n), "a")
    with warehouse.connect() as conn, conn.cursor() as cursor:
        cursor.execute(f"EXPLAIN SELECT * FROM forecast_versions.tiny WHERE {condition}")
        plan = "\n".join(line for (line,) in cursor.fetchall())
    assert plan.count("Scan on tiny_") == 1
    assert "tiny_20120328_" in plan


def test_attaching_scans_no_rows(warehouse: Warehouse) -> None:
    with warehouse.connect() as conn:
        TABLE.ensure(conn)
    with warehouse.connect() as conn:
        staged = TABLE.stage(conn, "x")
        copy_in(conn, staged, TABLE.columns, rows(DAY, "a", 1))
        with conn.cursor() as cursor:
            cursor.execute("SET LOCAL client_min_messages = debug1")
        entry = LedgerRow("forecast", "tiny", "p", "i", {}, [], 4, "", {})
        assert TABLE.commit(conn, staged, forecast_bounds(DAY, f"{DAY}/a"), entry)
        said = list(conn.notices)
    assert any("is implied by existing constraints" in line for line in said)


def test_names_too_long_for_a_table_are_cut(warehouse: Warehouse) -> None:
    for model in ("m" * 62 + "1", "m" * 62 + "2"):
        assert commit(warehouse, DAY, model)
        assert commit(warehouse, DAY, model, 2.0)
    assert [speed for _, speed in found(warehouse)] == [2.0, 2.0]


def test_new_days_at_once_make_a_range_each_and_one_together(warehouse: Warehouse) -> None:
    work = [(DAY + timedelta(days=n), model) for n in range(3) for model in ("a", "b")]
    ready = fork.Barrier(len(work))

    def run(day: date, model: str) -> None:
        assert commit(warehouse, day, model, staged=ready.wait)

    racers = [fork.Process(target=run, args=arguments) for arguments in work]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join(60)
        assert racer.exitcode == 0
    assert found(warehouse, "part") == sorted((f"{day}/{model}",) for day, model in work)
    ranges = "SELECT count(*) FROM pg_inherits WHERE inhparent = 'forecast_versions.tiny'::regclass"
    assert warehouse.query(ranges, 1)[1] == [(3,)]


def test_killed_between_attach_and_commit_the_old_part_stands(warehouse: Warehouse) -> None:
    assert commit(warehouse, DAY, "a", 1.0)
    assert commit(warehouse, DAY, "b", 2.0)

    def die() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    tomorrow = DAY + timedelta(days=1)
    for day, model in [(DAY, "a"), (DAY, "c"), (tomorrow, "c")]:  # there, new, of a new day
        child = fork.Process(
            target=lambda d=day, m=model: commit(warehouse, d, m, 9.0, attached=die)
        )
        child.start()
        child.join(60)
        assert child.exitcode == -signal.SIGKILL
    assert found(warehouse) == [("2012-03-28/a", 1.0), ("2012-03-28/b", 2.0)]
    assert live(warehouse) == {"2012-03-28/a/1.0", "2012-03-28/b/2.0"}
    with warehouse.connect() as conn:
        left = TABLE.orphans(conn)
        assert len(left) == 3
        for staged in left:
            TABLE.discard(conn, staged)
    assert commit(warehouse, DAY, "c", 3.0)
    assert len(found(warehouse)) == 3


def test_a_new_version_waits_for_no_reader_and_a_replaced_one_for_none_of_another_day(
    warehouse: Warehouse, server: EmbeddedServer
) -> None:
    tomorrow = DAY + timedelta(days=1)
    assert commit(warehouse, DAY, "a")
    assert commit(warehouse, tomorrow, "a")
    reader = psycopg2.connect(**server.ensure_running().kwargs())
    try:
        with reader.cursor() as cursor:
            about = "issued_at > '2012-03-29 00:30' AND issued_at <= '2012-03-30'"
            cursor.execute(f"SELECT count(*) FROM forecast_versions.tiny WHERE {about}")
            for day, model in [(tomorrow, "b"), (DAY, "a")]:
                writer = threading.Thread(target=commit, args=(warehouse, day, model, 5.0))
                writer.start()
                writer.join(20)
                assert not writer.is_alive()
    finally:
        reader.close()
    assert found(warehouse) == [
        ("2012-03-28/a", 5.0), ("2012-03-29/a", 1.0), ("2012-03-29/b", 5.0),
    ]  # fmt: skip


def test_two_targets_have_a_column_each_and_neither_takes_the_place_of_the_other(
    warehouse: Warehouse,
) -> None:
    assert commit(warehouse, DAY, "a", 50.0)
    table = forecast_table("tiny", "flow")
    made = rows(DAY, "a:flow", 900.0).rename_columns(
        [c if c != "speed" else "flow" for c in rows(DAY, "a", 1.0).column_names]
    )
    with staging(warehouse, table, f"{DAY:%Y%m%d}") as attempt:
        with warehouse.connect() as conn:
            copy_in(conn, attempt.name, table.columns, made)
        row = LedgerRow("forecast", "tiny", f"{DAY}/a:flow", "f", {}, [], 4, attempt.checksum(), {})
        assert attempt.commit(forecast_bounds(DAY, f"{DAY}/a:flow"), row)
    assert found(warehouse, "model, speed, flow") == [("a", 50.0, None), ("a:flow", None, 900.0)]
    assert commit(warehouse, DAY, "a", 60.0)
    assert found(warehouse, "model, speed, flow") == [("a", 60.0, None), ("a:flow", None, 900.0)]
