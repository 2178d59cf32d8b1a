from __future__ import annotations

from datetime import date, datetime

import pytest

from luigi_traffic import DataError
from luigi_traffic.compute.quality import bronze_aggregates, bronze_counts, judge_bronze
from luigi_traffic_its import Its

HEADER = "CREATDE,CREATHM,LINKID,ROADINSTTCD,PASNGSPED,PASNGTIME"
LINK = "1920161400"
pytestmark = pytest.mark.spark


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


def good(time: str, speed: float, seconds: float | None = 10.0, link: str = LINK) -> tuple:
    return (at(time), link, speed, seconds, None, None)


def bronze(engine, raw, **settings):
    return Its(Its.Settings(**settings)).bronze(engine.session(), raw)


def rows_of(engine, frame) -> list[tuple]:
    return [tuple(row.values()) for row in engine.collect(frame)]


def verdicts(engine, raw) -> list[tuple[str | None, str | None]]:
    """(reject_reason, raw_line) in the order of the file."""
    return [(row[5], row[4]) for row in rows_of(engine, bronze(engine, raw))]


# What is in the file, and what must come out of it.
GOOD = [
    (f"20240101,0005,{LINK},L01,57.25,10.0", good("2024-01-01 00:05", 57.25)),
    (f"20240101,5,{LINK},L01,57.25,10", good("2024-01-01 00:05", 57.25)),
    (f"20240101,0,{LINK},L01,1,10", good("2024-01-01 00:00", 1.0)),
    (f"20240101,130,{LINK},L01,150,10", good("2024-01-01 01:30", 150.0)),
    (f"20240101,2355,{LINK},L01,0.5,10", good("2024-01-01 23:55", 0.5)),
    (f'"20240101","0010","{LINK}","L01","60","10"', good("2024-01-01 00:10", 60.0)),
    (f" 20240101 , 0015 , {LINK} , L01 , 61.5 , 10 ", good("2024-01-01 00:15", 61.5)),
    (f"20240101,0020,{LINK},L01,62,", good("2024-01-01 00:20", 62.0, None)),
    (f"20240101,0025,{LINK},,63,x", good("2024-01-01 00:25", 63.0, None)),
]
BAD = [
    ("", "blank line"),
    ("   ", "blank line"),
    ('""', "blank line"),
    (f"20240101,0005,{LINK},L01,57", "too few columns"),
    ("total: 12", "too few columns"),
    (f"20240101,0005,{LINK},L01,57,10,1", "too many columns"),
    (",,,,,", "bad time"),
    (f"20240101,2400,{LINK},L01,57,10", "other day"),
    (f"20240101,2405,{LINK},L01,57,10", "bad time"),
    (f"20240230,2400,{LINK},L01,57,10", "bad time"),
    (f"20240101,02400,{LINK},L01,57,10", "bad time"),
    (f"20240101,0060,{LINK},L01,57,10", "bad time"),
    (f"20240101,-5,{LINK},L01,57,10", "bad time"),
    (f"20240101,00005,{LINK},L01,57,10", "bad time"),
    (f"20240101,,{LINK},L01,57,10", "bad time"),
    (f"20240230,0005,{LINK},L01,57,10", "bad time"),
    (f"2024-1-1,0005,{LINK},L01,57,10", "bad time"),
    (HEADER, "bad time"),
    (f"20231231,2355,{LINK},L01,57,10", "other day"),
    (f"20240102,0000,{LINK},L01,57,10", "other day"),
    ("20240101,0005,192016140,L01,57,10", "bad link id"),
    ("20240101,0005,19201614000,L01,57,10", "bad link id"),
    ("20240101,0005,1.92016E+9,L01,57,10", "bad link id"),
    ("20240101,0005,192016140x,L01,57,10", "bad link id"),
    ("20240101,0005,-920161400,L01,57,10", "bad link id"),
    ("20240101,0005,,L01,57,10", "bad link id"),
    (f"20240101,0005,{LINK},L01,,10", "bad speed"),
    (f"20240101,0005,{LINK},L01,fast,10", "bad speed"),
    (f"20240101,0005,{LINK},L01,0,10", "implausible speed"),
    (f"20240101,0005,{LINK},L01,-1,10", "implausible speed"),
    (f"20240101,0005,{LINK},L01,150.01,10", "implausible speed"),
    (f"20240101,0005,{LINK},L01,NaN,10", "bad speed"),
    (f"20240101,0005,{LINK},L01,Infinity,10", "bad speed"),
]


@pytest.mark.parametrize("end", ["\n", "\r\n"], ids=["LF", "CRLF"])
@pytest.mark.parametrize("header", [HEADER, None], ids=["header", "headerless"])
def test_six_columns(engine, raw_day, header, end) -> None:
    lines = [line for line, _ in GOOD] + [line for line, _ in BAD]
    text = end.join(([header] if header else []) + lines) + end
    rows = rows_of(engine, bronze(engine, raw_day(text)))
    assert rows[: len(GOOD)] == [row for _, row in GOOD]
    assert [(row[5], row[4]) for row in rows[len(GOOD) :]] == [(why, line) for line, why in BAD]


def test_the_end_of_the_day_before_is_its_midnight(engine, raw_day) -> None:
    frame = bronze(engine, raw_day(f"20231231,2400,{LINK},L01,57.25,10\n"))
    assert rows_of(engine, frame) == [good("2024-01-01 00:00", 57.25)]


def test_every_reason_is_listed_and_no_other() -> None:
    assert set(Its.reject_reasons) == {why for _, why in BAD}


def test_columns_and_types(engine, raw_day) -> None:
    frame = bronze(engine, raw_day(GOOD[0][0]))
    assert [(c["name"], c["type"]) for c in engine.schema(frame)] == [
        ("timestamp", "timestamp_ntz"), ("link_id", "string"), ("speed", "double"),
        ("travel_time", "double"), ("raw_line", "string"), ("reject_reason", "string"),
    ]  # fmt: skip


def test_one_row_a_line_whatever_is_in_it(engine, raw_day) -> None:
    # A lone CR, a field with a quoted comma and a missing last line end.
    text = f'{HEADER}\n{GOOD[0][0]}\r{GOOD[0][0]}\n"20240101","0,5",{LINK},L01,1,1\n{GOOD[1][0]}'
    raw = raw_day(text)
    assert raw.lines == 3
    reasons = [why for why, _ in verdicts(engine, raw)]
    assert reasons == ["too many columns", "bad time", None]


def test_bom_lower_case_header_and_a_column_more(engine, raw_day) -> None:
    line = f"20240101,5,{LINK},L01,57,10,new"
    text = b"\xef\xbb\xbf" + f"{HEADER.lower()},EXTRA\n{line}\n20240101,5\n".encode()
    assert verdicts(engine, raw_day(text)) == [
        (None, None), ("too few columns", "20240101,5"),
    ]  # fmt: skip


def test_the_format_of_2020(engine, raw_day) -> None:
    day = date(2020, 1, 1)
    lines = [
        f"2020-01-01 00:44:00.000,{LINK},57.2,a,b",
        f'"2020-01-01 23:59:59.999","{LINK}","150",,',
        f"2020-01-02 00:00:00.000,{LINK},57.2,,",
        f"2020-01-01,{LINK},57.2,,",
        f"2020-01-01 00:44:00.000,{LINK},-3,,",
        f"2020-01-01 00:44:00.000,{LINK}",
        f"2020-01-01 24:44:00.000,{LINK},57.2,,",
    ]
    rows = rows_of(engine, bronze(engine, raw_day("\r\n".join(lines), day)))
    assert rows[:2] == [
        good("2020-01-01 00:44", 57.2, None),
        good("2020-01-01 23:59:59.999", 150.0, None),
    ]
    assert [row[5] for row in rows[2:]] == [
        "other day", "bad time", "implausible speed", "too few columns", "bad time",
    ]  # fmt: skip
    assert [row[4] for row in rows[2:]] == lines[2:]


def test_bounds_are_settings(engine, raw_day) -> None:
    text = "\n".join(f"20240101,5,{LINK},L01,{speed},10" for speed in (5, 5.1, 90, 90.1))
    rows = rows_of(engine, bronze(engine, raw_day(text), min_speed=5, max_speed=90))
    assert [row[5] is None for row in rows] == [False, True, True, False]


def test_a_file_of_another_day_is_refused_with_an_example(engine, raw_day) -> None:
    line = f"20240102,0005,{LINK},L01,57,10"
    raw = raw_day(f"{HEADER}\n{line}\n{line}\n")
    wanted = bronze_aggregates(Its.reject_reasons)
    frame, found = engine.counted(bronze(engine, raw), wanted)
    engine.collect(frame)
    counts = bronze_counts(found(), Its.reject_reasons)
    with pytest.raises(DataError) as e:
        judge_bronze(counts, raw.lines, Its.Settings().max_rejected_share)
    assert "2 of 2 rows (100.0%) are rejected" in str(e.value)
    assert f"2 x other day, for example: '{line}'" in str(e.value)


@pytest.mark.parametrize("luigi_traffic_engine", ["spark"], indirect=True)
def test_nothing_runs_in_python(engine, raw_day) -> None:
    its = Its(Its.Settings())
    frame = its.bronze(engine.session(), raw_day(GOOD[0][0]))
    plan = its.silver(frame.where("reject_reason IS NULL"))._jdf.queryExecution().toString()
    assert "HashAggregate" in plan
    for slow in ("PythonUDF", "BatchEvalPython", "ArrowEvalPython", "InPandas", "ExistingRDD"):
        assert slow not in plan
