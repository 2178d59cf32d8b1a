"""What of the expected values is there, by figures that are counted by hand."""

from __future__ import annotations

from datetime import datetime, time, timedelta

import pytest
from frames import arrow

from luigi_traffic.compute.coverage import Coverage, coverage
from luigi_traffic.errors import DataError

pytestmark = pytest.mark.spark
SCHEMA = "timestamp timestamp_ntz, link_id string"
HOUR, FIVE = timedelta(hours=1), timedelta(minutes=5)
HOURS = [time(hour) for hour in range(24)]
KEY = "datasets.city.min_coverage"


def rows(links: str = "abc", without: set[tuple[str, int]] = frozenset()) -> list[tuple]:
    return [
        (datetime(2024, 1, 1, hour), link)
        for hour in range(24) for link in links
        if (link, hour) not in without and ("", hour) not in without
    ]  # fmt: skip


def of(engine, silver: list[tuple], slots=HOURS, links=(), interval=HOUR) -> Coverage:
    frame = engine.table(arrow(silver, SCHEMA))
    return coverage(engine, frame, slots, list(links), interval)


def test_a_day_of_three_links_and_a_missing_hour(engine) -> None:
    found = of(engine, rows(without={("", 8), ("c", 3), ("c", 4), ("c", 5)}))
    # 3 links x 24 hours = 72; 3 values are missing at 08:00, 3 more of c: 66 are left.
    assert found.as_json() == {
        "links": 3, "slots": 24, "expected": 72, "observed": 66, "share": 0.916667,
        "missing_slots": 1, "missing": "08:00 to 09:00",
    }  # fmt: skip
    assert found.percent == "91.6%"
    assert found.gaps == (
        "no link reports at the expected intervals from 08:00 to 09:00 (coverage 91.6%)"
    )
    with pytest.raises(DataError) as caught:
        found.judge(0.95, KEY)
    assert str(caught.value) == (
        "only 91.6% of the day is there, less than datasets.city.min_coverage = 95.0%: 66 of 72 "
        "expected values (3 links at 24 intervals); no link reports at 1 of the 24 expected "
        "intervals: 08:00 to 09:00. Ask the source for the rest, or lower "
        "datasets.city.min_coverage"
    )
    found.judge(66 / 72, KEY)


def test_a_complete_day(engine) -> None:
    found = of(engine, rows())
    assert (found.expected, found.observed, found.percent, found.gaps) == (72, 72, "100.0%", None)
    found.judge(1, KEY)


def test_the_link_of_the_filter_that_never_reports_is_missed(engine) -> None:
    found = of(engine, rows("ab"), links=["a", "b", "silent"])
    assert (found.links, found.expected, found.observed) == (3, 72, 48)
    assert found.gaps is None
    with pytest.raises(DataError, match=r"48 of 72 .*; at each expected interval some link"):
        found.judge(0.9, KEY)


def test_values_at_other_times_and_of_other_links_count_nowhere(engine) -> None:
    found = of(engine, rows("abx"), slots=[time(6), time(7)], links=["a", "b"])
    assert (found.expected, found.observed, found.missing) == (4, 4, ())


def test_a_day_without_a_row(engine) -> None:
    found = of(engine, [])
    assert (found.links, found.expected, found.share, found.percent) == (0, 0, 0, "0.0%")
    found.judge(0, KEY)
    with pytest.raises(DataError, match="no link reports at all"):
        found.judge(0.1, KEY)


def test_a_gap_is_noted_from_half_an_hour_on(engine) -> None:
    """Between expected intervals that follow each other others may lie, as those of ITS do."""
    minutes = (0, 5, 15, 25, 35, 45, 55)
    slots = [time(hour, minute) for hour in range(24) for minute in minutes]
    kept = [t for t in slots if t.hour != 8 and t not in (time(3, 0), time(3, 5), time(3, 15))]
    found = of(
        engine, [(datetime.combine(datetime(2024, 1, 1), t), "a") for t in kept], slots,
        interval=FIVE,
    )  # fmt: skip
    assert (found.expected, found.observed) == (168, 158)
    assert found.spans == "03:00 to 03:20, 08:00 to 09:00"
    assert found.gaps == (
        "no link reports at the expected intervals from 08:00 to 09:00 (coverage 94.0%)"
    )


def test_a_gap_may_end_with_the_day(engine) -> None:
    found = of(engine, rows("a", without={("", 22), ("", 23)}))
    assert found.spans == "22:00 to 24:00"
