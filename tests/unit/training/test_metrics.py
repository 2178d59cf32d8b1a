from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from luigi_traffic.training.metrics import Errors, free_flow, reported


def naive(forecast, actual, mask, limits, steps):
    size, square, ratio, truth, hits, wrong = [], [], [], [], 0, 0
    for w, s, n in np.ndindex(actual.shape):
        if s not in steps or not mask[w, s, n]:
            continue
        error = float(forecast[w, s, n]) - float(actual[w, s, n])
        size.append(abs(error))
        square.append(error**2)
        truth.append(abs(float(actual[w, s, n])))
        if actual[w, s, n] != 0:
            ratio.append(abs(error) / abs(float(actual[w, s, n])))
        slow, said = actual[w, s, n] < limits[n], forecast[w, s, n] < limits[n]
        hits += slow and said
        wrong += slow != said
    mean = lambda x: sum(x) / len(x) if x else None  # noqa: E731
    return {
        "mae": mean(size),
        "rmse": mean(square) ** 0.5 if square else None,
        "mape": 100 * mean(ratio) if ratio else None,
        "wape": 100 * sum(size) / sum(truth) if sum(truth) else None,
        "f1": 2 * hits / (2 * hits + wrong) if hits + wrong else None,
        "count": len(size),
    }


def test_by_hand() -> None:
    actual = np.array([[[50.0], [20.0], [0.0]]])
    forecast = np.array([[[40.0], [25.0], [3.0]]])
    mask = np.array([[[True], [True], [True]]])
    errors = Errors(3, free_flow=np.array([50.0]))  # congested below 30
    errors.update(forecast, actual, mask, hours=np.array([[7, 8, 8]]))
    assert errors.by_step() == [10, 5, 3]
    mean = errors.summary()["mean"]
    assert mean["mae"] == 6
    assert mean["rmse"] == pytest.approx(((100 + 25 + 9) / 3) ** 0.5)
    assert mean["mape"] == pytest.approx(100 * (10 / 50 + 5 / 20) / 2)  # a target of 0 has none
    assert mean["wape"] == pytest.approx(100 * (10 + 5 + 3) / 70)
    assert mean["f1"] == 1.0
    assert errors.by_hour()[7:10] == [10, 4, None]


def test_wape_is_not_ruled_by_small_targets() -> None:
    actual = np.array([50.0, 1.0]).reshape(2, 1, 1)
    errors = Errors(1)
    errors.update(actual + 1, actual, np.ones_like(actual, dtype=bool))
    score = errors.at(slice(0, 1))
    assert score["mape"] == pytest.approx(100 * (1 / 50 + 1) / 2)
    assert score["wape"] == pytest.approx(100 * 2 / 51)
    zero = Errors(1)
    zero.update(actual, np.zeros_like(actual), np.ones_like(actual, dtype=bool))
    assert zero.at(slice(0, 1))["wape"] is None  # no sum to share


def test_f1_counts_misses_and_false_alarms() -> None:
    actual = np.array([20.0, 20.0, 20.0, 50.0, 50.0]).reshape(5, 1, 1)
    forecast = np.array([20.0, 20.0, 50.0, 20.0, 50.0]).reshape(5, 1, 1)
    errors = Errors(1, np.array([50.0]))
    errors.update(forecast, actual, np.ones_like(actual, dtype=bool))
    assert errors.at(slice(0, 1))["f1"] == pytest.approx(2 * 2 / (2 * 2 + 1 + 1))
    assert Errors(1).at(slice(0, 1))["f1"] is None


speeds = st.floats(0, 120, width=32)
shape = st.tuples(st.integers(1, 5), st.integers(1, 13), st.integers(1, 3))


@settings(deadline=None)
@given(st.data(), shape)
def test_streamed_equals_a_naive_loop_over_the_whole_set(data, shape) -> None:
    actual = data.draw(hnp.arrays(np.float32, shape, elements=speeds))
    forecast = data.draw(hnp.arrays(np.float32, shape, elements=speeds))
    mask = data.draw(hnp.arrays(bool, shape))
    flow = data.draw(hnp.arrays(np.float32, shape[2], elements=speeds))
    actual[~mask] = np.nan
    errors = Errors(shape[1], flow)
    cut = data.draw(st.integers(0, shape[0]))
    for part in (slice(0, cut), slice(cut, None)):
        errors.update(forecast[part], actual[part], mask[part])
    summary = errors.summary()
    assert list(summary) == [*(str(s) for s in reported(shape[1])), "mean"]
    for name, got in summary.items():
        steps = range(shape[1]) if name == "mean" else [int(name) - 1]
        expected = naive(forecast, actual, mask, np.float32(0.6) * flow, steps)
        for key, value in expected.items():
            assert got[key] == (None if value is None else pytest.approx(value, rel=1e-6, abs=1e-9))


def test_what_is_masked_changes_nothing() -> None:
    rng = np.random.default_rng(0)
    actual, forecast = rng.random((2, 6, 4, 3)) * 60
    mask = rng.random((6, 4, 3)) < 0.5
    results = []
    for spoil in (0.0, np.nan, 1e9, np.inf):
        errors = Errors(4, np.full(3, 60.0))
        errors.update(np.where(mask, forecast, spoil), np.where(mask, actual, spoil), mask)
        results.append(errors.summary())
    assert all(r == results[0] for r in results)


def test_rmse_is_over_the_set_not_a_mean_of_batches() -> None:
    errors = Errors(1)
    for size, error in ((1, 10.0), (9, 0.0)):
        errors.update(
            np.full((size, 1, 1), error), np.zeros((size, 1, 1)), np.ones((size, 1, 1), bool)
        )
    assert errors.at(slice(0, 1))["rmse"] == pytest.approx(10**0.5)


def test_reported_steps_and_free_flow() -> None:
    assert reported(12) == (3, 6, 12)
    assert reported(8) == (3, 6)
    assert reported(2) == (2,)
    speed = np.array([[10.0, np.nan], [20.0, np.nan], [np.nan, np.nan]], dtype=np.float32)
    np.testing.assert_allclose(free_flow(speed), [18.5, np.nan])
