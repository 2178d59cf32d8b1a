from __future__ import annotations

import json
from datetime import date

import pytest

from luigi_traffic import DataError, LinkTable

ROWS = [
    {"link_id": "b", "name": "Main Street", "length": 350, "lanes": 2, "valid_from": "2024-01-01"},
    {"link_id": "a", "longitude": 144.9, "latitude": -37.8, "length": float("nan"), "name": None},
]


def test_rows_are_sorted_and_what_is_not_known_is_none() -> None:
    table = LinkTable.from_rows(ROWS)
    assert table.column("link_id") == ("a", "b")
    assert table.column("length") == (None, 350.0)
    assert table.column("valid_from") == (None, date(2024, 1, 1))
    assert len(table) == 2


def test_it_survives_json_and_has_a_checksum_of_its_content() -> None:
    table = LinkTable.from_rows(ROWS)
    again = LinkTable.from_rows(json.loads(json.dumps(table.as_dicts())))
    assert again == table
    assert again.checksum == table.checksum == LinkTable.from_rows(ROWS[::-1]).checksum
    assert LinkTable.from_rows(ROWS[:1]).checksum != table.checksum


def test_it_is_put_in_the_order_of_links_and_has_a_row_for_each() -> None:
    table = LinkTable.from_rows(ROWS).of(["b", "z", "a"])
    assert table.column("link_id") == ("b", "z", "a")
    assert table.column("length") == (350.0, None, None)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"link_id": "a", "lenght": 3}, "Row 1 .* the column 'lenght'.*Did you mean 'length'"),
        ({"name": "no id"}, "Row 1 .* link_id None; expected a text"),
        ({"link_id": 7}, "link_id 7; expected a text"),
        ({"link_id": "a", "length": "long"}, "length 'long'; expected a number of 0 or more"),
        ({"link_id": "a", "length": -1.0}, "expected a number of 0 or more"),
        ({"link_id": "a", "latitude": 144.9}, "expected a number from -90 to 90"),
        ({"link_id": "a", "name": 3}, "name 3; expected a text, or nothing"),
        ({"link_id": "a", "valid_to": "soon"}, "valid_to 'soon'; expected a date"),
        (
            {"link_id": "a", "valid_from": "2024-01-02", "valid_to": "2024-01-01"},
            "valid from 2024-01-02 to 2024-01-01",
        ),
    ],
)
def test_a_wrong_value_is_named(row: dict[str, object], said: str) -> None:
    with pytest.raises(DataError, match=said):
        LinkTable.from_rows([row])


def test_a_link_comes_once() -> None:
    with pytest.raises(DataError, match=r"Row 2 .* a second row of link 'a'"):
        LinkTable.from_rows([{"link_id": "a"}, {"link_id": "a"}])


def test_a_column_that_there_is_not_is_named() -> None:
    with pytest.raises(DataError, match=r"no column 'lane'\. Did you mean 'lanes'"):
        LinkTable.from_rows(ROWS).column("lane")
