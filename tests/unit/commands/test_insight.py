"""`Insight` on gold of a tiny dataset: what it commits, and when it does so anew."""

from __future__ import annotations

import io
from datetime import date, timedelta

import luigi
import numpy as np
import pyarrow as pa
import pytest
from process_state import forget
from rich.console import Console

from luigi_traffic.commands import garbage, insight, insight_page
from luigi_traffic.commands.verify import verify
from luigi_traffic.errors import DataError, SettingsError
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
def home(cleared, monkeypatch):
    monkeypatch.setenv("LUIGI_TRAFFIC__INSIGHT__MIN_DAYS", "3")
    for n in range(DAYS):
        if n != 2:  # gold does not have this day
            fill_gold(cleared, LAST - timedelta(days=n))
    return cleared


def test_insight_of_a_window_is_committed_once(home, monkeypatch) -> None:
    assert run(window_days=DAYS)
    ((made, part, rows, inputs),) = ledger()
    assert part == "2024-05-02" and rows == len(LINKS) * (3 + 1 + 1)
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
    shown(home.path.parent / "its.csv")

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


def shown(file) -> None:
    """What the commands say of it."""
    window = insight.Window.of(current(), "tiny", None)
    rows = insight.rows(window, "period", None, 2)
    assert [(row["link_id"], row["period"]) for row in rows] == [
        ("c", "all day"), ("c", "morning peak")  # the jam is more than 5 % of all day
    ]  # fmt: skip
    (row,) = insight.rows(window, "period", "evening peak", 1)
    assert row["period"] == "evening peak" and row["travel_time_index"] < 1.1
    worst = insight.rows(window, "health", None, None)
    assert [(row["link_id"], row["state"]) for row in worst][:2] == [
        ("b", "silent"), ("c", "stuck")
    ]  # fmt: skip
    # "b" is slower than "c" never, and nothing follows "c".
    assert insight.rows(window, "bottleneck", None, None) == []
    for what in ("period", "health", "bottleneck"):
        console = Console(width=200, file=io.StringIO())
        insight.draw(window, what, insight.rows(window, what, None, None), console)
        said = console.file.getvalue()
        assert "6 days of gold from 2024-04-26 to 2024-05-02, speeds in km/h" in said
    assert insight.write_valhalla(window, file) == (3, [])
    page = file.with_suffix(".html")
    insight_page.write(window, page, 5)
    html = page.read_text(encoding="utf-8")
    assert html.count("<svg") == 1 and html.count("<h2>") == 4 and "morning peak" in html
    assert "6 days of gold. Of the links below, 2 have a sensor that is not ok" in html
    head, first, *_, last = file.read_text().splitlines()
    assert head == "edge_id,freeflow_speed,constrained_speed,historical_speeds"
    assert first.startswith("a,60,60,") and len(first) == 8 + 536 and last.startswith("c,60,60,")
    with pytest.raises(SettingsError, match="--period 'evening peek' is not computed"):
        insight.rows(window, "period", "evening peek", None)
    with pytest.raises(DataError, match="nothing is computed from the speeds of tiny to"):
        insight.Window.of(current(), "tiny", date(2024, 5, 1))


def test_a_dataset_without_speeds_and_an_empty_window_are_refused(cleared, monkeypatch) -> None:
    forget()
    plugin = type(current().plugins.dataset("tiny"))
    with pytest.raises(SettingsError, match="--window-days -1: expected 1 or more"):
        Insight(LAST, dataset="tiny", window_days=-1).given()
    monkeypatch.setattr(plugin, "measures", {"flow": "veh/h"})
    with pytest.raises(SettingsError, match="the dataset tiny has flow only"):
        Insight(LAST, dataset="tiny").given()
