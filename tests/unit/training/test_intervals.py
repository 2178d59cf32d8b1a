"""Intervals hold what they promise, are made of unseen errors, and grow with them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

import numpy as np
import pytest
from numpy.typing import NDArray
from training_tiny import PerLink, road, untrained

from luigi_traffic.training.fit_span import FitSpan
from luigi_traffic.training.forecaster import Forecaster
from luigi_traffic.training.intervals import Intervals, calibrate, unseen
from luigi_traffic.training.series import Series

STEPS, LINKS = 4, 20


class Known(Forecaster):
    """Forecasts 50 of every link; the series is 50 and an error of the link's own size."""

    def stream(
        self, series: Series, windows: NDArray[np.int64]
    ) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
        for piece in np.array_split(windows, 3):
            yield piece, np.full((len(piece), STEPS, len(series.links)), 50, np.float32)


def noisy(days: int, seed: int, skew: float = 0.0, missing: float = 0.2) -> Series:
    """The link n errs by (n + 1) / 5 km/h on average, with `skew` more slowly than fast."""
    rng = np.random.default_rng(seed)
    series = road(days=days, links=LINKS)
    error = rng.exponential(1, (len(series), LINKS)) * rng.choice(
        [-1 - skew, 1], (len(series), LINKS)
    )
    values = series.values.copy()
    values[..., 0] = 50 + error * (1 + np.arange(LINKS)) / 5
    values[rng.random((len(series), LINKS)) < missing, 0] = np.nan
    return replace(series, values=values)


def made(series: Series, level: float = 0.9) -> Intervals:
    forecaster = Known(untrained(PerLink(), series), "cpu")
    found = calibrate(forecaster, series, np.arange(len(series) - 9), level)
    assert found is not None
    return found


def inside(found: Intervals, series: Series) -> NDArray[np.float64]:
    """Share of observed values in their interval, by group."""
    lower, upper = found.around(np.full((1, STEPS, LINKS), 50, np.float32))
    actual = series.actual
    hit = np.where(np.isnan(actual), np.nan, (actual >= lower[0, 0]) & (actual <= upper[0, 0]))
    return np.array([np.nanmean(hit[:, found.group == at]) for at in range(found.low.shape[1])])


@pytest.mark.parametrize("level", [0.5, 0.9])
def test_the_level_holds_on_other_days_in_each_group(level: float) -> None:
    found = made(noisy(30, 1, skew=1.0), level)
    assert found.low.shape == found.high.shape == (STEPS, 4)  # five links each
    np.testing.assert_allclose(inside(found, noisy(30, 2, skew=1.0)), level, atol=0.03)
    width = found.high - found.low
    assert (np.diff(width, axis=1) > 0).all()  # links that err more have wider intervals
    assert (-found.low > 1.5 * found.high).all()  # and errors that are slow reach further down
    assert list(found.group) == sorted(found.group)


def test_a_link_that_was_never_seen_is_taken_for_one_of_the_worst() -> None:
    series = noisy(10, 1)
    values = series.values.copy()
    values[:, 3] = np.nan
    found = made(replace(series, values=values))
    assert found.group[3] == 3 and found.group[2] == 0


def test_too_few_errors_make_no_interval() -> None:
    series = noisy(1, 1, missing=0.9)
    forecaster = Known(untrained(PerLink(), series), "cpu")
    assert calibrate(forecaster, series, np.arange(len(series) - 9), 0.9) is None
    assert calibrate(forecaster, series, np.empty(0, np.int64), 0.9) is None
    # 100 errors cannot say where 1 in 1,000 lies.
    assert calibrate(forecaster, noisy(4, 1), np.arange(90), 0.9999) is None


def test_only_targets_after_the_training_and_before_the_forecast_count() -> None:
    series = road(days=4)  # half an hour each
    forecaster = Forecaster(untrained(PerLink(), series), "cpu")
    span = FitSpan(datetime(2024, 1, 1), datetime(2024, 1, 2, 23, 30))
    windows = unseen(forecaster, series, span, before=3 * 48)
    targets = series.timestamps[windows[:, None] + 6 + np.arange(4)]
    assert targets.min() == np.datetime64("2024-01-03T00:00")
    assert targets.max() == np.datetime64("2024-01-03T23:30")
    assert len(windows) == 48 - 3
    assert not len(unseen(forecaster, series, None, before=3 * 48))
    assert not len(unseen(forecaster, series, span, before=5))


def test_a_speed_is_never_below_zero() -> None:
    found = Intervals(0.9, np.zeros(2, np.int64), np.full((1, 1), -9), np.full((1, 1), 9))
    lower, upper = found.around(np.full((1, 1, 2), 4, np.float32))
    assert (lower == 0).all() and (upper == 13).all()


def test_a_forecast_lies_in_its_interval_though_it_always_errs_to_one_side() -> None:
    series = noisy(10, 1)
    values = series.values.copy()
    values[..., 0] = 50 + np.abs(values[..., 0] - 50) + 1
    found = made(replace(series, values=values))
    assert (found.low == 0).all() and (found.high > 1).all()
