from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest

from luigi_traffic.api.dataset import NO_OBSERVATION, Check
from luigi_traffic.compute import quality
from luigi_traffic.errors import DataError

pytestmark = pytest.mark.spark

DAY = date(2012, 3, 28)
STEP = timedelta(minutes=5)
BRONZE = "link_id string, speed double, reject_reason string, raw_line string"
SILVER = "timestamp timestamp_ntz, link_id string, speed double, n_obs int"
REASONS = ("bad speed", NO_OBSERVATION)


def at(minute: int, second: int = 0, day: int = 28) -> datetime:
    return datetime(2012, 3, day, 8, minute, second)


def bronze_counts(spark, rows: list[tuple], folder: Path) -> quality.BronzeCounts:
    frame, observation = quality.observe_bronze(spark.createDataFrame(rows, BRONZE), REASONS)
    frame.write.parquet(str(folder / "out"))
    return quality.bronze_counts(observation, REASONS)


def test_bronze_is_counted_in_the_pass_that_writes(spark, tmp_path: Path) -> None:
    rows = [
        ("a", 50.0, None, None),
        ("a", None, "bad speed", "b-line"),
        ("b", None, "bad speed", "a" * 500),
        ("b", None, NO_OBSERVATION, "c"),
        ("b", None, "a reason nobody declared", "d"),
    ]
    counts = bronze_counts(spark, rows, tmp_path)
    assert counts.rows == 5
    assert counts.rejected == {"bad speed": 2, NO_OBSERVATION: 1, "other": 1}
    assert counts.rows_rejected == 4
    assert counts.examples == {"bad speed": "a" * 120, NO_OBSERVATION: "c"}
    assert spark.read.parquet(str(tmp_path / "out")).count() == 5
    quality.judge_bronze(counts, lines=5, most_rejected=0.6)  # 3 of 5: no observation is no fault
    with pytest.raises(
        DataError, match=r"3 of 5 rows \(60\.0%\).*max_rejected_share = 59\.0%"
    ) as e:
        quality.judge_bronze(counts, lines=5, most_rejected=0.59)
    assert f"2 x bad speed, for example: '{'a' * 120}'" in str(e.value)
    with pytest.raises(DataError, match="bronze made 5 rows of 6 lines"):
        quality.judge_bronze(counts, lines=6, most_rejected=1.0)


def test_bronze_of_nothing(spark, tmp_path: Path) -> None:
    counts = bronze_counts(spark, [], tmp_path)
    assert (counts.rows, counts.rejected, counts.examples) == (0, {}, {})
    assert counts.checksum == "0"
    quality.judge_bronze(counts, lines=0, most_rejected=0.0)


def silver_counts(
    spark, folder: Path, rows: list[tuple], good: list[str], links: list[str],
    checks: Sequence[Check] = (), rows_good: int | None = None,
) -> quality.SilverCounts:  # fmt: skip
    """Silver `rows`, said to be made of good bronze rows of these links."""
    source = spark.createDataFrame([(link,) for link in good], "link_id string")
    kept, before = quality.observe_silver_input(source, links)
    # The real stage writes one plan; here both observations run one after the other.
    kept.write.parquet(str(folder / "kept"))
    frame, after = quality.observe_silver(
        spark.createDataFrame(rows, SILVER), DAY, STEP, list(checks)
    )
    frame.write.parquet(str(folder / "silver"))
    return quality.judge_silver(
        before, after, len(good) if rows_good is None else rows_good, list(checks)
    )


GOOD = [(at(0), "a", 50.0, 2), (at(5), "a", 40.0, 1)]


def test_silver_adds_up(spark, tmp_path: Path) -> None:
    counts = silver_counts(spark, tmp_path, GOOD, ["a", "a", "a", "b"], ["a"])
    assert (counts.rows_in, counts.rows_out, counts.merged, counts.outside) == (4, 2, 1, 1)
    assert counts.rows_in == counts.rows_out + counts.merged + counts.outside
    assert (counts.first, counts.last) == ("2012-03-28 08:00:00", "2012-03-28 08:05:00")


def test_silver_of_nothing(spark, tmp_path: Path) -> None:
    from pyspark.sql import functions as F

    checks = [Check("fastest", F.max("speed"), low=1.0)]
    counts = silver_counts(spark, tmp_path, [], [], [], checks)
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
def test_silver_that_breaks_a_promise(spark, tmp_path: Path, rows, rows_good, message) -> None:
    with pytest.raises(DataError, match=message):
        silver_counts(spark, tmp_path, rows, ["a"] * 3, [], rows_good=rows_good)


def test_the_datasets_own_checks(spark, tmp_path: Path) -> None:
    from pyspark.sql import functions as F

    good = [Check("fastest", F.max("speed"), low=50.0, high=50.0)]
    assert silver_counts(spark, tmp_path / "1", GOOD, ["a"] * 3, [], good).checks == {"fastest": 50}
    bad = [
        Check("fastest", F.max("speed"), high=45.0),
        Check("links", F.approx_count_distinct("link_id"), low=2),
    ]
    with pytest.raises(DataError) as caught:
        silver_counts(spark, tmp_path / "2", GOOD, ["a"] * 3, [], bad)
    assert "fastest: 50 is above 45" in str(caught.value)
    assert "links: 1 is below 2" in str(caught.value)


def one_plan(
    spark, folder: Path, bronze: list[tuple], links: list[str], checks: Sequence[Check] = (), **more
) -> quality.SilverCounts:
    """Bronze rows (link, speed, reason) to silver as the stage does it, all in one write."""
    from pyspark.sql import functions as F

    if bronze:
        rows = [(at(5 * n), *row) for n, row in enumerate(bronze)]
        ddl = "timestamp timestamp_ntz, link_id string, speed double, reject_reason string"
        spark.createDataFrame(rows, ddl).write.parquet(str(folder / "bronze"))
        frame = spark.read.parquet(str(folder / "bronze"))
    else:
        frame = spark.createDataFrame(
            [], "timestamp timestamp_ntz, link_id string, speed double, reject_reason string"
        )
    good = frame.where("reject_reason IS NULL")
    kept, before = quality.observe_silver_input(good, links)
    start = F.window("timestamp", "5 minutes").getField("start").alias("timestamp")
    silver = kept.groupBy(start, "link_id").agg(
        F.max("speed").alias("speed"), F.count(F.lit(1)).alias("n_obs")
    )
    observed, after = quality.observe_silver(silver, DAY, STEP, list(checks))
    observed.write.parquet(str(folder / "silver"))
    assert spark.read.parquet(str(folder / "silver")).columns == silver.columns
    return quality.judge_silver(
        before, after, sum(row[2] is None for row in bronze), list(checks), links=links,
        known_links=lambda: quality.link_range(good), **more,
    )  # fmt: skip


BAD = [("a", None, NO_OBSERVATION), ("b", None, NO_OBSERVATION)]


def empty_days_are_counted(spark, folder: Path) -> None:
    """Unless told not to, Spark cuts away what it finds empty, with the counts taken there."""
    from pyspark.sql import functions as F

    count = Check("rows of the day", F.count(F.lit(1)), low=1)
    highest = Check("fastest", F.max("speed"), low=1)
    for number, (bronze, links) in enumerate([(BAD, []), (BAD, ["a", "z"]), ([], []), ([], ["z"])]):
        counts = one_plan(spark, folder / f"{number}", bronze, links, [highest])
        assert (counts.rows_in, counts.rows_out, counts.outside) == (0, 0, 0)
        assert (counts.checksum, counts.missing_links) == ("0", ())
    with pytest.raises(DataError, match="rows of the day: 0 is below 1"):
        one_plan(spark, folder / "check", BAD, [], [count])
    with pytest.raises(DataError, match="0 rows, fewer than min_rows = 2"):
        one_plan(spark, folder / "least", BAD, [], min_rows=2)
    good = [("x", 1.0, None), ('y, "z"', 2.0, None), *BAD]
    with pytest.raises(DataError) as caught:
        one_plan(spark, folder / "other", good, ["a", "b"])
    said = str(caught.value)
    assert "none of the 2 good rows belongs to the 2 links of the setting `links`" in said
    assert "for example 'x' and 'y, \"z\"'" in said
    counts = one_plan(spark, folder / "some", good, ['y, "z"', "b", "a"])
    assert (counts.rows_out, counts.outside, counts.missing_links) == (1, 1, ("a", "b"))


def test_days_without_a_good_row(spark, tmp_path: Path) -> None:
    empty_days_are_counted(spark, tmp_path)


def test_the_checksum_is_of_the_rows_whatever_their_layout(spark) -> None:
    rows = [(at(5 * (n % 12)), f"l{n}", n / 7, 1) for n in range(50)]

    def checksum(rows: list[tuple], partitions: int) -> str:
        frame = spark.createDataFrame(rows, SILVER).repartition(partitions)
        return frame.agg(quality.checksum_of(frame.columns).alias("c")).collect()[0]["c"]

    expected = checksum(rows, 1)
    assert checksum(rows[::-1], 3) == expected
    assert checksum(rows[1:], 2) != expected
    assert checksum([*rows, rows[0]], 2) != expected
    swapped = [(at(0), "l0", 1.0, 1), *rows[1:]]
    assert checksum(swapped, 2) != expected
