"""`luigi-traffic new dataset NAME --from FILE`: what is seen in made-up files."""

from __future__ import annotations

import gzip
import io
import time
import zipfile
from datetime import date, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest
import yaml
from typer.testing import CliRunner

from luigi_traffic.cli import app
from luigi_traffic.commands.from_file.command import Written, write
from luigi_traffic.errors import PluginError, SettingsError, SourceError
from luigi_traffic.project import current

DAY = datetime(2024, 5, 13)


def lines(row: str, *, step: int = 5, head: str = "", slots: int = 288) -> str:
    """Rows of two links; `row` is a format of `at`, `link`, `v` and `n`."""
    made = [head] if head else []
    for n in range(slots):
        at = DAY + n * timedelta(minutes=step)
        made += [row.format(at=at, link=f"L{k}", v=40 + k + n % 7, n=n) for k in (1, 2)]
    return "\n".join(made) + "\n"


@pytest.fixture
def make(isolated, tmp_path: Path):
    """Write a file, look at it: the name is `city`."""

    def made(name: str, content: str | bytes, encoding: str = "utf-8") -> tuple[dict, Written]:
        data = content if isinstance(content, bytes) else content.encode(encoding)
        (tmp_path / name).write_bytes(data)
        found = write(current(), "city", tmp_path / name)
        return yaml.safe_load(found.file.read_text(encoding="utf-8"))["table"], found

    return made


def test_a_plain_table(make, isolated, tmp_path) -> None:
    table, found = make(
        "speeds-2024-05-13.csv", lines("{at:%Y-%m-%d %H:%M},{link},{v}.5", head="time,sensor,kmh")
    )
    assert table == {
        "glob": f"{tmp_path}/speeds-{{year}}-{{month}}-{{day}}.csv",
        "columns": {"timestamp": "time", "link_id": "sensor", "speed": "kmh"},
        "interval": "5 min", "timezone": "UTC", "speed_unit": "km/h", "speed_range": [0, 150],
    }  # fmt: skip
    assert found.problem is None and found.seen.first == date(2024, 5, 13)
    isolated.set()
    dataset = current().plugins.dataset("city")
    with dataset.source().open(date(2024, 5, 13)) as streams:
        assert next(iter(streams)).name == "speeds-2024-05-13.csv"
    text = found.file.read_text()
    assert "timezone: UTC  # TODO: the file does not say it" in text
    assert "speed_unit: km/h\n" in text  # the name of the column says it


def test_korean_names_in_cp949_two_columns_and_missing_marks(make) -> None:
    row = "{at:%Y%m%d},{at:%H%M},울산,{link},{v},-1,0.1"
    head = "수집일자,수집시분,지역명,링크ID,평균속도,교통량,점유율"
    content = lines(row, head=head) + "20240513,0000,울산,L1,null,5,0.1\n"
    table, found = make("202405.csv", content.replace("수집시분", "수집시각"), "cp949")
    assert table["encoding"] == "cp949" and table["timezone"] == "Asia/Seoul"
    assert table["columns"] == {
        "date": "수집일자", "time": "수집시각", "link_id": "링크ID", "speed": "평균속도",
        "flow": "교통량", "occupancy": "점유율",
    }  # fmt: skip
    assert table["time_format"] == "yyyyMMdd HHmm"
    assert table["missing"] == ["", "nan", "null", -1]
    assert table["glob"].endswith("/{year}{month}.csv")
    assert "taken for a file of many days" in found.seen.doubts["glob"]


def test_no_header_semicolons_a_decimal_comma(make) -> None:
    row = "{at:%d.%m.%Y};{at:%H:%M};A {link};x;{v},5"
    table, found = make("20240513.txt.gz", gzip.compress(lines(row, step=15, slots=96).encode()))
    assert (table["header"], table["delimiter"], table["decimal"]) == (False, ";", ",")
    assert table["time_format"] == "dd.MM.yyyy HH:mm" and table["interval"] == "15 min"
    assert table["columns"]["date"] == 0 and table["columns"]["time"] == 1
    assert table["glob"].endswith("/{date}.txt.gz")
    # Nothing says which column has the values: it is asked for, and the file is written anyway.
    assert found.problem and "nothing is measured" in found.problem
    assert (
        "# TODO: columns.speed (or flow, …): which column has the values?" in found.file.read_text()
    )


def test_a_zip_of_tabs_in_mph(make) -> None:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as made:
        head = "station\tmeasured_at\tmph"
        made.writestr("a.tsv", lines("{link}\t{at:%m/%d/%Y %H:%M:%S}\t{v}", head=head, step=60,
                                     slots=24))  # fmt: skip
    table, _ = make("d20240513.zip", archive.getvalue())
    assert (table["delimiter"], table["speed_unit"]) == ("tab", "mph")
    assert (table["time_format"], table["interval"]) == ("MM/dd/yyyy HH:mm:ss", "1 h")
    assert table["columns"] == {"timestamp": "measured_at", "link_id": "station", "speed": "mph"}


def test_day_or_month_first_is_asked(make) -> None:
    row = "{at:05/06/%Y %H:%M},{link},{v}"
    _, found = make("all.csv", lines(row, head="time,link,speed"))
    assert found.seen.doubts["time_format"] == "or MM/dd/yyyy HH:mm: the rows fit both"


HOURS = [f"20240513,{h:02},L{k},{30 + h}" for h in range(1, 25) for k in (1, 2)]


def test_hours_to_24_are_those_that_end(make) -> None:
    table, found = make("all.csv", "\n".join(["date,hour,link,speed", *HOURS]))
    assert (table["time_format"], table["stamp"]) == ("yyyyMMdd HH", "end")
    assert "an hour 24" in found.seen.doubts["stamp"]


def test_a_minute_24_is_no_hour_24(make) -> None:
    rows = [f"2024-05-13 {h:02}:{m:02},L1,50" for h in range(24) for m in (0, 12, 24, 36, 48)]
    table, _ = make("all.csv", "\n".join(["time,link,speed", *rows]))
    assert "stamp" not in table


def test_times_that_no_pattern_reads_are_named(make) -> None:
    rows = ["date,hour,link,speed", *HOURS[:20], "20240513,x,L1,30"]
    _, found = make("all.csv", "\n".join(rows))
    assert "of the times do not fit, for example '20240513 x'" in found.seen.doubts["time"]


def test_digits_of_a_link_are_no_unix_time(make) -> None:
    rows = [f"20240513,{n * 5 // 60 * 100 + n * 5 % 60},18300011{k}0,{30 + n % 9}"
            for n in range(288) for k in (1, 2)]  # fmt: skip
    table, _ = make("ITS.csv", "\n".join(["CREATDE,CREATHM,LINKID,PASNGSPED", *rows]))
    assert table["columns"] == {
        "date": "CREATDE", "time": "CREATHM", "link_id": "LINKID", "speed": "PASNGSPED",
    }  # fmt: skip


def test_a_wide_table_is_looked_at_in_seconds(make) -> None:
    """A column a time of day: the time is asked for, not searched in every pair of columns."""
    head = ",".join(["site", "day", *(f"V{n:02}" for n in range(200))])
    rows = [f"{100 + k},{DAY:%d/%m/%Y},{','.join(str(n % 9) for n in range(200))}"
            for k in range(50)]  # fmt: skip
    begun = time.monotonic()
    _, found = make("wide.csv", "\n".join([head, *rows]))
    assert time.monotonic() - begun < 20
    assert found.problem


def test_parquet(make, tmp_path) -> None:
    at = [DAY + n * timedelta(minutes=10) for n in range(144) for _ in range(2)]
    frame = pd.DataFrame({"at": at, "detector": ["a", "b"] * 144, "speed": 50.5, "volume": 3})
    frame.to_parquet(tmp_path / "x.parquet")
    table, _ = make("2024.parquet", (tmp_path / "x.parquet").read_bytes())
    assert table["format"] == "parquet" and "delimiter" not in table
    assert table["columns"] == {
        "timestamp": "at", "link_id": "detector", "speed": "speed", "flow": "volume",
    }  # fmt: skip
    assert table["interval"] == "10 min" and table["glob"].endswith("/{year}.parquet")


@pytest.mark.parametrize(
    ("name", "content", "error", "told"),
    [
        ("a.csv", "only one column\n1\n", SettingsError, "no table is seen"),
        ("a.csv", "", SettingsError, "no table is seen"),
        ("a.csv", "<html><body>sorry</body></html>", SettingsError, "It begins with '<html>"),
        ("a.zip", "<html>", SourceError, "expected a ZIP archive"),
        ("a.parquet", "x", SourceError, "parquet"),
    ],
)
def test_what_is_no_table(make, isolated, name, content, error, told) -> None:
    with pytest.raises(error, match=f"(?i){told}"):
        make(name, content)
    assert not (isolated.conf / "datasets" / "city.yml").exists()


def test_nothing_is_overwritten_and_no_name_taken(tiny, tmp_path) -> None:
    file = tmp_path / "a.csv"
    file.write_text(lines("{at:%Y-%m-%d %H:%M},{link},{v}", head="time,link,speed"))
    there = tiny.write("datasets/city.yaml", "links: []")
    with pytest.raises(SettingsError, match=f"{there} exists, and nothing is overwritten"):
        write(current(), "city", file)
    with pytest.raises(PluginError, match="'tiny' is taken by the plugin"):
        write(current(), "tiny", file)
    with pytest.raises(SettingsError, match="Did you mean my_city"):
        write(current(), "My City", file)
    with pytest.raises(SettingsError, match=r"cannot read .*none\.csv: No such file"):
        write(current(), "city_2", tmp_path / "none.csv")


def test_the_command_shows_what_was_seen(isolated, tmp_path) -> None:
    file = tmp_path / "20240513.csv"
    file.write_text(lines("{at:%Y-%m-%d %H:%M},{link},{v}", head="time,link,speed"))
    done = CliRunner().invoke(app, ["new", "dataset", "city", "--from", str(file)])
    assert done.exit_code == 0, done.output
    assert f"wrote {isolated.conf / 'datasets' / 'city.yml'}" in done.output
    assert "columns.speed" in done.output and "L1" in done.output
    assert "Silver --dataset city --date 2024-05-13 --local-scheduler" in done.output
    done = CliRunner().invoke(app, ["new", "dataset", "b", "--from", "x", "--folder", "y"])
    assert "cannot combine --from with --folder" in str(done.exception)
