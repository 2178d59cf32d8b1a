"""The key `expected`: which intervals of a day each link should have."""

from __future__ import annotations

from datetime import date, time

import pytest
from declared_tables import GOOD, declared

from luigi_traffic.commands import settings as settings_list
from luigi_traffic.errors import SettingsError
from luigi_traffic.project import current

DAY = date(2024, 1, 1)


@pytest.mark.parametrize(
    ("expected", "count", "first", "last"),
    [
        ("all", 144, time(0), time(23, 50)),
        ({}, 144, time(0), time(23, 50)),
        ({"minutes": [30, 0]}, 48, time(0), time(23, 30)),
        ({"from": "05:00", "to": "23:00"}, 108, time(5), time(22, 50)),
        ({"minutes": [0], "from": "5:30"}, 18, time(6), time(23)),
        ({"minutes": [50], "to": "24:00"}, 24, time(0, 50), time(23, 50)),
    ],
)
def test_which_intervals(expected: object, count: int, first: time, last: time) -> None:
    found = declared(expected=expected).expected_slots(DAY)
    assert (len(found), found[0], found[-1]) == (count, first, last)


def test_nothing_is_expected_if_nothing_is_said() -> None:
    assert declared().expected_slots(DAY) is None


def test_it_makes_nothing_stale() -> None:
    plain, said = declared(), declared(expected="all")
    for stage in ("raw", "bronze", "silver", "gold"):
        assert plain.recipe_terms(stage) == said.recipe_terms(stage)


def test_it_is_shown_with_its_place(isolated) -> None:
    isolated.write("datasets/city.yml", GOOD + '  expected:\n    from: "05:00"\n')
    rows = {row["key"]: row for row in settings_list.rows(current())}
    row = rows["datasets.city.table.expected.from"]
    assert row["value"] == "05:00" and row["set_in"].endswith("city.yml:10")


@pytest.mark.parametrize(
    ("expected", "key", "told"),
    [
        ("often", "expected", "expected all, or a mapping, for example {minutes: [0, 30]"),
        ("[0, 30]", "expected", "expected all, or a mapping"),
        ("{minute: [0]}", "expected.minute", "unknown setting"),
        ("{minutes: 0}", "expected.minutes", "expected a list of minutes of an hour"),
        ("{minutes: []}", "expected.minutes", "expected a list of minutes of an hour"),
        ("{minutes: [60]}", "expected.minutes", "expected a list of minutes of an hour"),
        ("{minutes: [true]}", "expected.minutes", "expected a list of minutes of an hour"),
        ("{minutes: [0, 5]}", "expected.minutes", "no interval begins at minute 5 of an hour; "
         "expected some of 0, 10, 20, 30, 40, 50"),
        ("{from: 23:00}", "expected.from", "expected a time of the day in quotes"),
        ('{from: "24:30"}', "expected.from", "expected a time of the day in quotes"),
        ('{to: "noon"}', "expected.to", "expected a time of the day in quotes"),
        ('{from: "10:00", to: "10:00"}', "expected", "`to` is not after `from`"),
        ('{from: "10:01", to: "10:09"}', "expected", "no interval begins at such a time"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_named_with_its_key(isolated, expected: str, key: str, told: str) -> None:
    file = isolated.write("datasets/city.yml", f"{GOOD}  expected: {expected}\n")
    with pytest.raises(SettingsError) as caught:
        current().plugins.dataset("city")
    said = str(caught.value).partition("\n  looked in")[0]
    assert f"'datasets.city.table.{key}'" in said
    assert told in said and f"{file}:9" in said
