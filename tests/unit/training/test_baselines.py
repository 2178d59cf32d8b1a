from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from luigi_traffic.errors import DataError
from luigi_traffic.training import baselines, windows
from luigi_traffic.training.baselines import DayBefore, HistoricalMedian, Persistence, link_means
from luigi_traffic.training.metrics import Errors
from luigi_traffic.training.series import Series

T_IN, T_OUT = 4, 3


def test_persistence_carries_the_last_observed_speed_of_the_window(series: Series) -> None:
    fallback = np.array([1, 2, 3, 4, 5], dtype=np.float32)
    values = series.values.copy()
    values[10:17, 2] = np.nan  # longer than a window
    series = replace(series, values=values)
    starts = np.arange(windows.window_count(len(series), T_IN, T_OUT))
    got = Persistence.of(series, T_IN, T_OUT, fallback).predict(starts)
    for w in starts:
        for n in range(5):
            seen = [v for v in series.actual[w : w + T_IN, n] if not np.isnan(v)]
            assert (got[w, :, n] == (seen[-1] if seen else fallback[n])).all()
    assert (got[11, :, 2] == 3).all()


def test_the_mean_of_a_link_without_a_value_is_that_of_all_links() -> None:
    values = np.array([[1, np.nan, 7], [3, np.nan, np.nan]], dtype=np.float32)
    np.testing.assert_allclose(link_means(values), [2, 11 / 3, 7], rtol=1e-6)
    assert np.isnan(link_means(values[:, 1:2])).all()


def made(values: np.ndarray, minutes: int, start: str = "2024-01-01T00:00") -> Series:
    """A series of `(T, N)` speeds; 2024-01-01 is a Monday."""
    links = tuple(f"L{n}" for n in range(values.shape[1]))
    begin = np.datetime64(start, "us")
    return Series(begin, timedelta(minutes=minutes), links, ("speed",), values[..., None])


def test_the_historical_median_forecasts_better_than_the_mean_of_the_weekday_and_slot() -> None:
    """Ten days of training hold one or two values of each: a mean of them is mostly noise."""
    rng = np.random.default_rng(1)
    rows, day = np.arange(17 * 288), 288
    profile = 50 + 10 * np.sin(2 * np.pi * rows / day)
    noise = rng.normal(0, 3, (len(rows), 4))
    jams = np.where(rng.random(noise.shape) < 0.05, -30, 0)
    values = (profile[:, None] + noise + jams).astype(np.float32)
    series, seen = made(values, 5), slice(0, 10 * day)
    windows_scored = np.arange(10 * day, 17 * day - 1)
    actual = values[windows_scored + 1]
    forecast = HistoricalMedian.of(series, seen, 1, 1).predict(windows_scored)[:, 0]
    same_time_of_week = [
        values[[row for row in (target - 1 * 7 * day, target - 2 * 7 * day) if 0 <= row < 10 * day]]
        for target in windows_scored + 1
    ]
    weekly = np.stack([found.mean(axis=0) for found in same_time_of_week])
    ours, theirs = (float(np.abs(said - actual).mean()) for said in (forecast, weekly))
    assert ours < 0.75 * theirs


def test_the_historical_median_is_what_its_definition_says() -> None:
    """Slots of 10 minutes, so two neighbours on each side; the days are cut at both ends."""
    rng = np.random.default_rng(2)
    values = (rng.random((9 * 144, 3)) * 60).astype(np.float32)
    values[rng.random(values.shape) < 0.5] = np.nan
    values[:, 2] = np.nan
    series = made(values, 10, "2024-01-04T13:20")  # a Thursday
    empty = (series.day_of_week >= 5) & (series.slot_of_day < 8)
    values[empty, 1] = np.nan
    seen = slice(0, 8 * 144 + 10)
    median = HistoricalMedian.of(series, seen, 1, 1)
    slots, weekend = series.slot_of_day[seen], series.day_of_week[seen] >= 5
    known = values[seen]
    links = [np.nanmedian(known[:, n]) for n in range(2)]
    links.append(np.median(links))
    fell_back = 0
    for kind in (False, True):
        for slot in range(144):
            near = np.minimum((slots - slot) % 144, (slot - slots) % 144) <= 2
            for link in range(3):
                own, other = (known[near & (weekend == k), link] for k in (kind, not kind))
                choice = next((v for v in (own, other) if (~np.isnan(v)).any()), None)
                fell_back += choice is other
                expected = links[link] if choice is None else np.nanmedian(choice)
                got = median.table[int(kind) * 144 + slot, link]
                assert got == np.float32(expected), (kind, slot, link)
    assert fell_back >= 4  # the night of the weekend on the second link


def test_the_historical_median_at_slots_longer_than_its_reach() -> None:
    # Slots of 12 hours, two weeks and a half; the training rows are two weeks.
    values = np.full((36, 3), np.nan, dtype=np.float32)
    values[:, 0] = np.arange(36)
    values[[0, 2, 11], 1] = [10, 30, 50]  # Monday and Tuesday, first slot; Saturday, second
    median = HistoricalMedian.of(made(values, 720), slice(0, 28), 1, 1)
    got = median.predict(np.arange(27, 35))[:, 0]  # targets: rows 28 (a Monday) to 35
    workdays = [np.median([0, 2, 4, 6, 8, 14, 16, 18, 20, 22]) + n for n in (0, 1)]
    np.testing.assert_allclose(got[:, 0], workdays * 4)
    np.testing.assert_allclose(got[:, 1], [20, 50] * 4)  # the weekend's, then its own
    np.testing.assert_allclose(got[:, 2], np.median([13.5, 30]))  # the links' medians
    weekend = median.table[median.key[[10, 11]], 1]
    np.testing.assert_allclose(weekend, [20, 50])


def test_a_training_part_of_workdays_alone_or_without_a_value() -> None:
    values = np.arange(10, dtype=np.float32)[:, None]
    series = made(values, 720)
    weekend = HistoricalMedian.of(series, slice(0, 4), 1, 1).table[2:]
    np.testing.assert_allclose(weekend[:, 0], [1, 2])  # the workdays' slots
    with pytest.raises(DataError, match="no observed speed"):
        HistoricalMedian.of(made(np.full_like(values, np.nan), 720), slice(0, 4), 1, 1)


def test_the_historical_median_sees_training_rows_only(series: Series) -> None:
    spoilt = series.values.copy()
    spoilt[100:] = 1e6
    a = HistoricalMedian.of(series, slice(0, 100), T_IN, T_OUT)
    b = HistoricalMedian.of(replace(series, values=spoilt), slice(0, 100), T_IN, T_OUT)
    np.testing.assert_array_equal(a.table, b.table)


@pytest.mark.parametrize("t_out", [3, 9])
def test_the_day_before_is_the_nearest_one_observed_before_the_issue(t_out: int) -> None:
    """Four slots a day, so nine steps reach more than two days ahead."""
    rng = np.random.default_rng(3)
    values = (rng.random((80, 2)) * 60).astype(np.float32)
    values[rng.random(values.shape) < 0.6] = np.nan
    values[30:70:4, 1] = np.nan  # no value in this slot for longer than a week
    median = HistoricalMedian.of(made(values, 360), slice(0, 40), 2, t_out)
    starts = np.arange(80 - 2 - t_out + 1)
    got = DayBefore.of(made(values, 360), median).predict(starts)
    otherwise, fell_back = median.predict(starts), 0
    for w, step, link in np.ndindex(got.shape):
        issue, target = w + 2, w + 2 + step
        nearest = [target - 4 * day for day in range(1, 12) if target - 4 * day < issue][:7]
        known = [values[r, link] for r in nearest if r >= 0 and not np.isnan(values[r, link])]
        fell_back += not known
        assert got[w, step, link] == (known[0] if known else otherwise[w, step, link])
    assert fell_back


@pytest.mark.parametrize("t_out", [3, 60])
def test_what_is_observed_after_the_issue_changes_no_forecast(series: Series, t_out: int) -> None:
    """48 slots a day, so 60 steps reach into the second day."""
    fallback = np.zeros(5, np.float32)
    training = slice(0, 100)

    def forecasts(given: Series, window: int) -> dict[str, np.ndarray]:
        median = HistoricalMedian.of(given, training, T_IN, t_out)
        known: dict[str, baselines.Baseline] = {
            "persistence": Persistence.of(given, T_IN, t_out, fallback),
            "day before": DayBefore.of(given, median),
            "historical median": median,
        }
        return {name: one.predict(np.array([window])) for name, one in known.items()}

    for window in range(96, len(series) - T_IN - t_out + 1, 7):
        spoilt = series.values.copy()
        spoilt[window + T_IN :] = 1e6
        expected = forecasts(series, window)
        for name, got in forecasts(replace(series, values=spoilt), window).items():
            np.testing.assert_array_equal(got, expected[name], err_msg=name)
            assert np.isfinite(got).all()


def test_persistence_on_metr_la(metr_la: tuple[np.ndarray, np.datetime64]) -> None:
    """The published row: windows, split, mask and metrics are those of the literature."""
    raw, start = metr_la
    parts = windows.split(windows.window_count(len(raw), 12, 12), 0.7, 0.1)
    test = np.arange(parts.test.start, parts.test.stop)
    links = tuple(str(i) for i in range(raw.shape[1]))
    actual = windows.targets(raw, 12, 12)
    scores = {}
    for kind, speed in (("last value", raw), ("last observed", np.where(raw == 0, np.nan, raw))):
        series = Series(
            start, timedelta(minutes=5), links, ("speed",), speed[..., None].astype(np.float32)
        )
        persistence = Persistence.of(series, 12, 12, np.full(len(links), 60, np.float32))
        errors = Errors(12)
        for piece in np.array_split(test, 20):
            truth = actual[piece]
            errors.update(persistence.predict(piece), truth, truth != 0)
        scores[kind] = [round(errors.summary()[s]["mae"] or 0, 3) for s in ("3", "6", "12")]
    assert scores["last value"] == [4.017, 5.094, 6.795]
    # Measured; what is scored in reports, a stricter bar than the published one.
    assert scores["last observed"] == [3.5, 4.208, 5.385]


@pytest.mark.parametrize(
    ("days", "expected"),
    [
        (28, {"historical median": 4.034, "day before": 6.614, "persistence": 3.899}),
        (14, {"historical median": 3.973, "day before": 5.698, "persistence": 4.419}),
    ],
)
def test_baselines_on_a_few_weeks_of_metr_la(
    metr_la: tuple[np.ndarray, np.datetime64], days: int, expected: dict[str, float]
) -> None:
    """The mean of each slot of each weekday, which this replaced, had 4.339 and 4.853."""
    raw, start = metr_la
    values = np.where(raw == 0, np.nan, raw)[: days * 288].astype(np.float32)
    parts = windows.split(windows.window_count(len(values), 12, 12), 0.7, 0.1)
    seen, test = parts.training_rows(12), np.arange(parts.test.start, parts.test.stop)
    series = made(values, 5, str(start))
    median = HistoricalMedian.of(series, seen, 12, 12)
    known: dict[str, baselines.Baseline] = {
        "historical median": median,
        "day before": DayBefore.of(series, median),
        "persistence": Persistence.of(series, 12, 12, link_means(values[seen])),
    }
    actual, scores = windows.targets(values, 12, 12), {}
    for name, one in known.items():
        errors = Errors(12)
        for piece in np.array_split(test, 20):
            errors.update(one.predict(piece), actual[piece], ~np.isnan(actual[piece]))
        scores[name] = round(errors.summary()["mean"]["mae"] or 0, 3)
    assert scores == expected
