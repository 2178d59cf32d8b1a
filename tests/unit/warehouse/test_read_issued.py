"""Published forecasts as the array that an evaluation scores; what is not as committed is told."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest

from luigi_traffic.errors import DamageError, DataError, TransientError
from luigi_traffic.training.issued import Issued, Issuer, read_issued
from luigi_traffic.training.issued_live import FALLBACK, LIVE, read_live
from luigi_traffic.warehouse import published
from luigi_traffic.warehouse.binary import copy_in
from luigi_traffic.warehouse.commit import staging
from luigi_traffic.warehouse.connection import Warehouse
from luigi_traffic.warehouse.ledger import LedgerRow
from luigi_traffic.warehouse.live import live_forecast_table, replace_forecast
from luigi_traffic.warehouse.tables import forecast_bounds, forecast_part, forecast_table

DAY = date(2012, 3, 28)
BEFORE = DAY - timedelta(days=1)
HOURS = timedelta(hours=8)
TABLE = forecast_table("tiny")


def commit(warehouse: Warehouse, day: date, version: int, made: str = "") -> None:
    """Three issues a day of two steps for two links, each value saying its version and step."""
    part = forecast_part(day, "m", str(version))
    midnight = datetime(day.year, day.month, day.day)
    rows = [
        dict.fromkeys(column.name for column in TABLE.columns)
        | {
            "part": part, "model": "m", "issued_at": midnight + n * HOURS,
            "kind": "next" if n == 3 else "rolling", "step": step,
            "timestamp": midnight + (n + step - 1) * HOURS, "link_id": link,
            "speed": 100.0 * version + 10 * step + len(link), "version": version, "observed": 1,
        }
        for n in (1, 2, 3) for step in (1, 2) for link in ("bb", "a")
    ]  # fmt: skip
    with warehouse.connect() as conn:
        published.ensure(conn, TABLE)
    with staging(warehouse, TABLE, f"{day:%Y%m%d}") as attempt:
        with warehouse.connect() as conn:
            copy_in(conn, attempt.name, TABLE.columns, pa.Table.from_pylist(rows))
        row = LedgerRow(
            "forecast", "tiny", part, f"{part}{made}", {}, [], 12, attempt.checksum(), {}
        )
        assert attempt.commit(
            forecast_bounds(day, part), row,
            lambda conn: published.publish(conn, "tiny", "", day, part, published.now(conn)),
        )  # fmt: skip


def commit_live(warehouse: Warehouse, day: date, version: int) -> None:
    """At 8:00, two steps for two links; "a" by its profile."""
    table = live_forecast_table("tiny", "speed")
    at = datetime(day.year, day.month, day.day, 8)
    rows = [
        dict.fromkeys(column.name for column in table.columns)
        | {
            "part": f"{day}/m:{version}/live", "model": "m", "issued_at": at, "kind": "live",
            "step": step, "timestamp": at + (step - 1) * HOURS, "link_id": link,
            "speed": 100.0 * version + 10 * step + len(link), "version": version, "observed": 1,
            "age_seconds": 0, "fallback": link == "a",
        }
        for step in (1, 2) for link in ("bb", "a")
    ]  # fmt: skip
    with warehouse.connect() as conn:
        published.ensure(conn, TABLE, table)
    with warehouse.connect() as conn:
        replace_forecast(conn, table, "speed", pa.Table.from_pylist(rows), at, ())


def forecasts(warehouse: Warehouse) -> dict[date, published.Published]:
    with warehouse.connect() as conn:
        found = published.published(conn, "tiny", "")
    return {date.fromisoformat(day): one for day, one in found.items()}


def read(warehouse: Warehouse, of: dict[date, published.Published]) -> Issued:
    return read_issued(warehouse, "tiny", "speed", DAY, HOURS, of)


def test_what_is_for_the_day_stands_at_its_step_and_interval(warehouse: Warehouse) -> None:
    commit(warehouse, BEFORE, 1)
    commit(warehouse, DAY, 2)
    commit(warehouse, DAY + timedelta(days=1), 3)
    known = forecasts(warehouse)
    known.pop(DAY + timedelta(days=1))
    found = read(warehouse, known)
    assert (found.links, found.before, found.own) == (("a", "bb"), Issuer("m", 1), Issuer("m", 2))
    assert found.values[:, :, 0].tolist() == [[111, 211, 211], [121, 121, 221]]
    np.testing.assert_array_equal(found.values[:, :, 1], found.values[:, :, 0] + 1)
    alone = read(warehouse, {DAY: known[DAY]})
    assert alone.before is None
    assert np.isnan(alone.values[:, :, 0]).tolist() == [[True, False, False], [True, True, False]]


def test_what_was_replaced_or_lost_or_is_of_another_interval_is_not_scored(
    warehouse: Warehouse,
) -> None:
    commit(warehouse, DAY, 2)
    before = forecasts(warehouse)
    commit(warehouse, DAY, 2, "again")
    with pytest.raises(TransientError, match="2012-03-28/m:2 of tiny was replaced"):
        read(warehouse, before)
    of = forecasts(warehouse)
    with pytest.raises(DataError, match="made with another interval"):
        read_issued(warehouse, "tiny", "speed", DAY, timedelta(hours=12), of)
    with warehouse.connect() as conn, conn.cursor() as cursor:
        cursor.execute("DELETE FROM forecast_versions.tiny WHERE step = 2 AND link_id = 'a'")
    with pytest.raises(DamageError, match="2012-03-28/m:2: 9 rows of the 12 that were committed"):
        read(warehouse, of)
    assert forecasts(warehouse) == {}


def test_live_forecasts_stand_apart_from_profiles_with_who_issued_them(
    warehouse: Warehouse,
) -> None:
    assert read_live(warehouse, "tiny", "speed", DAY, HOURS) is None
    for n, version in ((-2, 1), (-1, 2), (0, 3), (1, 4)):
        commit_live(warehouse, DAY + timedelta(days=n), version)
    # Of three intervals a day, step 1 is for the second and step 2 for the third.
    found = read_live(warehouse, "tiny", "speed", DAY, HOURS)
    assert found is not None and found.issuers == {1: Issuer("m", 3)}
    nan = pytest.approx(np.nan, nan_ok=True)
    for kind, link, more in ((LIVE, "bb", 2), (FALLBACK, "a", 1)):
        links, values = found.by_kind[kind]
        assert links == (link,)
        assert values[:, :, 0].tolist() == [[nan, 310 + more, nan], [nan, nan, 320 + more]]
    assert read_live(warehouse, "tiny", "flow", DAY, HOURS) is None
