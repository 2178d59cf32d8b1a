"""What a report says of the days of the hold-out, against a computation of its own."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import Trained

from luigi_traffic.training.holdout_coverage import (
    Coverage,
    validation_intervals,
    validation_targets,
)
from luigi_traffic.training.holdout_days import HoldoutDays, days_of
from luigi_traffic.training.holdout_onsets import OnsetSkill


@pytest.fixture(scope="module")
def holdout(trained: Trained) -> HoldoutDays:
    days = days_of(trained.series, trained.fit.split.test, 6, 4)
    return HoldoutDays.of(trained.forecaster, trained.series, days)


def test_a_day_has_what_was_forecast_so_long_before(trained: Trained, holdout: HoldoutDays) -> None:
    series, split = trained.series, trained.fit.split
    assert holdout.days == (range(480, 528), range(528, 576)) == holdout.days[-2:]
    assert holdout.days[0].start - 6 - 4 + 1 >= split.test.start
    said = trained.forecaster.predict(series, np.arange(len(series) - 5))
    for day in holdout:
        for slot, row in enumerate(day.rows):
            for step in range(4):
                window = row - step - 6  # its first row, of six before the issue
                np.testing.assert_allclose(day.values[step, slot], said[window, step], rtol=1e-5)
                seen = series.actual[window : window + 6]
                last = [column[~np.isnan(column)][-1:].sum() or np.nan for column in seen.T]
                np.testing.assert_array_equal(day.persistence[step, slot], last)
        np.testing.assert_array_equal(day.actual, series.actual[day.rows.start : day.rows.stop])
        np.testing.assert_array_equal(
            day.before, series.actual[day.rows.start - 48 : day.rows.start]
        )


def test_the_share_in_the_intervals_is_of_targets_that_did_not_make_them(
    trained: Trained, holdout: HoldoutDays
) -> None:
    series, split = trained.series, trained.fit.split
    intervals = validation_intervals(trained.forecaster, series, split, series.links, 0.8)
    assert intervals is not None
    coverage = Coverage(intervals)
    for day in holdout:
        coverage.add(day)

    # Of the third step, from the errors themselves: two groups of six links.
    windows = np.arange(split.validation.start, split.validation.stop)
    said = trained.forecaster.predict(series, np.arange(len(series) - 5))
    error = series.actual[windows + 6 + 2] - said[windows, 2]
    every = np.stack([series.actual[windows + 6 + s] - said[windows, s] for s in range(4)], axis=1)
    worst = np.argsort(np.nanmean(np.abs(every), axis=(0, 1)))[6:]
    assert set(np.flatnonzero(intervals.group)) == set(worst)
    known = np.sort(error[:, worst][~np.isnan(error[:, worst])])
    beyond = int((len(known) + 1) * 0.1) - 1
    low, high = known[beyond], known[-1 - beyond]
    assert (intervals.low[2, 1], intervals.high[2, 1]) == pytest.approx((low, high), rel=1e-5)
    rows = np.concatenate([list(rows) for rows in holdout.days])
    lower, upper = intervals.around(said[rows - 2 - 6][:, 2:3].repeat(4, axis=1))
    actual = series.actual[rows]
    inside = (actual >= lower[:, 2]) & (actual <= upper[:, 2])
    count = int((~np.isnan(actual)).sum())
    assert coverage.rows(series) == [("90 min", f"{inside.sum() / count:.1%}", f"{count:,}")]
    assert 0.5 < inside.sum() / count < 1

    # The last target of validation lies before all that is judged.
    last = validation_targets(trained.forecaster, series, split)[1]
    assert np.datetime64(last) == series.timestamps[windows[-1] + 9]
    assert np.datetime64(last) < series.timestamps[holdout.days[0].start]
    few = validation_intervals(trained.forecaster, series, split, series.links[:1], 0.99)
    assert few is None


def test_onsets_are_those_of_the_definition(trained: Trained, holdout: HoldoutDays) -> None:
    skill, step = OnsetSkill.of(holdout), 2  # the third, the reported one
    for day in holdout:
        skill.add(day)
    limit = 0.6 * trained.forecaster.bundle.free_flow
    onsets, any_hits, said, counts = 0, 0, {}, {}
    # Intervals of 30 minutes: free in the one before, congested in this one.
    for day in holdout:
        actual = np.concatenate([day.before, day.actual])
        for name, values in (("model", day.values), ("persistence", day.persistence)):
            said[name] = values < limit
            for t in range(48):
                for link in range(12):
                    now, before = actual[48 + t, link], actual[47 + t, link]
                    onset = now < limit[link] and before >= limit[link]
                    earlier = values[step, t - 1, link] >= limit[link] if t else False
                    alarm = said[name][step, t, link] and earlier and not np.isnan(now)
                    hits = counts.setdefault(name, np.zeros(3, int))
                    hits += [onset and said[name][step, t, link], alarm, alarm and not onset]
                    if name == "model":
                        onsets += onset
                        any_hits += onset and said[name][:, t, link].any()
    shares = [
        f"{part / whole:.0%}" if whole else "–"
        for hits, forecast, false in counts.values()
        for part, whole in ((hits, onsets), (false, forecast))
    ]
    assert onsets > 10 and counts["model"].min() > 0 and counts["persistence"][1] > 0
    assert skill.rows() == [("90 min", f"{onsets:,}", *shares)]
    assert skill.total == onsets
    assert skill.leads()[0].startswith(f"model: {any_hits:,} of {onsets:,}, the median of the lea")
    assert skill.congested == sum(int((day.actual < limit).sum()) for day in holdout)
