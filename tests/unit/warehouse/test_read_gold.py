"""Gold that was committed, read as a series: values, gaps, memory."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from luigi_traffic.errors import DamageError, DataError
from luigi_traffic.training.gold import read_gold
from luigi_traffic.training.series import Series
from luigi_traffic.warehouse import ledger
from luigi_traffic.warehouse.binary import copy_in
from luigi_traffic.warehouse.commit import staging
from luigi_traffic.warehouse.connection import Warehouse
from luigi_traffic.warehouse.ledger import LedgerRow
from luigi_traffic.warehouse.partitions import Bounds
from luigi_traffic.warehouse.tables import gold_table

DAY = date(2012, 3, 28)
HOUR = timedelta(hours=1)
COLUMNS = ["speed", "n_obs", "t1"]
TABLE = gold_table("tiny", ["timestamp", "link_id", *COLUMNS])
NAN = float("nan")

#: (day, hour, link) -> values of COLUMNS
Rows = Mapping[tuple[int, int, str], tuple[float | None, int | None, float | None]]


def commit(warehouse: Warehouse, day: date, rows: list[tuple]) -> str:
    names = ("timestamp", "link_id", *COLUMNS)
    types = (pa.timestamp("us"), pa.string(), pa.float64(), pa.int32(), pa.float64())
    table = pa.table(
        {
            name: pa.array([row[i] for row in rows], kind)
            for i, (name, kind) in enumerate(zip(names, types, strict=True))
        }
    )
    with staging(warehouse, TABLE, f"{day:%Y%m%d}") as attempt:
        with warehouse.connect() as conn:
            copy_in(conn, attempt.name, TABLE.columns, table)
        row = LedgerRow(
            "gold", "tiny", day.isoformat(), f"id-{day}", {}, [], len(rows), attempt.checksum(), {}
        )
        assert attempt.commit(Bounds.day(day), row)
    return f"id-{day}"


def read(warehouse: Warehouse, ids: dict[str, str], days: int, columns: list[str]) -> Series:
    return read_gold(
        warehouse, "tiny", ids, columns, DAY, DAY + timedelta(days=days), HOUR, columns[0]
    )


def empty(warehouse: Warehouse) -> None:
    with warehouse.connect() as conn, conn.cursor() as cursor:
        cursor.execute("TRUNCATE meta.ledger; DROP SCHEMA IF EXISTS gold CASCADE")


NUMBERS = st.none() | st.sampled_from([0.0, -0.0, NAN]) | st.floats(-1e30, 1e30)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    rows=st.dictionaries(
        st.tuples(
            st.sampled_from([0, 1, 3]),
            st.integers(0, 23),
            st.sampled_from(["1920161400", "7", "울산", "서울역-2", "a'b\\"]),
        ),
        st.tuples(NUMBERS, st.none() | st.integers(0, 99), NUMBERS),
        min_size=1,
        max_size=40,
    ),
    block=st.integers(1, 3000),
)
def test_every_value_is_in_its_cell(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch, rows: Rows, block: int
) -> None:
    monkeypatch.setattr("luigi_traffic.warehouse.binary.BLOCK_BYTES", block)
    empty(warehouse)
    ids = {}
    for n in (0, 1, 3):  # day 2 is absent
        day = DAY + timedelta(days=n)
        midnight = datetime.combine(day, datetime.min.time())
        found = [(midnight + h * HOUR, link, *v) for (d, h, link), v in rows.items() if d == n]
        ids[day.isoformat()] = commit(warehouse, day, found)
    links = tuple(sorted({link for _, _, link in rows}))
    expected = np.full((96, len(links), 3), NAN, np.float32)
    for (day, hour, link), values in rows.items():
        for index, value in enumerate(values):
            expected[24 * day + hour, links.index(link), index] = NAN if value is None else value
    series = read(warehouse, ids, 4, COLUMNS)
    assert (series.links, series.columns) == (links, tuple(COLUMNS))
    assert (series.start, series.interval) == (np.datetime64(DAY, "us"), HOUR)
    assert series.values.flags.c_contiguous
    np.testing.assert_array_equal(series.values, expected)
    real = ~np.isnan(expected)
    np.testing.assert_array_equal(np.signbit(series.values[real]), np.signbit(expected[real]))
    fewer = read(warehouse, ids, 4, ["t1", "speed"])
    np.testing.assert_array_equal(fewer.values, expected[:, :, [2, 0]])


def test_days_that_were_not_asked_for_are_not_read(warehouse: Warehouse) -> None:
    ids = {}
    for n in range(3):
        day = DAY + timedelta(days=n)
        row = (datetime.combine(day, datetime.min.time()), f"l{n}", 1.0, 1, None)
        ids[day.isoformat()] = commit(warehouse, day, [row])
    del ids["2012-03-29"]
    assert read(warehouse, ids, 3, ["speed"]).links == ("l0", "l2")
    with pytest.raises(DataError, match="no row from 2012-03-28"):
        read(warehouse, {}, 3, ["speed"])


def test_a_row_off_the_grid_is_an_error(warehouse: Warehouse) -> None:
    midnight = datetime.combine(DAY, datetime.min.time())
    rows = [(midnight + timedelta(minutes=n), "l", 1.0, 1, None) for n in (0, 5)]
    ids = {DAY.isoformat(): commit(warehouse, DAY, rows)}
    with pytest.raises(DataError, match=r"1 rows lie outside.*2012-03-28T00:05"):
        read(warehouse, ids, 1, ["speed"])
    assert read_gold(
        warehouse, "tiny", ids, ["speed"], DAY, DAY + timedelta(1), timedelta(minutes=5)
    ).actual[:2].tolist() == [[1.0], [1.0]]  # the connection goes on


def test_all_damaged_days_are_named_and_void(warehouse: Warehouse) -> None:
    ids = {}
    for n in range(3):
        day = DAY + timedelta(days=n)
        row = (datetime.combine(day, datetime.min.time()), "l", 1.0, 1, None)
        ids[day.isoformat()] = commit(warehouse, day, [row])
    with warehouse.connect() as conn, conn.cursor() as cursor:
        cursor.execute("DELETE FROM gold.tiny WHERE \"timestamp\" <> '2012-03-29'")
    with pytest.raises(DamageError, match=r"2012-03-28: 0 rows of the 1.*2012-03-30: 0 rows"):
        read(warehouse, ids, 3, ["speed"])
    with warehouse.connect() as conn:
        assert list(ledger.current_ids(conn, "gold", "tiny")) == ["2012-03-29"]


LINKS, DAYS, MOST_BYTES_A_ROW = 1000, 3, 60


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="needs Linux's /proc")
def test_reading_takes_few_bytes_a_row(warehouse: Warehouse) -> None:
    ids = {}
    for n in range(DAYS):
        day = DAY + timedelta(days=n)
        with staging(warehouse, TABLE, f"{day:%Y%m%d}") as attempt:
            with warehouse.connect() as conn, conn.cursor() as cursor:
                cursor.execute(
                    f"INSERT INTO {attempt.name} SELECT timestamp '{day}' + s * interval '5 min',"
                    " lpad(l::text, 10, '0'), l + s, 1, CASE WHEN l % 3 > 0 THEN l END"
                    f" FROM generate_series(0, 287) s, generate_series(1, {LINKS}) l"
                )
            row = LedgerRow(
                "gold", "tiny", f"{day}", f"id-{day}", {}, [], 288 * LINKS, attempt.checksum(), {}
            )
            assert attempt.commit(Bounds.day(day), row)
        ids[day.isoformat()] = f"id-{day}"
    answers = get_context("fork").Queue()

    def memory(field: str) -> int:
        status = Path("/proc/self/status").read_text()
        return int(status.split(f"{field}:")[1].split()[0]) * 1024

    def child() -> None:
        first = {DAY.isoformat(): ids[DAY.isoformat()]}
        read_gold(warehouse, "tiny", first, COLUMNS, DAY, DAY + timedelta(1), timedelta(minutes=5))
        Path("/proc/self/clear_refs").write_text("5")  # the peak is counted from here
        before = memory("VmRSS")
        end = DAY + timedelta(days=DAYS)
        series = read_gold(warehouse, "tiny", ids, COLUMNS, DAY, end, timedelta(minutes=5))
        answers.put((memory("VmHWM") - before, math.isnan(series.column("t1")[5, 2])))

    process = get_context("fork").Process(target=child)
    process.start()
    grown, unknown = answers.get(timeout=120)
    process.join(30)
    assert process.exitcode == 0
    assert unknown
    rows = DAYS * 288 * LINKS
    assert 0 < grown < rows * MOST_BYTES_A_ROW, f"{grown / rows:.0f} B a row"
