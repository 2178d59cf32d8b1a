"""What a dataset may say of the times at which its links should report."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta

import pytest
from declared_tables import declared

from luigi_traffic.api.expected import expected_slots
from luigi_traffic.errors import PluginError

DAY = date(2024, 1, 1)


def city(said: object, interval: str = "1 h", timezone: str = "America/Los_Angeles"):
    """A dataset that answers `said`."""
    dataset = declared(interval=interval, timezone=timezone)
    dataset.expected_slots = lambda day: said
    return dataset


def test_nothing_is_said_by_default() -> None:
    assert expected_slots(declared(), DAY) is None
    assert expected_slots(city([]), DAY) == ()


def test_times_come_in_order() -> None:
    assert expected_slots(city([time(8), time(6)]), DAY) == (time(6), time(8))


def test_a_help_for_every_interval_or_some_minutes() -> None:
    dataset = declared(interval="15 min")
    every = dataset.day_slots()
    assert (len(every), every[0], every[1], every[-1]) == (96, time(0), time(0, 15), time(23, 45))
    assert dataset.day_slots({0, 45})[:3] == [time(0), time(0, 45), time(1)]


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("08:00", "returned a str"),
        (8, "returned a int"),
        (["08:00"], "has '08:00', not a datetime.time"),
        ([datetime(2024, 1, 1, 8)], "not a datetime.time"),
        ([time(8, tzinfo=UTC)], "not a datetime.time without a zone"),
        ([time(8, 5)], "has 08:05:00, at which no interval begins"),
        ([time(9), time(8), time(9)], "has 09:00:00 more than once"),
    ],
)
def test_what_is_no_list_of_slots_is_refused_by_name(said: object, told: str) -> None:
    with pytest.raises(PluginError) as caught:
        expected_slots(city(said), DAY)
    text = str(caught.value)
    assert text.startswith("dataset city: expected_slots(2024-01-01)")
    assert told in text and "each once, for example self.day_slots(), or None." in text


def test_the_hour_that_spring_leaves_out_is_not_expected() -> None:
    spring, autumn = date(2024, 3, 10), date(2024, 11, 3)
    every = city(None).day_slots()
    assert expected_slots(city(every), spring) == tuple(t for t in every if t.hour != 2)
    assert len(expected_slots(city(every), autumn)) == 24
    quarters = city(None, "15 min").day_slots()
    assert len(expected_slots(city(quarters, "15 min"), spring)) == 92
    # Half of this interval is there: 03:00 to 04:00.
    two = city(None, "2 h").day_slots()
    assert expected_slots(city(two, "2 h"), spring) == tuple(two)
    # A clock that goes forward by half an hour.
    half = city(None, "30 min", "Australia/Lord_Howe").day_slots()
    missing = set(half) - set(
        expected_slots(city(half, "30 min", "Australia/Lord_Howe"), date(2024, 10, 6))
    )
    assert missing == {time(2)}


def test_a_day_that_the_zone_has_skipped_expects_nothing() -> None:
    dataset = city(None, "1 h", "Pacific/Apia")
    dataset.expected_slots = lambda day: dataset.day_slots()
    assert expected_slots(dataset, date(2011, 12, 30)) == ()
    assert len(expected_slots(dataset, date(2011, 12, 30) + timedelta(days=1))) == 24
