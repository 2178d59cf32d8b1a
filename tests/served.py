"""A warehouse with something of everything that `luigi-traffic serve` reads, made without a run.

Dataset `tiny`: gold of 2024-05-31, live rows and a live forecast of the day after, the published
forecast of the first day, what `Insight` has computed, and two versions of the links.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pyarrow as pa
import shapely

from luigi_traffic.warehouse import live, published, ticks
from luigi_traffic.warehouse.binary import copy_in
from luigi_traffic.warehouse.commit import staging
from luigi_traffic.warehouse.connection import Warehouse
from luigi_traffic.warehouse.insight_table import insight_table
from luigi_traffic.warehouse.ledger import LedgerRow
from luigi_traffic.warehouse.links import IMPORTED, replace_version
from luigi_traffic.warehouse.partitions import Bounds, PartitionedTable
from luigi_traffic.warehouse.tables import forecast_bounds, forecast_table, gold_table

DATASET = "tiny"
GOLD_DAY, TODAY = date(2024, 5, 31), date(2024, 6, 1)
FIVE = timedelta(minutes=5)
MIDNIGHT = datetime(2024, 6, 1)
#: The newest live interval, and when the forecast after it was issued.
NEWEST = MIDNIGHT + timedelta(hours=8)
ISSUED = NEWEST + FIVE
#: A link's id may be anything: a comma, a quote, Hangul, a slash.
LINKS = ("1000,1", "1001\"'", "강남/1002", "1003")
STEPS = 12


def fill(warehouse: Warehouse, links: Sequence[str] = LINKS, intervals: int = 3) -> None:
    """Make all of it; of gold the last `intervals` of the day."""
    gold_times = [MIDNIGHT - n * FIVE for n in range(intervals, 0, -1)]
    names = ["timestamp", "link_id", "speed", "n_obs"]
    commit(warehouse, gold_table(DATASET, names), "gold", GOLD_DAY, observed(links, gold_times))
    _live(warehouse, links)
    _forecasts(warehouse, links)
    _insight(warehouse, links)
    _links(warehouse, links)


def commit(
    warehouse: Warehouse, table: PartitionedTable, stage: str, day: date, rows: pa.Table
) -> None:
    """A partition of a day, by the protocol of the warehouse."""
    with staging(warehouse, table, f"{day:%Y%m%d}") as attempt:
        columns = [column for column in table.columns if column.name in rows.column_names]
        with warehouse.connect() as conn:
            copy_in(conn, attempt.name, columns, rows)
        row = LedgerRow(
            stage, table.name, day.isoformat(), f"{stage} {day}", {}, [], len(rows),
            attempt.checksum(), {},
        )  # fmt: skip
        assert attempt.commit(Bounds.day(day), row)


def observed(links: Sequence[str], times: Sequence[datetime]) -> pa.Table:
    """Speeds from 20.5 km/h on, one more for each link; that of the second link is missing once."""
    speed = np.tile(20.5 + np.arange(len(links)), len(times))
    speed[1] = np.nan
    return pa.table({
        "timestamp": pa.array(np.repeat(np.array(times, "datetime64[us]"), len(links))),
        "link_id": pa.array(list(links) * len(times)),
        "speed": pa.array(speed),
        "n_obs": pa.array(np.full(len(speed), 2, np.int32)),
    })  # fmt: skip


def forecast_rows(
    links: Sequence[str], issued: datetime, kind: str, part: str, steps: int = STEPS
) -> pa.Table:
    """Speeds of the step's number, plus an eighth for each link (exact as `real`)."""
    count, number = len(links), len(links) * steps
    step = np.repeat(np.arange(1, steps + 1, dtype=np.int16), count)
    speed = (step + np.tile(np.arange(count) % 8, steps) / 8).astype(np.float32)
    return pa.table({
        "part": pa.array([part] * number), "model": pa.array(["m"] * number),
        "issued_at": pa.array(np.full(number, issued, "datetime64[us]")),
        "kind": pa.array([kind] * number), "step": pa.array(step),
        "timestamp": pa.array(np.datetime64(issued) + (step - 1) * np.timedelta64(300, "s"))
        .cast(pa.timestamp("us")),
        "link_id": pa.array(list(links) * steps), "speed": pa.array(speed),
        "version": pa.array(np.full(number, 7, np.int32)),
        "observed": pa.array(np.full(number, 12, np.int16)),
        "lower": pa.array(speed - 1), "upper": pa.array(speed + 1),
    })  # fmt: skip


def _live(warehouse: Warehouse, links: Sequence[str]) -> None:
    rows = observed(links, [NEWEST - FIVE, NEWEST])
    table = live.live_table(DATASET, rows.column_names)
    with warehouse.connect() as conn:
        live.open_day(conn, table, TODAY)
    with warehouse.connect() as conn:
        live.upsert(conn, table, TODAY, rows, datetime(2024, 6, 1, tzinfo=UTC))


def issue(warehouse: Warehouse, links: Sequence[str], issued: datetime) -> None:
    """What a tick does: a live forecast, and its row of `meta.ticks`."""
    part = f"{issued:%Y-%m-%d}/m:7/live"
    rows = forecast_rows(links, issued, "live", part)
    rows = rows.append_column("age_seconds", pa.array(np.full(len(rows), 300, np.int32)))
    rows = rows.append_column("fallback", pa.array(np.arange(len(rows)) % len(links) == 2))
    table = live.live_forecast_table(DATASET, "speed")
    with warehouse.connect() as conn:
        published.ensure(conn, forecast_table(DATASET), table)
    with warehouse.connect() as conn:
        live.open_day(conn, table, issued.date())
    with warehouse.connect() as conn:
        live.replace_forecast(conn, table, "speed", rows, issued, [])
        at = issued.replace(tzinfo=UTC)
        ticks.write(conn, ticks.Tick(DATASET, "", at, ticks.DONE, forecast_at=at, issued_at=issued))


def _forecasts(warehouse: Warehouse, links: Sequence[str]) -> None:
    table, part = forecast_table(DATASET), f"{GOLD_DAY}/m:7"
    rolling = MIDNIGHT - timedelta(hours=1)
    rows = pa.concat_tables([
        forecast_rows(links, MIDNIGHT, "next", part),
        forecast_rows(links, rolling, "rolling", part),
    ])  # fmt: skip
    with warehouse.connect() as conn:
        published.ensure(conn, table)
    with staging(warehouse, table, "x") as attempt:
        with warehouse.connect() as conn:
            copy_in(conn, attempt.name, table.columns, rows)
        row = LedgerRow(
            "forecast", DATASET, part, "forecast", {}, [], len(rows), attempt.checksum(), {}
        )
        assert attempt.commit(
            forecast_bounds(GOLD_DAY, part), row,
            lambda conn: published.publish(
                conn, DATASET, "", GOLD_DAY, part, published.now(conn)
            ),
        )  # fmt: skip
    issue(warehouse, links, ISSUED)


def _insight(warehouse: Warehouse, links: Sequence[str]) -> None:
    rows = [
        {"kind": "period", "link_id": link, "period": period, "free_flow": 60.0,
         "travel_time_index": 1.25, "days": 14}
        for link in links for period in ("all day", "morning peak")
    ]  # fmt: skip
    rows += [
        {"kind": "health", "link_id": link, "period": "", "intervals": 288, "state": "ok"}
        for link in links
    ]
    rows += [
        {"kind": "week", "link_id": link, "period": "", "speeds": "{50.5,NULL,49}"}
        for link in links
    ]
    table = insight_table(DATASET)
    types = {
        "text": pa.string(), "date": pa.date32(), "integer": pa.int32(),
        "double precision": pa.float64(),
    }  # fmt: skip
    arrays = {
        column.name: pa.array(
            [{"day": GOLD_DAY, **row}.get(column.name) for row in rows], types[column.type]
        )
        for column in table.columns
    }
    commit(warehouse, table, "insight", GOLD_DAY, pa.table(arrays))


def _links(warehouse: Warehouse, links: Sequence[str]) -> None:
    """Of two dates; the last link has no geometry, and all have another name since the second."""
    count = len(links)
    lines = [
        shapely.LineString([(127.0 + n / 100, 37.5), (127.01 + n / 100, 37.51)]).wkb
        for n in range(count - 1)
    ]
    for first, name in ((date(2024, 1, 1), "old"), (TODAY, "new")):
        given = {
            "row": range(1, count + 1), "link_id": links, "name": [name] * count,
            "length_m": [120.5] * count, "speed_limit": [60.0] * count,
            "geometry": [*lines, None],
        }  # fmt: skip
        nothing = {column.name: [None] * count for column in IMPORTED if column.name not in given}
        rows = pa.RecordBatch.from_pydict({**given, **nothing})
        with warehouse.connect() as conn:
            replace_version(conn, DATASET, first, "a.shp", [rows])
