"""What plugins write bronze and silver with: the same on every engine, and no value raises."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from luigi_traffic import RawDay
from luigi_traffic import functions as F
from luigi_traffic.compute.engine import Engine
from luigi_traffic.yaml_dataset import times
from luigi_traffic.yaml_dataset.times import Moment

pytestmark = pytest.mark.spark


def values(
    engine: Engine, function: Callable[[Any], Any], texts: Sequence[str | None]
) -> list[Any]:
    frame = engine.table(pa.table({"text": pa.array(texts, pa.string())}))
    found = engine.collect(frame.select(F.col("text"), function(F.col("text")).alias("value")))
    known = {row["text"]: row["value"] for row in found}
    assert len(found) == len(texts)
    return [known[text] for text in texts]


def raw(*paths: str) -> RawDay:
    return RawDay(date(2024, 5, 1), paths, None, "", 0)


def test_lines_end_with_lf_or_crlf_and_no_other_sign(engine, tmp_path: Path) -> None:
    file = tmp_path / "day.csv"
    file.write_bytes(b"a,1\r\n\nb\rc\n d")
    found = F.lines(engine.session(), raw(str(file)))
    assert found.dtypes == [("line", "string")]
    # Rows have no order.
    assert sorted(row.line for row in found.collect()) == ["", " d", "a,1", "b\rc"]
    nothing = F.lines(engine.session(), raw())
    assert nothing.dtypes == found.dtypes
    assert nothing.collect() == []


CELLS = {
    "a,b,": ["a", "b", ""],
    "": [""],
    '"a,b",c': ["a,b", "c"],
    '"a ""q"" b", c ': ['a "q" b', " c "],
    ' "x" ,\t"y"\t': ["x", "y"],
    '"",""': ["", ""],
    '"open,b': ['"open', "b"],
    'a"b,c': ['a"b', "c"],
    '"a"b,c': ['"a"b', "c"],
    '"': ['"'],
}


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|", "^"])
def test_cells_are_split_outside_of_quotes(engine, delimiter: str) -> None:
    wanted = {
        line.replace("\t", " ").replace(",", delimiter): [
            cell.replace(",", delimiter) for cell in cells
        ]
        for line, cells in CELLS.items()
    }
    assert values(engine, lambda c: F.cells(c, delimiter), [*wanted, None]) == [
        *wanted.values(),
        None,
    ]


def test_a_cell_has_no_blanks_around_it_and_is_null_beyond_the_last(engine) -> None:
    assert values(engine, lambda c: F.cell(F.cells(c), 1), ["a, \tb ,c", "a", 'a," b "']) == [
        "b", None, "b",
    ]  # fmt: skip


def test_numbers_in_decimal_alone(engine) -> None:
    good = {"57": 57.0, "-57.5": -57.5, "+.5": 0.5, "1e3": 1000.0, "5.": 5.0, "-0": 0.0}
    bad = ["", "-", ".", "NaN", "nan", "Infinity", "-inf", "1d", "1f", "0x1p3", "0X1P3", "1e400",
           " 5", "5 ", "\t5", "1_0", "1,0", "\u0663", "fast", None]  # fmt: skip
    assert values(engine, F.number, [*good, *bad]) == [*good.values(), *[None] * len(bad)]


def test_whole_numbers_of_64_bits(engine) -> None:
    good = {"0": 0, "007": 7, "-5": -5, "9223372036854775807": 9223372036854775807}
    bad = ["", "5.0", "5.", "1e3", "+5", "9223372036854775808", "5L", " 5", "x", None]
    assert values(engine, F.whole_number, [*good, *bad]) == [*good.values(), *[None] * len(bad)]


def test_wall_time_needs_a_time_of_day_and_takes_no_offset(engine) -> None:
    good = {
        "2024-05-31 08:05": datetime(2024, 5, 31, 8, 5),
        "2024-5-1T8:05:09.123456789": datetime(2024, 5, 1, 8, 5, 9, 123456),
        "2024-05-31 24:00": datetime(2024, 6, 1),
        "2024-12-31T24:00:00": datetime(2025, 1, 1),
    }
    bad = ["2024-05-31", "08:05", "2024-05-31 08", "2024-05-31 24:01", "2024-05-31 08:05+09:00",
           "2024-05-31 08:05Z", "2024-02-30 00:00", "2024-05-31 08:60", "", None]  # fmt: skip
    assert values(engine, F.wall_time, [*good, *bad]) == [*good.values(), *[None] * len(bad)]


def test_time_of_parts(engine) -> None:
    def made(text: Any) -> Any:
        year, *rest = (F.cell(F.cells(text, "/"), n) for n in range(6))
        return F.time_of_parts(year, *rest)

    good = {
        "2024/05/31/08/05/09": datetime(2024, 5, 31, 8, 5, 9),
        "2024/2/29/0/0/0": datetime(2024, 2, 29),
        "2024/12/31/24/0/0": datetime(2025, 1, 1),
    }
    bad = ["2024/2/30/1/1/0", "2024/1/1/24/5/0", "2024/1/1/24/0/1", "2024/1/1/-1/0/0",
           "2024/1/1/23/60/0", "2024/1/1/23/59/60", "2024/x/1/1/0/0", "2024//1/1/0/0"]  # fmt: skip
    assert values(engine, made, [*good, *bad]) == [*good.values(), *[None] * len(bad)]


def test_time_of_digits_alone(engine) -> None:
    good = {
        "202405310805": datetime(2024, 5, 31, 8, 5),
        "202402292400": datetime(2024, 3, 1),
        "999912312359": datetime(9999, 12, 31, 23, 59),
    }
    bad = [
        "", "20240531", "20240531080", "2024053108050", "202402300000", "202413010000",
        "202405312401", "202405310860", "099912310000", " 20240531080", "20240531080 ",
        "+20240531080", "-20240531080", "20240101e+04", "2024_0531080", "2024053108.5",
        "２０２４０５３１０８０５", "x", None,
    ]  # fmt: skip
    assert values(engine, F.compact_time, [*good, *bad]) == [*good.values(), *[None] * len(bad)]
    good = {
        "20240531080509": datetime(2024, 5, 31, 8, 5, 9),
        "20231231240000": datetime(2024, 1, 1),
    }
    bad = ["202405310805", "20240531240001", "20240531080560", "20240531080559 ", "2024053108e+04"]
    found = values(engine, lambda c: F.compact_time(c, seconds=True), [*good, *bad])
    assert found == [*good.values(), *[None] * len(bad)]


def test_days_and_intervals_begin_with_their_first_moment(engine) -> None:
    times = [
        "2024-05-01 00:00",
        "2024-05-01 23:59:59.999999",
        "2024-05-02 00:00",
        "2024-04-30 23:59",
    ]
    day = date(2024, 5, 1)
    assert values(engine, lambda c: F.in_day(F.wall_time(c), day), times) == [
        True, True, False, False,
    ]  # fmt: skip
    start = [
        values(engine, lambda c, m=m: F.interval_start(F.wall_time(c), m), times)[1]
        for m in (
            timedelta(minutes=5),
            timedelta(minutes=15),
            timedelta(hours=1),
            timedelta(days=1),
        )
    ]
    assert start == [
        datetime(2024, 5, 1, 23, 55), datetime(2024, 5, 1, 23, 45), datetime(2024, 5, 1, 23),
        datetime(2024, 5, 1),
    ]  # fmt: skip


def test_members_of_json_are_text(engine) -> None:
    def members(text: Any) -> Any:
        return F.json_members(text, ["a", "b c"])

    good = {
        '{"a":"1","b c":2.5,"d":0}': ("1", "2.5"),
        '{"a":null}': (None, None),
        "{}": (None, None),
    }
    bad = ["[1]", "5", '{"a":1', "", "null", "words", None]
    found = values(engine, members, [*good, *bad])
    assert [tuple(row.values()) if row else None for row in found] == [
        *good.values(),
        *[None] * len(bad),
    ]


def test_every_other_name_is_that_of_spark_which_is_not_imported_before() -> None:
    said = subprocess.run(
        [sys.executable, "-c", "import sys; from luigi_traffic import functions as F; "
         "print('pyspark' in sys.modules, F.greatest.__module__.split('.')[0])"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert said.stdout.split() == ["False", "pyspark"]
    with pytest.raises(AttributeError, match="no_such_function"):
        F.no_such_function  # noqa: B018


def test_a_time_with_an_offset(engine) -> None:
    good = {
        "2024-05-31T08:05:00+09:00": datetime(2024, 5, 31, 8, 5),
        "2024-05-30 23:05Z": datetime(2024, 5, 31, 8, 5),
        "2024-05-30 23:05 -0130": datetime(2024, 5, 31, 9, 35),
        "2024-05-31 17:05:00.123456789 +18": datetime(2024, 5, 31, 8, 5, 0, 123456),
        "1969-12-30 23:05-18:00": datetime(1970, 1, 1, 2, 5),
    }
    bad = ["2024-05-31 24:00Z", "2024-05-31 25:00Z",
           "2024-05-31 08:05+18:01", "2024-02-30 00:00Z",
           "2024-05-31 08:05+19", "2024-05-31 08:05+01:60", "2024-05-31 08:05", "",
           None]  # fmt: skip
    assert values(engine, lambda c: F.instant_time(c, "Asia/Seoul"), [*good, *bad]) == [
        *good.values(), *[None] * len(bad),
    ]  # fmt: skip


@pytest.mark.parametrize("pattern", ["yyyy-MM-dd HH:mm:ss.S", "yyyy-MM-dd Hmmss.S"])
def test_the_24th_hour_has_no_fraction(engine, pattern: str) -> None:
    end = "24:00:00" if ":" in pattern else "240000"
    known = {
        f"2024-05-31 {end}.0": datetime(2024, 6, 1), f"2024-05-31 {end}.5": None,
        f"2024-05-31 23{end[2:]}.5": datetime(2024, 5, 31, 23, 0, 0, 500000),
    }  # fmt: skip
    expression = times.expression(pattern)
    assert values(engine, lambda c: F.pattern_time(c, expression), [*known]) == [*known.values()]
    iso = {text: time for text, time in known.items() if ":" in pattern}
    assert values(engine, F.wall_time, [*iso]) == [*iso.values()]
    read = Moment(pattern, "UTC").reader()
    assert [read(text) for text in known] == [*known.values()]


def test_half_a_microsecond_is_rounded_as_it_is_written(engine) -> None:
    known = {
        "0.2510515": 251052, "0.5005835": 500584, "1e-7": 0, "0.0000005": 1, "-0.0000005": -1,
        "86399.9999995": 86_400_000_000,
    }  # fmt: skip
    start = datetime(2024, 5, 31)

    def after(text: Any) -> Any:
        return F.time_after(F.wall_time(F.lit("2024-05-31 00:00")), F.number(text))

    found = values(engine, after, [*known, "", "1e12", "-1e300"])
    assert found == [*(start + timedelta(microseconds=n) for n in known.values()), *[None] * 3]


def test_parts_of_a_time_are_digits_alone(engine) -> None:
    def hour(text: Any) -> Any:
        return F.time_of_parts(F.lit(2024), F.lit("5"), F.lit(31), text, F.lit(5))

    bad = ["8.0", "8e0", "0x8", "0b1", "1_0", "", "eight", None]
    assert values(engine, hour, ["8", "08", *bad]) == [
        *[datetime(2024, 5, 31, 8, 5)] * 2, *[None] * len(bad),
    ]  # fmt: skip


def test_small_letters_are_those_of_python(engine) -> None:
    texts = ["K.A.", "ÄÖ", "İ", "ΟΔΟΣ", "ΟΔΟΣ, ΣΑ ΣΣ", "AİΣ", "가Σ", "Straße", "\U0001f697"]
    assert values(engine, F.lower, [*texts, None]) == [*[t.lower() for t in texts], None]


def test_counts_and_collections_of_nothing(engine) -> None:
    rows = engine.table(pa.table({"n": [1, None, 1, 2]}))
    n = F.col("n")
    wanted = [
        F.count_if(n == 1).alias("ones"), F.collect_set(n).alias("set"),
        F.collect_list(n).alias("list"),
    ]  # fmt: skip
    (row,) = engine.collect(rows.agg(*wanted))
    assert (row["ones"], sorted(row["set"]), sorted(row["list"])) == (2, [1, 2], [1, 1, 2])
    (row,) = engine.collect(rows.where("n = 3").agg(*wanted))
    assert row == {"ones": 0, "set": [], "list": []}
