"""Kinds of tables that people have, from the bytes of the file to the values of silver."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from declared_tables import declared

from luigi_traffic.api.dataset import NO_OBSERVATION, RawDay
from luigi_traffic.errors import DataError

pytestmark = pytest.mark.spark
DAY = date(2023, 6, 1)


@pytest.fixture
def silver(spark, tmp_path: Path) -> Callable[..., tuple[list[dict], dict[str, int]]]:
    """Silver's rows, and bronze's reasons with their counts, of a file of that text."""

    def make(text: str, day: date = DAY, name: str = "{date}.csv", **table: Any) -> tuple:
        file = tmp_path / name.format(date=f"{day:%Y%m%d}", year=day.year)
        file.write_text(text, encoding="utf-8")
        dataset = declared(glob=str(tmp_path / name), **table)
        data = b""
        with dataset.source().open(day) as streams:
            for stream in streams:
                looked = stream.edit or stream.check
                data += b"".join(looked(stream.chunks))
        header, *lines = data.decode().splitlines()
        assert dataset.header(header)
        piece = tmp_path / "piece"
        piece.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
        bronze = dataset.bronze(spark, RawDay(day, (str(piece),), header, lines[0], len(lines)))
        counts: dict[str, int] = {}
        for row in bronze.select("reject_reason").collect():
            counts[row.reject_reason or "good"] = counts.get(row.reject_reason or "good", 0) + 1
        assert sum(counts.values()) == len(lines)
        good = bronze.where("reject_reason IS NULL").drop("reject_reason", "raw_line")
        rows = [r.asDict() for r in dataset.silver(good).orderBy("link_id", "timestamp").collect()]
        return rows, counts

    return make


def test_a_row_without_a_speed_keeps_its_flow(silver) -> None:
    """Detectors a lane: -1 is no data, and a speed of 0 means that nobody passed."""
    text = "time,sensor,v,q,o\n" + "".join(
        f"2023-06-01 00:00:{second:02d},{row}\n"
        for second in (0, 30)
        for row in ("a,0,0,0", "a,90,4,8", "a,100,2,4", "b,-1,-1,-1")
    )
    rows, counts = silver(
        text,
        columns={"flow": "q", "occupancy": "o"},
        missing={"speed": ["", -1, 0], "flow": ["", -1], "occupancy": ["", -1]},
    )
    assert rows == [{
        "timestamp": datetime(2023, 6, 1), "link_id": "a",
        "speed": 95.0, "flow": 2.0, "occupancy": 4.0,
        "n_obs": 6, "n_speed": 4, "n_flow": 6, "n_occupancy": 6,
    }]  # fmt: skip
    assert counts == {"good": 6, NO_OBSERVATION: 2}


TIMES = {
    "Hmm": [(h * 100 + m, h, m) for h in range(24) for m in (0, 5, 55)],
    "Hmmss": [(h * 10000 + m * 100, h, m) for h in range(24) for m in (0, 5, 55)],
    "HHmm": [(f"{h:02d}{m:02d}", h, m) for h in range(24) for m in (0, 55)],
    "H:mm": [(f"{h}:{m:02d}", h, m) for h in range(24) for m in (0, 55)],
}


@pytest.mark.parametrize("name", ["{date}.csv", "{year}.csv"])
@pytest.mark.parametrize("clock", TIMES)
def test_times_without_zeros_in_front(silver, clock: str, name: str) -> None:
    lines = [f"20230601,{text},a,{h}\n" for text, h, _ in TIMES[clock]]
    other = ["20230602,5,a,99\n"] if name == "{year}.csv" else []
    rows, counts = silver(
        "".join(["day,time,sensor,v\n", *lines, *other]),
        name=name,
        time_format=f"yyyyMMdd {clock}",
        interval="5 min",
        columns={"timestamp": None, "date": "day", "time": "time"},
    )
    assert counts == {"good": len(lines)}
    assert [(r["timestamp"].hour, r["timestamp"].minute, r["speed"]) for r in rows] == [
        (h, m, float(h)) for _, h, m in TIMES[clock]
    ]


@pytest.mark.parametrize("name", ["{date}.csv", "{year}.csv"])
def test_hours_that_end(silver, name: str) -> None:
    """Hours 01 to 24, each with the speed of the hour that ends then."""
    lines = [f"20230601,{h:02d},a,{h}\n" for h in range(1, 25)]
    more = (
        [f"2023{d},{h:02d},a,99\n" for d in ("0531", "0602") for h in range(1, 25)]
        if name == "{year}.csv"
        else []
    )
    rows, counts = silver(
        "".join(["day,time,sensor,v\n", *lines, *more]),
        name=name, time_format="yyyyMMdd HH", interval="1 h", stamp="end",
        columns={"timestamp": None, "date": "day", "time": "time"},
    )  # fmt: skip
    assert counts == {"good": 24}
    assert [(r["timestamp"].hour, r["speed"]) for r in rows] == [(h, h + 1.0) for h in range(24)]


MIDNIGHTS = [
    (None, "2023-05-31 24:00"), (None, "2023-05-31T24:00:00.0"), ("yyyyMMdd HHmm", "20230531 2400"),
    ("yyyyMMdd Hmm", "20230531 2400"), ("d/M/yy H:mm:ss", "31/5/23 24:00:00"),
]  # fmt: skip


@pytest.mark.parametrize(("time_format", "text"), MIDNIGHTS)
def test_hour_24_is_the_next_midnight(silver, time_format: str | None, text: str) -> None:
    rows, _ = silver(
        f"time,sensor,v\n{text},a,50\n{text.replace('24', '25')},a,50\n",
        name="{year}.csv", time_format=time_format,
    )  # fmt: skip
    assert [r["timestamp"] for r in rows] == [datetime(2023, 6, 1)]


def test_seconds_since_midnight(silver) -> None:
    rows, counts = silver(
        "day,s,sensor,v\n" + "".join(f"1.6.2023,{s},a,{s}\n" for s in (0, 30, 600.5, 86399, 86401)),
        time_format="d.M.yyyy", time_unit="seconds", speed_range=[0, 100_000],
        columns={"timestamp": None, "date": "day", "time": "s"},
    )  # fmt: skip
    start = datetime(2023, 6, 1)
    assert [(r["timestamp"] - start, r["speed"]) for r in rows] == [
        (timedelta(), 15.0), (timedelta(minutes=10), 600.5), (timedelta(minutes=1430), 86399.0),
    ]  # fmt: skip
    assert counts == {"good": 4, "bad time": 1}


WIDE_BY_TIME = """\
site,place,loc,day,0:00,0:15,23:45,,,
0970,"A, N of B",1,1/06/2023,86,83,0,,,
0970,C,7,1/06/2023,1,,3,,,
0970,C,7,2/06/2023,9,9,9,,,
"""


def test_a_column_a_time_of_day(silver) -> None:
    rows, counts = silver(
        WIDE_BY_TIME,
        name="{year}.csv", time_format="d/MM/yyyy H:mm", interval="15 min",
        columns={"timestamp": None, "speed": None, "date": "day", "link_id": ["site", "loc"]},
        wide={"by": "time", "measure": "flow", "first": "0:00", "last": "23:45"},
    )  # fmt: skip
    found = [(r["link_id"], f"{r['timestamp']:%H:%M}", r["flow"]) for r in rows]
    assert found == [
        ("0970-1", "00:00", 86.0), ("0970-1", "00:15", 83.0), ("0970-1", "23:45", 0.0),
        ("0970-7", "00:00", 1.0), ("0970-7", "23:45", 3.0),
    ]  # fmt: skip
    assert counts == {"good": 5, NO_OBSERVATION: 1}
    assert "speed" not in rows[0]


def test_a_column_a_link(silver) -> None:
    rows, _ = silver(
        'time;north;"south; 2"\n2023-06-01 00:00;50,5;60\n2023-06-01 00:10;;70\n',
        delimiter=";", decimal=",", columns={"link_id": None, "speed": None},
        wide={"by": "link", "measure": "speed"},
    )  # fmt: skip
    assert [(r["link_id"], r["timestamp"].minute, r["speed"]) for r in rows] == [
        ("north", 0, 50.5), ("south; 2", 0, 60.0), ("south; 2", 10, 70.0),
    ]  # fmt: skip


def test_a_wide_row_of_another_width_is_named(silver) -> None:
    with pytest.raises(DataError, match=r"line 3: 3 columns, expected 4 as in line 1"):
        silver(
            "day,sensor,0:00,0:10\n2023-06-01,a,1,2\n2023-06-01,a,1\n",
            time_format="yyyy-MM-dd H:mm",
            columns={"timestamp": None, "speed": None, "date": "day"},
            wide={"by": "time", "measure": "speed"},
        )


QUARTERS = {
    "columns": {"timestamp": None, "speed": None, "date": "day"}, "time_format": "yyyyMMdd HH:mm",
    "wide": {"by": "time", "measure": "flow", "numbered": True, "first": "V00", "last": "V95"},
}  # fmt: skip


def test_columns_are_the_intervals_of_a_day_in_order(silver) -> None:
    """As a detector's counts come: V00 to V95, then what is no interval."""
    head = ",".join(["sensor", "day", *(f"V{n:02}" for n in range(96)), "total"])
    text = f"{head}\na,20230601,{','.join(map(str, range(96)))},4560\n"
    rows, counts = silver(text, interval="15 min", **QUARTERS)
    assert counts == {"good": 96}
    assert [row["flow"] for row in rows] == list(range(96))
    assert [rows[n]["timestamp"] for n in (0, 1, 95)] == [
        datetime(2023, 6, 1), datetime(2023, 6, 1, 0, 15), datetime(2023, 6, 1, 23, 45),
    ]  # fmt: skip
    with pytest.raises(DataError, match=r"a day has 24 intervals of 1:00:00, but there are 96 num"):
        silver(text, interval="1 h", **QUARTERS)


def test_the_interval_of_numbered_columns_counts_for_raw() -> None:
    terms = [declared(interval=step, **QUARTERS).source().recipe() for step in ("15 min", "1 h")]
    assert terms[0] != terms[1]
    plain = QUARTERS | {"wide": {"by": "time", "measure": "flow"}}
    recipe = declared(**plain).source().recipe()
    assert recipe == declared(interval="1 h", **plain).source().recipe()
    assert recipe["wide"]["wide"] == {
        "by": "time", "measure": "flow", "first": None, "last": None,
    }  # fmt: skip


def test_counts_are_summed(silver) -> None:
    rows, _ = silver(
        "time,sensor,n\n" + "".join(f"2023-06-01 00:0{m},a,{m}\n" for m in range(5)),
        interval="5 min", columns={"speed": None, "flow": "n"}, aggregate={"flow": "sum"},
    )  # fmt: skip
    assert [(r["flow"], r["n_obs"]) for r in rows] == [(10.0, 5)]


def test_a_link_of_several_columns_needs_them_all(silver) -> None:
    rows, counts = silver(
        "time,road,dir,v\n2023-06-01 00:00,A7,N,50\n2023-06-01 00:00,A7,,60\n",
        columns={"link_id": ["road", "dir"]},
    )
    assert [r["link_id"] for r in rows] == ["A7-N"]
    assert counts == {"good": 1, "bad link id": 1}


@pytest.mark.parametrize("name", ["{date}.csv", "{year}.csv"])
def test_a_wrong_time_format_is_told_before_anything_is_committed(silver, name: str) -> None:
    text = "time,sensor,v\n" + "".join(f"2023-06-01 00:{m}:00,a,1\n" for m in range(10, 20))
    told = r"2023\w*\.csv: none of its first 10 times can be read as yyyy-MM-dd HH:mm, for "
    with pytest.raises(DataError, match=told + r"example '2023-06-01 00:10:00'\. Correct"):
        silver(text, name=name, time_format="yyyy-MM-dd HH:mm")
    # A few bad lines are rejected one by one.
    assert silver(text, name=name, time_format="yyyy-MM-dd HH:mm:ss")[1] == {"good": 10}
