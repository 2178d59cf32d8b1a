"""When a day may be asked for: over in its zone, and settled; refused earlier, everywhere."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from plugin_sources import one

from luigi_traffic.api import clock
from luigi_traffic.api.settled import last_settled_day, refuse_unsettled, settled_at
from luigi_traffic.errors import DayNotOver, PluginError, SettingsError
from luigi_traffic.project import current
from luigi_traffic.tasks.pipeline import FullPipeline
from luigi_traffic.tasks.raw import IngestRaw

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def of(timezone: str = "Asia/Seoul", settles_after: timedelta = timedelta(0)) -> Any:
    return SimpleNamespace(name="city", timezone=timezone, settles_after=settles_after)


@pytest.mark.parametrize(
    ("zone", "day", "end"),
    [
        ("Asia/Seoul", "2024-05-31", "2024-05-31 15:00"),
        ("America/Los_Angeles", "2024-05-31", "2024-06-01 07:00"),
        # 23 and 25 hours long.
        ("Europe/Berlin", "2024-03-31", "2024-03-31 22:00"),
        ("Europe/Berlin", "2024-10-27", "2024-10-27 23:00"),
        # The clock goes from 24:00 to 01:00 at the end of the day: that midnight is skipped.
        ("Africa/Cairo", "2024-04-25", "2024-04-25 22:00"),
        # It goes from 24:00 back to 23:00: the day is over after the second time.
        ("Africa/Cairo", "2024-10-31", "2024-10-31 22:00"),
        # It goes from 01:00 back to 00:00: the day is over at the first midnight.
        ("America/Havana", "2024-11-02", "2024-11-03 04:00"),
        ("Pacific/Kiritimati", "2024-05-31", "2024-05-31 10:00"),
    ],
)
def test_a_day_ends_at_midnight_of_its_zone(zone: str, day: str, end: str) -> None:
    wanted = date.fromisoformat(day)
    assert settled_at(of(zone), wanted) == utc(end)
    for wait in (timedelta(0), 3 * HOUR, 30 * HOUR, 10 * DAY):
        dataset, moment = of(zone, wait), utc(end) + wait
        assert last_settled_day(dataset, moment) == wanted
        assert last_settled_day(dataset, moment - timedelta(seconds=1)) == wanted - DAY
        with clock.stopped_at(moment):
            refuse_unsettled(dataset, wanted)
        with clock.stopped_at(moment - timedelta(seconds=1)), pytest.raises(DayNotOver):
            refuse_unsettled(dataset, wanted)


def test_the_refusal_says_when_the_day_may_be_asked_for() -> None:
    with (
        clock.stopped_at(utc("2024-05-30 18:00")),
        pytest.raises(DayNotOver) as caught,
    ):
        refuse_unsettled(of(settles_after=6 * HOUR), date(2024, 5, 31))
    assert str(caught.value) == (
        "city 2024-05-31: the day is not over. In Asia/Seoul it is 2024-05-31 03:00; the source "
        "may be asked for the day from 2024-06-01 06:00 on, the end of the day and settles_after "
        "(6:00:00). The newest available day is 2024-05-29"
    )


def pipeline(day: date | None) -> FullPipeline:
    return FullPipeline(dataset="tiny", model="tiny_model", date=day, window_days=3)


def test_the_pipeline_refuses_it_before_anything_runs(tiny) -> None:
    with clock.stopped_at(utc("2024-05-30 18:00")):  # 03:00 of 31 May in Seoul
        assert pipeline(None).plan.date == date(2024, 5, 30)
        assert pipeline(date(2024, 5, 30)).requires()
        for day in (date(2024, 5, 31), date(2024, 6, 1), date(2031, 1, 1)):
            with pytest.raises(DayNotOver, match=f"tiny {day}: the day is not over"):
                pipeline(day).requires()
    tiny.plugin("slow", tiny_that_settles("timedelta(hours=6)"))
    with clock.stopped_at(utc("2024-05-30 18:00")):
        slow = FullPipeline(dataset="slow", model="tiny_model", window_days=3)
        assert slow.plan.date == date(2024, 5, 29)


def test_so_does_raw_whoever_asks(tiny) -> None:
    with (
        clock.stopped_at(utc("2024-05-30 18:00")),
        pytest.raises(DayNotOver, match="tiny 2024-05-31: the day is not over"),
    ):
        IngestRaw(date(2024, 5, 31), dataset="tiny").work()
    assert not tiny.home.exists() or not list(tiny.home.rglob("*.json"))


def tiny_that_settles(after: str) -> str:
    return one("slow", "Slow", f"settles_after = {after}")


@pytest.mark.parametrize("after", ["timedelta(seconds=-1)", "6", "'6 h'", "None"])
def test_a_plugin_says_it_as_a_time(isolated, after: str) -> None:
    isolated.plugin("slow", tiny_that_settles(after))
    with pytest.raises(PluginError, match=r"Slow\.settles_after is .*a timedelta"):
        current().plugins.dataset("slow")


@pytest.mark.parametrize(
    ("said", "wait"),
    [("6 h", 6 * HOUR), ("90min", 1.5 * HOUR), ("2 days", 2 * DAY), ("0", 0 * DAY), ("1 d", DAY)],
)
def test_a_file_of_settings_says_it(isolated, said: str, wait: timedelta) -> None:
    from declared_tables import GOOD

    isolated.write("datasets/city.yml", GOOD + f"  settles_after: {said}\n")
    dataset = current().plugins.dataset("city")
    assert dataset.settles_after == wait
    # It changes no day that is there.
    terms = [dataset.recipe_terms(stage) for stage in ("raw", "bronze", "silver", "gold")]
    assert "settles_after" not in str(terms)


@pytest.mark.parametrize("said", ["soon", "6", "-1 h", "6 weeks"])
def test_a_wrong_one_is_refused(isolated, said: str) -> None:
    from declared_tables import GOOD

    isolated.write("datasets/city.yml", GOOD + f"  settles_after: {said}\n")
    with pytest.raises(SettingsError, match=r"settles_after.*for example 90 min, 6 h or 1 day"):
        current().plugins.dataset("city")
