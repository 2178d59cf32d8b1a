"""What rejected rows take whole is said by name, however few they are; noise is not."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import pytest
from frames import arrow

from luigi_traffic.api.dataset import NO_OBSERVATION
from luigi_traffic.compute.losses import lost_whole

pytestmark = pytest.mark.spark
DAY = date(2024, 1, 1)
SCHEMA = "timestamp timestamp_ntz, link_id string, reject_reason string"
FIVE = timedelta(minutes=5)


def day(change=lambda at, link: (at, link, None)) -> list[tuple]:
    """A row each 5 minutes of 4 links, as `change` makes it."""
    midnight = datetime(2024, 1, 1)
    return [change(midnight + n * FIVE, link) for n in range(288) for link in ("a", "b", "c", "d")]


def told(engine, rows: list[tuple], columns: str = SCHEMA) -> str | None:
    frame = engine.table(arrow(rows, columns))
    return lost_whole(frame, engine.schema(frame), DAY, FIVE)


def test_rows_that_are_bad_by_chance_are_noise(engine) -> None:
    rows = day(
        lambda at, link: (at, link, "bad speed" if (link == "a") ^ (at.hour % 2 == 0) else None)
    )
    assert told(engine, rows) is None
    assert told(engine, day()) is None


def test_a_link(engine) -> None:
    rows = day(lambda at, link: (at, link, "implausible speed" if link == "c" else None))
    assert told(engine, rows) == "all rows of 1 links are rejected: 'c' (implausible speed)"
    dead = day(lambda at, link: (at, link, NO_OBSERVATION if link == "c" else None))
    assert told(engine, dead) is None


def test_intervals(engine) -> None:
    taken = {(0, 0), (8, 10), (8, 15)}
    rows = day(lambda at, link: (at, link, "bad speed" if (at.hour, at.minute) in taken else None))
    assert told(engine, rows) == (
        "all rows of 3 intervals are rejected: 00:00 to 00:05, 08:10 to 08:20 (bad speed)"
    )


@pytest.mark.parametrize("when", [None, datetime(2024, 1, 2)])
def test_an_hour_whose_times_cannot_be_read_or_are_of_another_day(engine, when) -> None:
    rows = day(lambda at, link: (at, link, None) if at.hour else (when, link, "bad time"))
    assert told(engine, rows) == (
        "no row is left of 00:00 to 01:00, and 48 rows without a readable time of the day are "
        "rejected"
    )


def test_hours_without_rows_and_a_few_bad_times_are_no_loss(engine) -> None:
    rows = [row for row in day() if 6 <= row[0].hour < 20]
    assert told(engine, [*rows, *[(None, "a", "bad time")] * 20]) is None


def test_a_bronze_of_other_columns_is_not_looked_at(engine) -> None:
    for row, schema in (
        (("a", "bad"), "sensor string, reject_reason string"),
        (("soon", "a", "bad"), "timestamp string, link_id string, reject_reason string"),
        (
            (datetime(2024, 1, 1), 7, "bad"),
            "timestamp timestamp, link_id int, reject_reason string",
        ),
    ):
        assert told(engine, [row], schema) is None
