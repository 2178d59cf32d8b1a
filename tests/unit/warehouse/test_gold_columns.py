"""A column that a model asks for and gold has not: told by name, not by the database."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from luigi_traffic.errors import DataError
from luigi_traffic.training.gold import read_gold
from luigi_traffic.warehouse.tables import gold_table


def test_a_column_that_gold_lacks_is_told_with_the_nearest(warehouse) -> None:
    with warehouse.connect() as conn:
        gold_table("town", ["timestamp", "link_id", "speed", "rain"]).ensure(conn)
    day, end = date(2024, 5, 1), date(2024, 5, 2)
    with pytest.raises(DataError, match=r"channel 'rian', which gold does not have.*'rain'"):
        read_gold(warehouse, "town", {}, ["speed", "rian"], day, end, timedelta(minutes=5))
