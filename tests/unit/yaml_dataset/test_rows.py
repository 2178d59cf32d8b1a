"""Lines of a declared table through each engine: each a row, typed or rejected with its reason."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from declared_tables import declared
from frames import rows_of

from luigi_traffic.api.dataset import RawDay
from luigi_traffic.compute.quality import bronze_aggregates, bronze_counts, judge_bronze
from luigi_traffic.ingest.download import ingest
from luigi_traffic.lake.catalog import Catalog
from luigi_traffic.lake.local import LocalStore
from luigi_traffic.settings.keys import IngestSettings

pytestmark = pytest.mark.spark
DAY = date(2024, 1, 1)
HEAD = "time,sensor,v"


@pytest.fixture
def raw(tmp_path: Path) -> Callable[..., RawDay]:
    """What bronze gets of those data lines; `header` None: none."""

    def make(*lines: str, header: str | None = HEAD, end: str = "\n") -> RawDay:
        file = tmp_path / "piece.csv"
        file.write_bytes("".join(line + end for line in lines).encode())
        return RawDay(DAY, (str(file),), header, lines[0] if lines else "", len(lines))

    return make


def verdicts(engine, day: RawDay, **table: Any) -> list[tuple]:
    """(timestamp, link, speed, reason) in the order of the file."""
    rows = rows_of(engine, declared(**table).bronze(engine.session(), day))
    return [(r.timestamp, r.link_id, r.speed, r.reject_reason) for r in rows]


def at(hour: int, minute: int = 0) -> datetime:
    return datetime(2024, 1, 1, hour, minute)


GOOD = [
    ("2024-01-01 00:05,a1,57.25", (at(0, 5), "a1", 57.25)),
    ("2024-01-01T00:05:00,a1,0", (at(0, 5), "a1", 0.0)),
    (" 2024-01-01 00:05 , 강남대로 1 , 150 ", (at(0, 5), "강남대로 1", 150.0)),
    ('"2024-01-01 00:05","을지로, 서","5e1"', (at(0, 5), "을지로, 서", 50.0)),
    ('2024-01-01 00:05,"the ""old"" road",50', (at(0, 5), 'the "old" road', 50.0)),
    ("2024-01-01 00:05,it's 'x' \\n,50", (at(0, 5), "it's 'x' \\n", 50.0)),
    ('2024-01-01 00:05, "a b" ,50', (at(0, 5), "a b", 50.0)),
    # An offset makes it an instant, told in the dataset's own time.
    ("2023-12-31T20:05:00Z,a,50", (at(5, 5), "a", 50.0)),
    ("2023-12-31T20:05Z,a,50", (at(5, 5), "a", 50.0)),
    ("2024-01-01 00:05 -0130,a,50", (at(10, 35), "a", 50.0)),
    ("2024-01-01T00:05:00.000000000+09,a,50", (at(0, 5), "a", 50.0)),
    ("2024-01-01 01:05:00.5 +01:00,a,50", (datetime(2024, 1, 1, 9, 5, 0, 500000), "a", 50.0)),
]
BAD = [
    ("", "blank line"),
    ("   ", "blank line"),
    ('2024-01-01 00:05,"a,50', "quote not closed"),
    ("2024-01-01 00:05,a", "wrong number of columns"),
    ("2024-01-01 00:05,a,50,1", "wrong number of columns"),
    ("total", "wrong number of columns"),
    ("yesterday,a,50", "bad time"),
    ("2024-01-01,a,50", "bad time"),
    ("2024-01-01 00:05 Asia/Seoul,a,50", "bad time"),
    ("2024-01-01 24:05,a,50", "bad time"),
    ("2024-02-30 00:05,a,50", "bad time"),
    (",a,50", "bad time"),
    ("2024-01-02 00:00,a,50", "other day"),
    ("2023-12-31 23:55,a,50", "other day"),
    ("2024-01-01T20:00:00Z,a,50", "other day"),
    ("2024-01-01 00:05,,50", "bad link id"),
    ("2024-01-01 00:05,\"\",50", "bad link id"),
    (f"2024-01-01 00:05,{'x' * 256},50", "bad link id"),
    ("2024-01-01 00:05,a,", "no observation"),
    ("2024-01-01 00:05,a,NaN", "no observation"),
    ("2024-01-01 00:05,a,fast", "bad speed"),
    ("2024-01-01 00:05,a,-0.5", "implausible speed"),
    ("2024-01-01 00:05,a,150.01", "implausible speed"),
    ("2024-01-01 00:05,a,Infinity", "bad speed"),
]  # fmt: skip


@pytest.mark.parametrize("end", ["\n", "\r\n"], ids=["LF", "CRLF"])
def test_every_line_is_one_row(engine, raw, end: str) -> None:
    lines = [*[line for line, _ in GOOD], *[line for line, _ in BAD]]
    dataset = declared()
    frame = dataset.bronze(engine.session(), raw(*lines, end=end))
    counted, values = engine.counted(frame, bronze_aggregates(dataset.reject_reasons))
    found = rows_of(engine, counted)
    assert [(r.timestamp, r.link_id, r.speed) for r in found[: len(GOOD)]] == [w for _, w in GOOD]
    assert [r.reject_reason for r in found] == [None] * len(GOOD) + [reason for _, reason in BAD]
    assert [r.raw_line for r in found] == [None] * len(GOOD) + [line for line, _ in BAD]
    counts = bronze_counts(values(), dataset.reject_reasons)
    assert "other" not in counts.rejected
    judge_bronze(counts, len(lines), 0.9)


def test_positions_a_delimiter_and_a_decimal_comma(engine, raw) -> None:
    day = raw("57,5;x;01.01.2024;8:05;a;b", "58;;01.01.2024;23:55;c;d", header=None)
    table = {
        "header": False, "delimiter": ";", "decimal": ",", "time_format": "dd.MM.yyyy H:mm",
        "columns": {"timestamp": None, "date": 2, "time": 3, "link_id": 4, "speed": 0},
    }  # fmt: skip
    assert verdicts(engine, day, **table) == [
        (at(8, 5), "a", 57.5, None), (at(23, 55), "c", 58.0, None),
    ]  # fmt: skip


def test_tabs_and_quotes(engine, raw) -> None:
    day = raw('2024-01-01 08:05\t"a\tb"\t50', header=HEAD.replace(",", "\t"))
    assert verdicts(engine, day, delimiter="tab") == [(at(8, 5), "a\tb", 50.0, None)]


@pytest.mark.parametrize(
    ("time_format", "text", "moment"),
    [
        ("unix", "1704064200", at(8, 10)),
        ("unix_ms", "1704064200000", at(8, 10)),
        ("unix", "soon", None),
        ("unix", "1e30", None),
        ("yyyyMMddHHmm", "202401010810", at(8, 10)),
        ("yyyyMMddHHmm", "20240101081", None),
        ("yyyy년 MM월 dd일 HH시 mm분", "2024년 01월 01일 08시 10분", at(8, 10)),
        ("M/d/yy h:mm a", "1/1/24 8:10 AM", at(8, 10)),
        ("yyyy-MM-dd'T'HH:mm:ss.SSS", "2024-01-01T08:10:00.000", at(8, 10)),
    ],
)
def test_time_formats_agree_with_the_day_reader(engine, raw, time_format, text, moment) -> None:
    from luigi_traffic.yaml_dataset.times import Moment

    ((found, _, _, reason),) = verdicts(engine, raw(f"{text},a,50"), time_format=time_format)
    assert found == moment
    assert reason == (None if moment else "bad time")
    day = DAY if moment or "2024" in text else None  # a day alone is read too
    assert Moment(time_format, "Asia/Seoul").day_reader()(text) == day


def test_missing_values_by_text_and_by_number(engine, raw) -> None:
    texts = ["-1", "-1.0", "-1.00e0", "k.A.", "K.a.", "", "0"]
    day = raw(*[f"2024-01-01 08:05,a,{text}" for text in texts])
    found = [reason for *_, reason in verdicts(engine, day, missing=[-1, "k.A."])]
    assert found == [*["no observation"] * 5, "bad speed", None]


def test_flow_occupancy_and_extra_columns(engine, raw) -> None:
    day = raw(
        "2024-01-01 08:05,a,50,10,0.5,-3", "2024-01-01 08:05,a,52,,,", "2024-01-01 08:05,b,52,x,,",
        "2024-01-01 08:05,b,52,,-1,", "2024-01-01 08:05,b,52,,,1e300", header=f"{HEAD},q,o,t",
    )  # fmt: skip
    dataset = declared(columns={"flow": "q", "occupancy": "o", "extra": {"celsius": "t"}})
    bronze = dataset.bronze(engine.session(), day)
    rows = rows_of(engine, bronze)
    assert [(r.flow, r.occupancy, r.celsius) for r in rows[:2]] == [
        (10.0, 0.5, -3.0), (None, None, None),
    ]  # fmt: skip
    assert [r.reject_reason for r in rows] == [
        None, None, "bad flow", "bad occupancy", "bad celsius",
    ]  # fmt: skip
    (row,) = engine.collect(dataset.silver(bronze.where("reject_reason IS NULL")))
    assert row == {
        "timestamp": at(8), "link_id": "a", "speed": 51.0, "flow": 10.0, "occupancy": 0.5,
        "celsius": -3.0, "n_obs": 2, "n_speed": 2, "n_flow": 1, "n_occupancy": 1,
    }  # fmt: skip


def test_a_number_that_nobody_measured_in_an_interval_is_null(engine, raw) -> None:
    dataset = declared(columns={"flow": "q"})
    day = raw("2024-01-01 08:05,a,50,", header=f"{HEAD},q")
    (row,) = rows_of(engine, dataset.silver(dataset.bronze(engine.session(), day)))
    assert (row.speed, row.flow) == (50.0, None)


@pytest.mark.parametrize("name", ["{date}.parquet", "{year}.parquet"])
def test_a_parquet_file_through_raw_to_silver(engine, tmp_path, name: str) -> None:
    # Instants in UTC, as pandas writes them: the day is the one of Seoul.
    start = datetime(2023, 12, 31, 15, tzinfo=UTC)
    hours = [start + timedelta(hours=n) for n in range(24 if "date" in name else 48)]
    table = pa.table(
        {
            "t": pa.array(hours, pa.timestamp("ns", tz="UTC")),
            "road": ['을지로, "동"'] * len(hours),
            "kmh": [float(n) for n in range(len(hours))],
            "q": pa.array([None, *range(1, len(hours))], pa.int64()),
        }
    )
    pq.write_table(table, tmp_path / name.format(date="20240101", year="2024"), row_group_size=7)
    dataset = declared(
        glob=f"{tmp_path}/{name}", format="parquet", interval="2 h", timezone="Asia/Seoul",
        columns={"timestamp": "t", "link_id": "road", "speed": "kmh", "flow": "q"},
    )  # fmt: skip
    store = LocalStore(tmp_path / "lake")
    got = ingest(
        dataset,
        DAY,
        Catalog(store),
        IngestSettings(settle_seconds=0),
        tmp_path / "spool",
        lambda *_: None,
    )
    paths = tuple(engine.address(store, file.key) for file in got.files)
    raw = RawDay(DAY, paths, got.header, got.first_line, got.lines)
    bronze = dataset.bronze(engine.session(), raw)
    assert [r.reject_reason for r in rows_of(engine, bronze)] == [None] * 24
    rows = sorted(rows_of(engine, dataset.silver(bronze)), key=lambda row: row.timestamp)
    assert [(r.timestamp, r.link_id, r.speed, r.n_obs) for r in rows] == [
        (at(n), '을지로, "동"', n + 0.5, 2) for n in range(0, 24, 2)
    ]
    assert [r.flow for r in rows] == [1.0, *[n + 0.5 for n in range(2, 24, 2)]]


@pytest.mark.parametrize(
    ("interval", "start"),
    [("5 min", at(23, 55)), ("15 min", at(23, 45)), ("1 h", at(23)), ("30 s", at(23, 59)),
     ("24 h", at(0))],
)  # fmt: skip
def test_rows_fall_into_the_interval_that_they_are_in(engine, raw, interval, start) -> None:
    dataset = declared(interval=interval)
    bronze = dataset.bronze(engine.session(), raw("2024-01-01 23:59:29,a,50"))
    rows = rows_of(engine, dataset.silver(bronze))
    assert [r.timestamp for r in rows] == [start]
    assert start + dataset.interval > at(23, 59) + timedelta(seconds=29)
