from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest

from luigi_traffic.dataset import NO_OBSERVATION, Check
from luigi_traffic.errors import DataError
from luigi_traffic.spark import quality

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
        ([GOOD[0], (at(5), "a", None, 1)], None, "1 rows have no speed"),
        ([GOOD[0], (at(5), "a", float("nan"), 1)], None, "1 rows have no speed"),
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
