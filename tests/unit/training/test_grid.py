from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest

from luigi_traffic.errors import DataError
from luigi_traffic.training.grid import Grid, join

START = np.datetime64("2024-02-29", "us")
HOUR = np.timedelta64(1, "h")


def grid() -> Grid:
    return Grid(START, START + 3 * HOUR, timedelta(hours=1), 2)


def put(into: Grid, hours: list[int], codes: list[int], links: str, values: list[float]) -> None:
    column = np.array(values)
    into.put(START + np.array(hours) * HOUR, np.array(codes), list(links), [column, column + 0.5])


def test_links_that_come_later_widen_the_grid() -> None:
    into = grid()
    put(into, [0, 2], [0, 1], "ab", [1.0, 2.0])
    put(into, [2, 0], [2, 1], "abc", [3.0, 4.0])
    nan = np.nan
    expected = [[1.0, 4.0, nan], [nan, nan, nan], [nan, 2.0, 3.0]]
    np.testing.assert_array_equal(into.values[:, :, 0], expected)
    np.testing.assert_array_equal(into.values[:, :, 1], np.array(expected) + 0.5)
    assert into.values.dtype == np.float32
    assert into.rows == 4


def test_a_row_that_repeats_one_of_an_earlier_block_is_named() -> None:
    into = grid()
    put(into, [0, 1], [0, 1], "ab", [np.nan, 1.0])  # a row without a value is a row
    with pytest.raises(DataError, match=r"1 rows repeat.*link a at 2024-02-29T00:00"):
        put(into, [1, 0], [0, 0], "ab", [5.0, 6.0])


def test_a_span_of_no_whole_number_of_intervals_is_refused() -> None:
    with pytest.raises(DataError, match="not a whole number"):
        Grid(START, START + 3 * HOUR, timedelta(hours=2), 1)
    with pytest.raises(DataError, match="not a whole number"):
        Grid(START, START, timedelta(hours=1), 1)


def test_grids_are_joined_in_the_order_that_is_asked_for() -> None:
    first, second = grid(), grid()
    put(first, [0, 1], [0, 1], "za", [1.0, 2.0])
    put(second, [2, 2], [2, 0], "zam", [3.0, 4.0])
    grids = [first, None, second, grid()]
    joined = join(grids, 3, np.array([1, 2, 0]), 2)
    assert grids == []
    nan = np.nan
    expected = np.full((12, 3), nan)
    expected[0], expected[1] = [nan, nan, 1.0], [2.0, nan, nan]
    expected[8] = [nan, 3.0, 4.0]
    np.testing.assert_array_equal(joined[:, :, 0], expected)
    assert joined.dtype == np.float32
