from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from luigi_traffic.errors import DataError
from luigi_traffic.training.series import Series, steps_per_day

MINUTES = np.timedelta64(1, "m")
START = np.datetime64("2024-02-29T00:00:00", "us")  # a Thursday
END = START + 60 * MINUTES


def scatter(minutes: list[int], codes: list[int], speed: list[float]) -> Series:
    return Series.from_columns(
        START + np.array(minutes) * MINUTES,
        np.array(codes),
        ["a", "b"],
        {"speed": np.array(speed), "t1": np.array(speed) * 2},
        START,
        END,
        timedelta(minutes=10),
    )


def test_rows_in_any_order_land_in_their_cell_and_the_rest_is_missing() -> None:
    series = scatter([50, 0, 20], [1, 0, 0], [5.0, 1.0, np.nan])
    assert series.values.shape == (6, 2, 2)
    assert series.values.dtype == np.float32
    expected = np.full((6, 2), np.nan)
    expected[5, 1], expected[0, 0] = 5.0, 1.0
    np.testing.assert_array_equal(series.actual, expected)
    np.testing.assert_array_equal(series.column("t1"), expected * 2)


def test_a_repeated_row_is_an_error_that_names_it() -> None:
    with pytest.raises(DataError, match=r"1 rows repeat.*link b at 2024-02-29T00:20"):
        scatter([0, 20, 20], [0, 1, 1], [1.0, 2.0, 3.0])


@pytest.mark.parametrize(("minute", "code"), [(60, 0), (-10, 0), (5, 0), (0, 2), (0, -1)], ids=str)
def test_a_row_off_the_grid_is_an_error(minute: int, code: int) -> None:
    with pytest.raises(DataError, match="1 rows lie outside"):
        scatter([0, minute], [1, code], [1.0, 2.0])


def test_a_series_needs_a_speed_and_a_day_of_whole_intervals() -> None:
    series = scatter([0], [0], [1.0])
    with pytest.raises(DataError, match="no column 'speed'"):
        replace(series, columns=("velocity", "t1"))
    with pytest.raises(DataError, match="not a whole number"):
        replace(series, interval=timedelta(minutes=7))
    assert steps_per_day(timedelta(hours=1)) == 24


def test_calendar() -> None:
    values = np.zeros((30, 1, 1), np.float32)
    series = Series(START, timedelta(hours=1), ("a",), ("speed",), values)
    assert series.timestamps[25] == np.datetime64("2024-03-01T01:00")
    assert series.slot_of_day.tolist() == [*range(24), *range(6)]
    assert series.day_of_week.tolist() == [3] * 24 + [4] * 6


def test_aligned_reorders_and_leaves_unknown_links_missing() -> None:
    series = scatter([0, 0], [0, 1], [1.0, 2.0])
    other = series.aligned(["b", "z", "a"])
    assert other.links == ("b", "z", "a")
    np.testing.assert_array_equal(other.actual[0], [2.0, np.nan, 1.0])
    assert np.isnan(other.actual[1:]).all()
