"""`Insight` on gold of a tiny dataset: what it commits, and when it does so anew."""

from __future__ import annotations

from datetime import date, timedelta

import luigi
import numpy as np
import pyarrow as pa
import pytest
from process_state import forget

from luigi_traffic.commands import garbage
from luigi_traffic.commands.verify import verify
from luigi_traffic.errors import SettingsError
from luigi_traffic.project import current
from luigi_traffic.recipe import Input
from luigi_traffic.tasks.insight import Insight
from luigi_traffic.warehouse.binary import copy_in
from luigi_traffic.warehouse.commit import staging
from luigi_traffic.warehouse.ledger import LedgerRow, void
from luigi_traffic.warehouse.partitions import Bounds
from luigi_traffic.warehouse.tables import gold_table

LAST, DAYS = date(2024, 5, 2), 7
LINKS = ("a", "b", "c")


def fill_gold(home, day: date) -> None:
    """A day of three links, "c" with a jam on the morning of a workday; "b" is silent at night."""
    home.commit_day(day)
    slots = np.arange(288)
    speed = np.full((288, 3), 60.0) + np.random.default_rng(day.day).normal(0, 1, (288, 3))
    if day.weekday() < 5:
        speed[84:108, 2] = 20
    there = np.ones((288, 3), bool)
    there[:60, 1] = False
    slot, link = np.nonzero(there)
    table = gold_table("tiny", ["timestamp", "link_id", "speed", "n_obs"])
    times = np.datetime64(day, "us") + slots * np.timedelta64(5, "m")
    rows = pa.RecordBatch.from_pydict(
        {"timestamp": times[slot], "link_id": np.array(LINKS)[link], "speed": speed[slot, link],
         "n_obs": np.ones(len(slot), np.int32)}
    )  # fmt: skip
    with staging(current().warehouse, table, "x") as attempt:
        with current().warehouse.connect() as connection:
            copy_in(connection, attempt.name, table.columns, rows)
            # `commit_day` has written a row of the ledger without a row of gold.
            assert void(connection, "gold", "tiny", day.isoformat(), "a test")
        row = LedgerRow(
            "gold", "tiny", day.isoformat(), ids(day), {}, [Input("silver", day.isoformat(), "s")],
            len(slot), attempt.checksum(), {},
        )  # fmt: skip
        assert attempt.commit(Bounds.day(day), row)


def ids(day: date) -> str:
    from luigi_traffic.targets.chain import DayChain

    return DayChain(current(), "tiny", day).id("gold") or ""


def run(**parameters: int) -> bool:
    forget()
    return luigi.build(
        [Insight(LAST, dataset="tiny", **parameters)], local_scheduler=True, log_level="ERROR"
    )


def ledger() -> list[tuple]:
    return current().warehouse.query(
        "SELECT partition_id, part, rows, inputs FROM meta.ledger WHERE stage = 'insight'"
        " ORDER BY seq", None
    )[1]  # fmt: skip


def asked(columns: str, where: str) -> list[tuple]:
    return current().warehouse.query(
        f"SELECT {columns} FROM insight.tiny WHERE {where} ORDER BY link_id", None
    )[1]


@pytest.fixture
def home(empty, monkeypatch):
    monkeypatch.setenv("LUIGI_TRAFFIC__INSIGHT__MIN_DAYS", "3")
    for n in range(DAYS):
        if n != 2:  # gold does not have this day
            fill_gold(empty, LAST - timedelta(days=n))
    return empty


def test_insight_of_a_window_is_committed_once(home, monkeypatch) -> None:
    assert run(window_days=DAYS)
    ((made, part, rows, inputs),) = ledger()
    assert part == "2024-05-02" and rows == len(LINKS) * (3 + 1)
    assert [one["part"] for one in inputs] == [
        f"2024-0{day}" for day in ("4-26", "4-27", "4-28", "4-29", "5-01", "5-02")
    ]
    morning = asked("travel_time_index, level_of_service, days", "period = 'morning peak'")
    assert [row[1:] for row in morning] == [("A", 4), ("A", 4), ("E", 4)]
    assert morning[2][0] == pytest.approx(61 / 20, rel=0.01)
    assert asked("silent, state", "kind = 'health'") == [
        (0, "ok"), (6 * 60, "silent"), (0, "stuck")
    ]  # fmt: skip
    assert verify(current(), "tiny", deep=True, mark=False).rows == []

    assert run(window_days=DAYS)
    assert len(ledger()) == 1  # nothing was written
    # A shorter window is another one, of which too little is known.
    assert run(window_days=2)
    assert [row[0] == made for row in ledger()] == [True, False]
    assert asked("reason, congested", "period = 'all day'")[0] == (
        "days with a speed: 2, needed 3", None
    )  # fmt: skip
    monkeypatch.setenv("LUIGI_TRAFFIC__INSIGHT__CONGESTED_SHARE", "0.9")
    assert run(window_days=2)
    assert len(ledger()) == 3
    left = garbage.rows(current(), timedelta(0), dry_run=False)
    assert not [row for row in left if row["kind"] == "staged table"]


def test_a_dataset_without_speeds_and_an_empty_window_are_refused(empty, monkeypatch) -> None:
    forget()
    plugin = type(current().plugins.dataset("tiny"))
    with pytest.raises(SettingsError, match="--window-days -1: expected 1 or more"):
        Insight(LAST, dataset="tiny", window_days=-1).given()
    monkeypatch.setattr(plugin, "measures", {"flow": "veh/h"})
    with pytest.raises(SettingsError, match="the dataset tiny has flow only"):
        Insight(LAST, dataset="tiny").given()
