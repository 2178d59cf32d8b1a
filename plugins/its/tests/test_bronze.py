import gzip
from datetime import date, datetime

import pytest
from luigi_traffic_its import Its, ItsSettings
from luigi_traffic_its.rows import REASONS

from luigi_traffic import RawDay

pytestmark = pytest.mark.spark
DAY = date(2024, 1, 1)
HEADER = "CREATDE,CREATHM,LINKID,ROADINSTTCD,PASNGSPED,PASNGTIME"
GOOD = "20240101,0005,1920161400,L01,55.0,12.3"


@pytest.fixture
def bronze(spark, tmp_path):
    def parse(*lines, header=HEADER, day=DAY, end="\n", **settings):
        path = tmp_path / "piece-00000.csv.gz"
        path.write_bytes(gzip.compress("".join(line + end for line in lines).encode()))
        raw = RawDay(day, (str(path),), header, lines[0], len(lines))
        return Its(ItsSettings(**settings)).bronze(spark, raw)

    return parse


def rows_of(frame):
    return [(r.timestamp, r.link_id, r.speed, r.travel_time) for r in frame.collect()]


EXPECTED = (datetime(2024, 1, 1, 0, 5), "1920161400", 55.0, 12.3)


@pytest.mark.parametrize(
    "line",
    [
        GOOD,
        "20240101,5,1920161400,L01,55.0,12.3",
        "20240101,05,1920161400,,55,12.3",
        '"20240101","0005","1920161400","L01","55.0","12.3"',
        " 20240101 , 0005 , 1920161400 , L01 , 55.0 , 12.3 ",
        '" 20240101"," 5 ","1920161400","L01","55.0","12.3"',
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("header", [HEADER, None])
def test_one_row_in_any_dress(bronze, line, end, header):
    frame = bronze(line, header=header, end=end)
    (row,) = frame.collect()
    assert row.reject_reason is None
    assert row.raw_line is None
    assert rows_of(frame) == [EXPECTED]


@pytest.mark.parametrize(
    ("text", "hour", "minute"), [("0", 0, 0), ("5", 0, 5), ("100", 1, 0), ("2355", 23, 55)]
)
def test_times_that_a_tool_read_as_numbers(bronze, text, hour, minute):
    ((timestamp, *_),) = rows_of(bronze(f"20240101,{text},1920161400,L01,55,1"))
    assert timestamp == datetime(2024, 1, 1, hour, minute)


def test_format_of_2020(bronze):
    frame = bronze(
        "2020-01-01 00:44:00.000,1920161400,57.2",
        "2020-01-01 23:59:59.999,1920161400,58",
        "2020-01-02 00:00:00.000,1920161400,58",
        "2019-12-31 23:59:00.000,1920161400,58",
        "2020-01-01 00:44,1920161400,",
        header=None,
        day=date(2020, 1, 1),
    )
    rows = frame.collect()
    assert rows[0].timestamp == datetime(2020, 1, 1, 0, 44)
    assert (rows[0].link_id, rows[0].speed, rows[0].travel_time) == ("1920161400", 57.2, None)
    assert [r.reject_reason for r in rows] == [None, None, "other day", "other day", "bad speed"]


def test_format_of_2020_with_more_columns(bronze):
    lines = ["2020-01-01 00:44:00.000,1920161400,57.2,31,A", "2020-01-01 00:44:00.000,1920161400,57.2"]
    rows = bronze(*lines, header=None, day=date(2020, 1, 1)).collect()
    assert [(r.speed, r.reject_reason) for r in rows] == [(57.2, None), (57.2, "too few columns")]


BAD = [
    ("", "blank line"),
    ("   ", "blank line"),
    ("20240101,0005", "too few columns"),
    ("garbage", "too few columns"),
    ("\ufffd\x01\x02", "too few columns"),
    (GOOD + ",extra", "too many columns"),
    ("20240101,0005,1920161400,L01,55,3,12,3", "too many columns"),
    ("20240101,2400,1920161400,L01,55,1", "bad time"),
    ("20240101,2360,1920161400,L01,55,1", "bad time"),
    ("20240101,00005,1920161400,L01,55,1", "bad time"),
    ("20240101,,1920161400,L01,55,1", "bad time"),
    ("20240101,-5,1920161400,L01,55,1", "bad time"),
    ("20240101,1 5,1920161400,L01,55,1", "bad time"),
    ("20240101,5.0,1920161400,L01,55,1", "bad time"),
    ("20241301,0005,1920161400,L01,55,1", "bad time"),
    ("2024-1-1,0005,1920161400,L01,55,1", "bad time"),
    (",0005,1920161400,L01,55,1", "bad time"),
    ("20240102,0000,1920161400,L01,55,1", "other day"),
    ("20231231,2355,1920161400,L01,55,1", "other day"),
    ("20240101,0005,,L01,55,1", "bad link id"),
    ("20240101,0005,192016140,L01,55,1", "bad link id"),
    ("20240101,0005,19201614000,L01,55,1", "bad link id"),
    ("20240101,0005,-192016140,L01,55,1", "bad link id"),
    ("20240101,0005,192016.400,L01,55,1", "bad link id"),
    ("20240101,0005,1.9202E+09,L01,55,1", "bad link id"),
    ("20240101,0005,1920161400,L01,,1", "bad speed"),
    ("20240101,0005,1920161400,L01,fast,1", "bad speed"),
    ("20240101,0005,1920161400,L01,0,1", "implausible speed"),
    ("20240101,0005,1920161400,L01,-3,1", "implausible speed"),
    ("20240101,0005,1920161400,L01,999,1", "implausible speed"),
    ("20240101,0005,1920161400,L01,150.01,1", "implausible speed"),
    ("20240101,0005,1920161400,L01,NaN,1", "implausible speed"),
    ("20240101,0005,1920161400,L01,Infinity,1", "implausible speed"),
    ("20240101,0005,1920161400,L01,1e400,1", "implausible speed"),
]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_bad_rows_are_flagged_kept_and_one_a_line(bronze, end):
    lines = [GOOD] + [line for line, _ in BAD] + [GOOD]
    rows = bronze(*lines, end=end).collect()
    assert len(rows) == len(lines)
    found = {(r.raw_line, r.reject_reason) for r in rows if r.reject_reason}
    assert found == set(BAD)
    assert sum(r.reject_reason is None for r in rows) == 2
    assert {reason for _, reason in BAD} == set(REASONS) == set(Its.reject_reasons)


def test_bad_travel_time_costs_no_row(bronze):
    (row,) = bronze("20240101,0005,1920161400,L01,150,never").collect()
    assert (row.speed, row.travel_time, row.reject_reason) == (150.0, None, None)


def test_lone_carriage_return_is_no_line_end(bronze):
    assert bronze(GOOD, "20240101,0005,19201\r61400,L01,55,1").count() == 2


def test_bounds_are_settings(bronze):
    lines = [GOOD.replace("55.0", speed) for speed in ("20", "20.1", "90", "90.1")]
    rows = bronze(*lines, min_speed=20, max_speed=90).collect()
    assert [r.reject_reason is None for r in rows] == [False, True, True, False]
    with pytest.raises(ValueError, match="not below"):
        ItsSettings(min_speed=90, max_speed=20)


def test_day_without_rows(spark):
    frame = Its(ItsSettings()).bronze(spark, RawDay(DAY, (), HEADER, "", 0))
    assert frame.count() == 0
    assert {"reject_reason", "raw_line"} <= set(frame.columns)


def test_no_python_in_the_plan(bronze):
    its = Its(ItsSettings())
    plan = its.silver(bronze(GOOD))._jdf.queryExecution().toString()
    assert "Python" not in plan
    assert "Arrow" not in plan


def test_silver_floors_averages_and_loses_nothing(bronze):
    its = Its(ItsSettings())
    frame = bronze(
        "2020-01-01 00:44:00.000,1920161400,50",
        "2020-01-01 00:40:00.000,1920161400,51.5",
        "2020-01-01 00:45:00.000,1920161400,60",
        "2020-01-01 00:44:59.999,1920161500,70",
        "2020-01-01 23:59:59.000,1920161500,80",
        header=None,
        day=date(2020, 1, 1),
    )
    silver = its.silver(frame)
    assert dict(silver.dtypes)["timestamp"] == "timestamp_ntz"
    rows = {(r.timestamp, r.link_id): (r.speed, r.n_obs) for r in silver.collect()}
    assert rows == {
        (datetime(2020, 1, 1, 0, 40), "1920161400"): (50.75, 2),
        (datetime(2020, 1, 1, 0, 45), "1920161400"): (60.0, 1),
        (datetime(2020, 1, 1, 0, 40), "1920161500"): (70.0, 1),
        (datetime(2020, 1, 1, 23, 55), "1920161500"): (80.0, 1),
    }
    values = silver.agg(*[c.aggregate.alias(f"c{i}") for i, c in enumerate(its.checks())]).first()
    assert [c.fails(v) for c, v in zip(its.checks(), values, strict=True)] == [None, None, None]


def test_checks_catch_what_bronze_should_have(spark):
    its = Its(ItsSettings())
    frame = spark.createDataFrame([(160.0, 1), (-1.0, 1)], "speed double, n_obs long")
    values = frame.agg(*[c.aggregate.alias(f"c{i}") for i, c in enumerate(its.checks())]).first()
    failed = [c.fails(v) for c, v in zip(its.checks(), values, strict=True)]
    assert failed[0] == "highest speed, km/h: 160 is above 150"
    assert failed[1] == "lowest speed, km/h: -1 is below 0"


def test_source_and_recipe():
    settings = ItsSettings(url_template="file:///data/{date}_5Min.zip", timeout=5)
    its = Its(settings)
    assert its.source().recipe()["url_template"] == "file:///data/{date}_5Min.zip"
    assert set(its.recipe_terms("silver")) == {"links"}
    assert set(its.recipe_terms("bronze")) == {"min_speed", "max_speed"}
    assert len(its.settings.links) == len(set(its.settings.links)) == 23
