from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from luigi_traffic.errors import DataError
from luigi_traffic.training import windows


def test_the_split_of_the_literature_on_metr_la() -> None:
    count = windows.window_count(34_272, 12, 12)
    assert count == 34_249
    parts = windows.split(count, 0.7, 0.1)
    assert [len(p) for p in (parts.train, parts.validation, parts.test)] == [23_974, 3_425, 6_850]
    assert parts.test.stop == count


@given(st.integers(20, 5000), st.floats(0.1, 0.8), st.floats(0.05, 0.15))
def test_splits_cover_all_windows_in_time_order(
    count: int, train: float, validation: float
) -> None:
    try:
        parts = windows.split(count, train, validation)
    except DataError:
        return
    assert [*parts.train, *parts.validation, *parts.test] == list(range(count))
    assert abs(len(parts.train) - count * train) <= 0.5


def test_too_few_windows_say_so() -> None:
    with pytest.raises(DataError, match=r"3 windows.*Take more days"):
        windows.split(3, 0.7, 0.1)


@given(st.integers(1, 40), st.integers(1, 6), st.integers(1, 6), st.booleans())
def test_views_equal_a_naive_loop(length: int, t_in: int, t_out: int, wide: bool) -> None:
    array = np.arange(length * 6).reshape(length, 2, 3) if wide else np.arange(length)
    count = windows.window_count(length, t_in, t_out)
    assert count == sum(1 for i in range(length) if i + t_in + t_out <= length)
    if not count:
        return
    x = windows.inputs(array, t_in, t_out)
    y = windows.targets(array, t_in, t_out)
    assert len(x) == len(y) == count
    for i in range(count):
        np.testing.assert_array_equal(x[i], array[i : i + t_in])
        np.testing.assert_array_equal(y[i], array[i + t_in : i + t_in + t_out])
    assert np.shares_memory(x, array)
    assert np.shares_memory(y, array)


def test_training_rows_are_the_inputs_of_training_windows() -> None:
    parts = windows.split(100, 0.7, 0.1)
    rows = np.arange(100 + 5 + 3 - 1)
    seen = np.unique(windows.inputs(rows, 5, 3)[list(parts.train)])
    np.testing.assert_array_equal(rows[parts.training_rows(5)], seen)
