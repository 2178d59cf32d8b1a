"""`luigi-traffic new dataset NAME --from FILE` of wide tables: what is guessed."""

from __future__ import annotations

import time
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from luigi_traffic.commands.from_file.command import Written, write
from luigi_traffic.project import current

DAY = date(2024, 5, 13)


@pytest.fixture
def make(isolated, tmp_path: Path):
    """Write a file of those rows, look at it: the key `table`, and what was seen."""

    def made(name: str, *rows: list[object], sign: str = ",") -> tuple[dict, Written]:
        text = "".join(sign.join(map(str, row)) + "\n" for row in rows)
        (tmp_path / name).write_text(text, encoding="utf-8")
        found = write(current(), "city", tmp_path / name)
        return yaml.safe_load(found.file.read_text(encoding="utf-8"))["table"], found

    return made


def lines(isolated, day: date = DAY) -> list[str]:
    """The text of that day as the written dataset makes it."""
    isolated.set()
    dataset = current().plugins.dataset("city")
    text = b""
    with dataset.source().open(day) as streams:
        for stream in streams:
            looked = stream.edit or stream.check
            assert looked
            text += b"".join(looked(stream.chunks))
    return text.decode().splitlines()


QUARTERS = [f"{n // 4}:{n % 4 * 15:02d}" for n in range(96)]


def test_a_column_a_time_of_day(make, isolated) -> None:
    table, found = make(
        "20240513.csv", ["site", "day", *QUARTERS, "total"],
        *[[site, "13/05/2024", *(n % 9 for n in range(96)), 400] for site in ("A1", "A2", "A3")],
    )  # fmt: skip
    assert found.problem is None
    assert table["wide"] == {"by": "time", "measure": "flow", "first": "0:00", "last": "23:45"}
    assert table["columns"] == {"date": "day", "link_id": "site"}
    assert (table["time_format"], table["interval"]) == ("dd/MM/yyyy H:mm", "15 min")
    text = found.file.read_text()
    assert "# TODO: 96 columns are taken for a time of the day each, and flow for what" in text
    assert list(found.seen.sample) == ["date", "time", "link_id", "flow"]
    assert lines(isolated)[:3] == [
        "date,time,link_id,flow", "13/05/2024,0:00,A1,0", "13/05/2024,0:15,A1,1",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("names", "pattern", "interval", "stamp"),
    [
        ([f"{h:02d}:00" for h in range(24)], "HH:mm", "1 h", None),
        ([f"{h:02d}:{m:02d}:00" for h in range(24) for m in (0, 30)], "HH:mm:ss", "30 min", None),
        ([f"{n // 12 * 100 + n % 12 * 5}" for n in range(288)], "Hmm", "5 min", None),
        ([f"{n // 12:02d}{n % 12 * 5:02d}" for n in range(288)], "HHmm", "5 min", None),
        ([f"{h:02d}시" for h in range(1, 25)], "HH시", "1 h", "end"),
        ([f"{h}시" for h in range(24)], "H시", "1 h", None),
        ([f"{h:02d}" for h in range(24)], "HH", "1 h", None),
        ([f"{h}:00" for h in range(6, 20)], "H:mm", "1 h", None),
    ],
)  # fmt: skip
def test_names_of_times(make, isolated, names, pattern, interval, stamp) -> None:
    rows = [["2024-05-13", f"1010{k}", *(50 + n % 7 + 0.5 for n in range(len(names)))]
            for k in range(8)]  # fmt: skip
    table, found = make("all.csv", ["date", "detector", *names], *rows)
    assert found.problem is None, found.problem
    assert table["wide"]["by"] == "time" and table["wide"]["measure"] == "speed"
    assert (table["wide"]["first"], table["wide"]["last"]) == (names[0], names[-1])
    assert (table["time_format"], table["interval"]) == (f"yyyy-MM-dd {pattern}", interval)
    assert table.get("stamp") == stamp
    assert len(lines(isolated)) == 1 + 8 * len(names)


def test_numbered_columns_are_looked_at_in_seconds(make, isolated) -> None:
    begun = time.monotonic()
    table, found = make(
        "VSDATA_20240513.csv",
        ["NB_SITE", "QT_DATE", *(f"V{n:02d}" for n in range(96)), "NM_REGION"],
        *[[100 + k, "2024-05-13", *(n % 9 for n in range(96)), "MEL"] for k in range(50)],
    )  # fmt: skip
    assert time.monotonic() - begun < 20
    assert found.problem is None
    assert table["wide"] == {
        "by": "time", "measure": "flow", "numbered": True, "first": "V00", "last": "V95",
    }  # fmt: skip
    assert table["columns"] == {"date": "QT_DATE", "link_id": "NB_SITE"}
    assert (table["time_format"], table["interval"]) == ("yyyy-MM-dd HH:mm", "15 min")
    assert "an interval of 0:15:00 each" in found.seen.doubts["wide"]
    assert lines(isolated)[2] == "2024-05-13,00:15,100,1"


def test_a_column_a_link(make, isolated) -> None:
    start = datetime(2024, 5, 13)
    ids = [773869 + 7 * k for k in range(40)]
    rows = [[f"{start + n * timedelta(minutes=5):%Y-%m-%d %H:%M:%S}",
             *(60 + (n + k) % 9 + 0.25 for k in range(40))] for n in range(288)]  # fmt: skip
    table, found = make("speeds.csv", ["time", *ids], *rows)
    assert found.problem is None
    assert table["wide"] == {
        "by": "link", "measure": "speed", "first": str(ids[0]), "last": str(ids[-1]),
    }  # fmt: skip
    assert table["columns"] == {"timestamp": "time"}
    assert table["interval"] == "5 min" and "header" not in table
    assert "40 columns are taken for a link each" in found.seen.doubts["wide"]
    text = lines(isolated)
    assert (len(text), text[1]) == (1 + 40 * 288, f"2024-05-13 00:00:00,{ids[0]},60.25")


def test_links_that_are_numbered_are_no_intervals(make) -> None:
    rows = [["2024-05-13", f"{n // 12:02d}:{n % 12 * 5:02d}", *(n % 9 for _ in range(24))]
            for n in range(288)]  # fmt: skip
    table, _ = make("volumes.csv", ["date", "time", *(f"L{k}" for k in range(1, 25))], *rows)
    assert table["wide"] == {"by": "link", "measure": "flow", "first": "L1", "last": "L24"}
    assert table["columns"] == {"date": "date", "time": "time"}


def test_tables_with_a_row_a_value_are_not_wide(make) -> None:
    head = ["time", "sensor", "speed", "flow", "q1", "q2", "q3", "q4", "q5", "q6"]
    rows = [[f"2024-05-13 {h:02d}:00", s, 50, 6, *range(6)] for h in range(24) for s in "ab"]
    table, _ = make("20240513.csv", head, *rows)
    assert "wide" not in table and table["columns"]["speed"] == "speed"


@pytest.mark.parametrize(
    ("name", "measure"),
    [
        ("travel_time", "travel_time"), ("Travel Time (s)", "travel_time"),
        ("평균통행시간", "travel_time"), ("density", "density"), ("교통밀도", "density"),
    ],
)  # fmt: skip
def test_travel_time_and_density_are_known(make, name: str, measure: str) -> None:
    rows = [[f"2024-05-13 {h:02d}:00", s, 30 + h] for h in range(24) for s in "ab"]
    table, found = make("20240513.csv", ["time", "link", name], *rows)
    assert table["columns"] == {"timestamp": "time", "link_id": "link", measure: name}
    assert "If not, say it: units" in found.seen.doubts[measure]
    assert found.problem is None
