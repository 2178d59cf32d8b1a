from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from training_tiny import AllLinks, PerLink, around, config

from luigi_traffic.errors import DataError
from luigi_traffic.training import windows as w
from luigi_traffic.training.bundle import Bundle
from luigi_traffic.training.evaluate import evaluate, holdout
from luigi_traffic.training.fit_epochs import fit
from luigi_traffic.training.forecaster import Forecaster
from luigi_traffic.training.metrics import free_flow
from luigi_traffic.training.series import Series


def trained(series: Series, folder: Path, model: type = PerLink, **changes: object) -> tuple:
    settings = config(**changes)
    done = fit(model(), settings, series, checkpoint_dir=folder)
    flow = free_flow(series.actual[done.split.training_rows(settings.input_steps)])
    bundle = Bundle(
        model(),
        settings,
        done.shape,
        done.scaler,
        done.network,
        "road",
        around(series),
        flow,
    )
    return Forecaster(bundle, "cpu"), done


@pytest.mark.parametrize("model", [PerLink, AllLinks])
def test_scores_equal_a_plain_computation(series: Series, tmp_path: Path, model: type) -> None:
    forecaster, done = trained(series, tmp_path, model)
    got = evaluate(forecaster, series, done.split)
    test = np.arange(done.split.test.start, done.split.test.stop)
    actual = w.targets(series.actual, 6, 4)[test]
    forecast = forecaster.predict(series, test)
    mask = ~np.isnan(actual)
    error = np.abs(forecast - actual)
    assert got.mae() == pytest.approx(np.nanmean(error), rel=1e-5)
    assert got.by_step["model"] == pytest.approx(
        [np.nanmean(error[:, s]) for s in range(4)], rel=1e-5
    )
    counts = {scores["mean"]["count"] for scores in got.scores.values()}
    assert counts == {int(mask.sum())}
    assert list(got.scores) == ["model", "persistence", "day before", "historical median"]
    assert list(got.scores["model"]) == ["3", "mean"]
    assert got.windows == got.windows_total == len(test)
    assert got.last_target == str(series.timestamps[-1].astype("datetime64[s]"))
    json.dumps(got.as_dict(), allow_nan=False)


def test_forecasts_are_unscaled_and_never_negative(series: Series, tmp_path: Path) -> None:
    forecaster, _ = trained(series, tmp_path)
    x = forecaster.predict(series, np.array([10]))
    assert 20 < x.mean() < 80
    with torch.no_grad():
        for parameter in forecaster._network.parameters():
            parameter.fill_(-5.0)
    assert (forecaster.predict(series, np.array([10])) == 0).all()


def test_next_steps_and_rolling_forecast_of_a_day(series: Series, tmp_path: Path) -> None:
    forecaster, _ = trained(series, tmp_path)
    day = replace(series, values=series.values[48 - 6 : 96], start=series.timestamps[48 - 6])
    starts = forecaster.rolling(day, 6)
    assert len(starts) == 48  # one at the end of each interval of the day
    issued = forecaster.issued(day, starts)
    assert issued[0] == np.datetime64("2024-01-02T00:30")
    assert issued[-1] == np.datetime64("2024-01-03T00:00")
    whole = forecaster.predict(series, starts + 42)
    np.testing.assert_allclose(forecaster.predict(day, starts), whole, rtol=1e-5)
    np.testing.assert_array_equal(
        forecaster.observed(day, starts)[5], (~np.isnan(day.actual[5 + 1 : 5 + 7])).sum(axis=0)
    )


def test_a_link_without_observations_is_forecast_and_shown(series: Series, tmp_path: Path) -> None:
    forecaster, _ = trained(series, tmp_path)
    values = series.values.copy()
    values[:, 1] = np.nan
    series = replace(series, values=values)
    forecast = forecaster.predict(series, np.array([0, 1]))
    assert np.isfinite(forecast).all()
    assert (forecaster.observed(series, np.array([0, 1]))[:, 1] == 0).all()


def test_links_of_another_day(series: Series, tmp_path: Path) -> None:
    other = series.aligned(["L3", "new", "L0"])
    at = np.array([20])
    one, _ = trained(series, tmp_path / "a", PerLink)
    assert one.links(other) == ("L3", "new", "L0")
    full = one.predict(series, at)
    np.testing.assert_allclose(one.predict(other, at)[0][:, [0, 2]], full[0][:, [3, 0]], rtol=1e-5)
    all_links, _ = trained(series, tmp_path / "b", AllLinks)
    assert all_links.links(other) == series.links
    assert all_links.predict(other, at).shape == (1, 4, 5)


def test_a_window_outside_or_another_interval_is_an_error(series: Series, tmp_path: Path) -> None:
    forecaster, _ = trained(series, tmp_path)
    with pytest.raises(DataError, match="is not within"):
        forecaster.predict(series, np.array([len(series) - 5]))
    forecaster.predict(series, np.array([len(series) - 6]))
    with pytest.raises(DataError, match="intervals"):
        forecaster.predict(replace(series, interval=series.interval * 2), np.array([0]))


def test_a_capped_hold_out_is_always_the_same_and_said(series: Series, tmp_path: Path) -> None:
    forecaster, done = trained(series, tmp_path)
    some = holdout(done.split, 10)
    assert len(set(some.tolist())) == 10
    assert set(some.tolist()) <= set(done.split.test)
    np.testing.assert_array_equal(some, holdout(done.split, 10))
    assert (np.diff(some) > 0).all()
    assert len(set(np.diff(some).tolist())) > 1  # not every n-th
    got = evaluate(forecaster, series, done.split, 10)
    assert (got.windows, got.windows_total) == (10, len(done.split.test))


def test_an_empty_hold_out_is_an_error(series: Series, tmp_path: Path) -> None:
    forecaster, done = trained(series, tmp_path)
    values = series.values.copy()
    values[done.split.test.start :] = np.nan
    with pytest.raises(DataError, match="hold-out windows"):
        evaluate(forecaster, replace(series, values=values), done.split)
