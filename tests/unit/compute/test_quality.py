from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from frames import arrow

from luigi_traffic import functions as F
from luigi_traffic.api.dataset import NO_OBSERVATION, Check
from luigi_traffic.compute import quality
from luigi_traffic.compute.engine import Engine, Written
from luigi_traffic.errors import DataError
from luigi_traffic.lake.attempt import Attempt
from luigi_traffic.lake.local import LocalStore

pytestmark = pytest.mark.spark

DAY = date(2012, 3, 28)
STEP = timedelta(minutes=5)
BRONZE = "link_id string, speed double, reject_reason string, raw_line string"
SILVER = "timestamp timestamp_ntz, link_id string, speed double, n_obs int"
GOOD_AND_BAD = "timestamp timestamp_ntz, link_id string, speed double, reject_reason string"
REASONS = ("bad speed", NO_OBSERVATION)
NOTHING = "0000000000000000"


def at(minute: int, second: int = 0, day: int = 28) -> datetime:
    return datetime(2012, 3, day, 8, minute, second)


Write = Callable[..., Written]


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "lake")


@pytest.fixture
def write(engine: Engine, store: LocalStore) -> Write:
    def written(frame: Any, wanted: dict[str, Any]) -> Written:
        return engine.write(frame, store, Attempt.fresh("silver", "tiny", DAY), wanted)

    return written


def bronze_counts(engine, write: Write, rows: list[tuple]) -> quality.BronzeCounts:
    wanted = quality.bronze_aggregates(REASONS)
    written = write(engine.table(arrow(rows, BRONZE)), wanted)
    return quality.bronze_counts(written.values, REASONS)


def test_bronze_is_counted(engine, write) -> None:
    rows = [
        ("a", 50.0, None, None),
        ("a", None, "bad speed", "b-line"),
        ("b", None, "bad speed", "a" * 500),
        ("b", None, NO_OBSERVATION, "c"),
        ("b", None, "a reason nobody declared", "d"),
    ]
    counts = bronze_counts(engine, write, rows)
    assert counts.rows == 5
    assert counts.rejected == {"bad speed": 2, NO_OBSERVATION: 1, "other": 1}
    assert counts.rows_rejected == 4
    assert counts.examples == {"bad speed": "a" * 120, NO_OBSERVATION: "c"}
    quality.judge_bronze(counts, lines=5, most_rejected=0.6)  # 3 of 5: no observation is no fault
    with pytest.raises(
        DataError, match=r"3 of 5 rows \(60\.0%\).*max_rejected_share = 59\.0%"
    ) as e:
        quality.judge_bronze(counts, lines=5, most_rejected=0.59)
    assert f"2 x bad speed, for example: '{'a' * 120}'" in str(e.value)
    with pytest.raises(DataError, match="bronze made 5 rows of 6 lines"):
        quality.judge_bronze(counts, lines=6, most_rejected=1.0)


def test_the_example_is_the_same_on_both_engines_whatever_the_signs(engine, write) -> None:
    """The smallest by its bytes, cut at 120 characters, of which some take several bytes."""
    lines = ["\U0001f697" * 130, "\uffee", "가" * 130, "Z", "a", "é"]
    counts = bronze_counts(engine, write, [("a", None, "bad speed", line) for line in lines])
    assert counts.examples == {"bad speed": "Z"}
    long = [("a", None, "bad speed", line) for line in lines if ord(line[0]) > 0xFFFF]
    counts = bronze_counts(engine, write, [*long, ("a", None, "bad speed", "\U0001f698")])
    assert counts.examples == {"bad speed": "\U0001f697" * 120}
    counts = bronze_counts(engine, write, [*long, ("a", None, "bad speed", "\uffee")])
    assert counts.examples == {"bad speed": "\uffee"}


def test_bronze_of_nothing(engine, write) -> None:
    counts = bronze_counts(engine, write, [])
    assert (counts.rows, counts.rejected, counts.examples) == (0, {}, {})
    assert write(engine.table(arrow([], BRONZE)), {}).checksum == NOTHING
    quality.judge_bronze(counts, lines=0, most_rejected=0.0)


def silver_counts(
    engine, write: Write, rows: list[tuple], good: list[str], links: list[str],
    checks: Sequence[Check] = (), rows_good: int | None = None,
) -> quality.SilverCounts:  # fmt: skip
    """Silver `rows`, said to be made of good bronze rows of these links."""
    source = engine.table(arrow([(link,) for link in good], "link_id string"))
    # The real stage writes one plan; here both counts are of a plan of their own.
    marked = engine.marked(source, links, quality.KEPT) if links else source
    counted, read = engine.counted(marked, quality.input_aggregates(links))
    write(counted, {})
    wanted = quality.silver_aggregates(["speed"], DAY, STEP, checks)
    written = write(engine.table(arrow(rows, SILVER)), wanted)
    return quality.judge_silver(
        read(), written.values, len(good) if rows_good is None else rows_good, list(checks)
    )


GOOD = [(at(0), "a", 50.0, 2), (at(5), "a", 40.0, 1)]


def test_silver_adds_up(engine, write) -> None:
    counts = silver_counts(engine, write, GOOD, ["a", "a", "a", "b"], ["a"])
    assert (counts.rows_in, counts.rows_out, counts.merged, counts.outside) == (4, 2, 1, 1)
    assert counts.rows_in == counts.rows_out + counts.merged + counts.outside
    assert (counts.first, counts.last) == ("2012-03-28 08:00:00", "2012-03-28 08:05:00")


def test_silver_of_nothing(engine, write) -> None:
    checks = [Check("fastest", F.max("speed"), low=1.0)]
    counts = silver_counts(engine, write, [], [], [], checks)
    assert (counts.rows_in, counts.rows_out, counts.first) == (0, 0, None)
    assert counts.checks == {"fastest": None}


@pytest.mark.parametrize(
    ("rows", "rows_good", "message"),
    [
        (GOOD[:1], None, "rows are not conserved: 3 in, but n_obs sums to 2"),
        (GOOD, 4, "silver read 3 rows; bronze committed 4 good ones"),
        ([GOOD[0], (at(7), "a", 1.0, 1)], None, "1 rows are not on the day's time grid"),
        ([GOOD[0], (at(5, 1), "a", 1.0, 1)], None, "1 rows are not on the day's time grid"),
        ([GOOD[0], (at(5, day=29), "a", 1.0, 1)], None, "1 rows are not on the day's time grid"),
        ([GOOD[0], (None, "a", 1.0, 1)], None, "1 rows are not on the day's time grid"),
        ([GOOD[0], (at(5), None, 1.0, 1)], None, "1 rows .* have no link_id"),
        ([GOOD[0], (at(5), "a", None, 1)], None, "1 rows have no value of any measure"),
        ([GOOD[0], (at(5), "a", float("nan"), 1)], None, "1 rows have no value of any measure"),
    ],
)
def test_silver_that_breaks_a_promise(engine, write, rows, rows_good, message) -> None:
    with pytest.raises(DataError, match=message):
        silver_counts(engine, write, rows, ["a"] * 3, [], rows_good=rows_good)


def test_the_datasets_own_checks(engine, write) -> None:
    good = [Check("fastest", F.max("speed"), low=50.0, high=50.0)]
    assert silver_counts(engine, write, GOOD, ["a"] * 3, [], good).checks == {"fastest": 50}
    bad = [
        Check("fastest", F.max("speed"), high=45.0),
        Check("links", F.approx_count_distinct("link_id"), low=2),
    ]
    with pytest.raises(DataError) as caught:
        silver_counts(engine, write, GOOD, ["a"] * 3, [], bad)
    assert "fastest: 50 is above 45" in str(caught.value)
    assert "links: 1 is below 2" in str(caught.value)


@pytest.fixture
def one_plan(engine, store, write) -> Callable[..., quality.SilverCounts]:
    """Bronze rows (link, speed, reason) to silver as the stage does it, all in one write."""

    def counts(
        bronze: list[tuple], links: list[str], checks: Sequence[Check] = (), **more: Any
    ) -> quality.SilverCounts:
        rows = [(at(5 * n), *row) for n, row in enumerate(bronze)]
        before = engine.table(arrow(rows, GOOD_AND_BAD))
        schema = engine.schema(before)
        files = write(before, {}).files if rows else []
        good = engine.read(store, files, schema).where("reject_reason IS NULL")
        marked = engine.marked(good, links, quality.KEPT) if links else good
        counted, read = engine.counted(marked, quality.input_aggregates(links))
        kept = counted.where(quality.KEPT).drop(quality.KEPT) if links else counted
        start = F.interval_start("timestamp", STEP).alias("timestamp")
        silver = kept.groupBy(start, "link_id").agg(
            F.max("speed").alias("speed"), F.count(F.lit(1)).alias("n_obs")
        )
        written = write(silver, quality.silver_aggregates(silver.columns, DAY, STEP, checks))
        found = quality.judge_silver(
            read(), written.values, sum(row[2] is None for row in bronze), list(checks),
            links=links, known_links=lambda: quality.link_range(good), **more,
        )  # fmt: skip
        assert (written.checksum == NOTHING) == (not found.rows_out)
        return found

    return counts


BAD = [("a", None, NO_OBSERVATION), ("b", None, NO_OBSERVATION)]


def test_days_without_a_good_row(one_plan) -> None:
    """Unless told not to, Spark cuts away what it finds empty, with the counts taken there."""
    highest = Check("fastest", F.max("speed"), low=1)
    for bronze, links in [(BAD, []), (BAD, ["a", "z"]), ([], []), ([], ["z"])]:
        counts = one_plan(bronze, links, [highest])
        assert (counts.rows_in, counts.rows_out, counts.outside) == (0, 0, 0)
        assert counts.missing_links == ()
    with pytest.raises(DataError, match="rows of the day: 0 is below 1"):
        one_plan(BAD, [], [Check("rows of the day", F.count(F.lit(1)), low=1)])
    with pytest.raises(DataError, match="0 rows, fewer than min_rows = 2"):
        one_plan(BAD, [], min_rows=2)


def test_links_of_the_filter_and_of_the_day(one_plan) -> None:
    good = [("x", 1.0, None), ('y, "z"', 2.0, None), *BAD]
    with pytest.raises(DataError) as caught:
        one_plan(good, ["a", "b"])
    said = str(caught.value)
    assert "none of the 2 good rows belongs to the 2 links of the setting `links`" in said
    assert "about 2, for example 'x' and 'y, \"z\"'" in said
    counts = one_plan(good, ['y, "z"', "b", "a"])
    assert (counts.rows_out, counts.outside, counts.missing_links) == (1, 1, ("a", "b"))
