"""The view of forecasts: of each day and target one version's, replaced at the COMMIT alone."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from datetime import date, datetime, timedelta
from multiprocessing import get_context

import pyarrow as pa
from psycopg2.extensions import connection as Connection

from luigi_traffic.recipe import Input
from luigi_traffic.warehouse import ledger, published
from luigi_traffic.warehouse.binary import copy_in
from luigi_traffic.warehouse.commit import staging
from luigi_traffic.warehouse.connection import Warehouse
from luigi_traffic.warehouse.ledger import LedgerRow
from luigi_traffic.warehouse.tables import forecast_bounds, forecast_part, forecast_table

fork = get_context("fork")
DAY = date(2012, 3, 28)
TOMORROW = DAY + timedelta(days=1)


def nothing() -> None:
    pass


def commit(
    warehouse: Warehouse,
    version: str,
    value: float,
    *,
    day: date = DAY,
    target: str = "speed",
    shown: bool = True,
    published_then: Callable[[], None] = nothing,
    staged: Callable[[], None] = nothing,
) -> bool:
    """One row of that version, issued at the day's end."""
    model = "m" if target == "speed" else f"m:{target}"
    part, table = forecast_part(day, model, version), forecast_table("tiny", target)
    at = datetime(day.year, day.month, day.day) + timedelta(days=1)
    row = {
        "part": part, "model": model, "issued_at": at, "kind": "next", "step": 1, "timestamp": at,
        "link_id": "l", target: value, "version": int(version), "observed": 12, "lower": 1.0,
        "upper": 99.0,
    }  # fmt: skip
    with warehouse.connect() as conn:
        published.ensure(conn, table)

    def publish(conn: Connection) -> None:
        if shown:
            other = "" if target == "speed" else target
            published.publish(conn, "tiny", other, day, part, published.now(conn))
        published_then()

    with staging(warehouse, table, f"{day:%Y%m%d}") as attempt:
        with warehouse.connect() as conn:
            copy_in(conn, attempt.name, table.columns, pa.Table.from_pylist([row]))
        inputs = [Input("model", "x", "x"), Input("gold", str(day), f"gold {day}")]
        entry = LedgerRow(
            "forecast", "tiny", part, f"{part} {value}", {}, inputs, 1, attempt.checksum(), {}
        )
        staged()
        return attempt.commit(forecast_bounds(day, part), entry, publish)


def seen(warehouse: Warehouse, columns: str = "part, speed") -> list[tuple]:
    return warehouse.query(f"SELECT {columns} FROM forecast.tiny ORDER BY 1", None)[1]


def test_a_version_that_is_not_published_changes_no_row_of_the_view(warehouse: Warehouse) -> None:
    assert commit(warehouse, "1", 50.0)
    before = seen(warehouse, "*")
    assert commit(warehouse, "2", 99.0, shown=False)
    assert seen(warehouse, "*") == before
    assert warehouse.query("SELECT count(*) FROM forecast_versions.tiny", 1)[1] == [(2,)]


def test_another_champion_takes_the_day_and_no_other_day(warehouse: Warehouse) -> None:
    for day in (DAY, TOMORROW):
        assert commit(warehouse, "1", 50.0, day=day)
    assert commit(warehouse, "2", 60.0, day=TOMORROW)
    assert seen(warehouse) == [("2012-03-28/m:1", 50.0), ("2012-03-29/m:2", 60.0)]
    # Back again, as after a rollback of the alias: the rows are there.
    with warehouse.connect() as conn:
        published.publish(conn, "tiny", "", TOMORROW, "2012-03-29/m:1", published.now(conn))
    assert seen(warehouse)[1] == ("2012-03-29/m:1", 50.0)


def test_each_target_has_a_version_of_its_own_and_the_view_its_column(warehouse: Warehouse) -> None:
    assert commit(warehouse, "1", 50.0)
    assert commit(warehouse, "1", 900.0, target="flow")
    assert commit(warehouse, "2", 60.0)
    assert seen(warehouse, "part, speed, flow, version") == [
        ("2012-03-28/m:2", 60.0, None, 2), ("2012-03-28/m:flow:1", None, 900.0, 1),
    ]  # fmt: skip


def test_what_is_published_names_its_gold_and_counts_while_its_row_of_the_ledger_does(
    warehouse: Warehouse,
) -> None:
    for day in (DAY, TOMORROW):
        assert commit(warehouse, "1", 50.0, day=day)
    with warehouse.connect() as conn:
        found = published.published(conn, "tiny", "")
        assert list(found) == [str(DAY), str(TOMORROW)]
        assert found[str(DAY)].gold == {"2012-03-28": "gold 2012-03-28"}
        assert found[str(DAY)].partition_id == "2012-03-28/m:1 50.0"
        assert list(published.published(conn, "tiny", "", TOMORROW)) == [str(TOMORROW)]
        assert published.published(conn, "tiny", "flow") == {}
        ledger.void(conn, "forecast", "tiny", "2012-03-28/m:1", "wrong")
        assert list(published.published(conn, "tiny", "")) == [str(TOMORROW)]


def test_killed_before_the_commit_the_version_before_stands(warehouse: Warehouse) -> None:
    assert commit(warehouse, "1", 50.0)

    def die() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    child = fork.Process(target=lambda: commit(warehouse, "2", 60.0, published_then=die))
    child.start()
    child.join(60)
    assert child.exitcode == -signal.SIGKILL
    assert seen(warehouse) == [("2012-03-28/m:1", 50.0)]
    assert commit(warehouse, "2", 60.0)
    assert seen(warehouse) == [("2012-03-28/m:2", 60.0)]


def test_two_that_publish_a_day_at_once_leave_one_whole(warehouse: Warehouse) -> None:
    versions = ("1", "2", "3")
    ready = fork.Barrier(len(versions))

    def run(version: str) -> None:
        assert commit(warehouse, version, float(version), staged=ready.wait)

    racers = [fork.Process(target=run, args=(version,)) for version in versions]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join(60)
        assert racer.exitcode == 0
    ((part, value),) = seen(warehouse)
    assert part == f"2012-03-28/m:{value:.0f}"
    assert warehouse.query("SELECT count(*) FROM forecast_versions.tiny", 1)[1] == [(3,)]
