from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from luigi_traffic.errors import DataError
from luigi_traffic.training import windows
from luigi_traffic.training.scaler import Scaler
from luigi_traffic.training.series import Series


def test_mean_and_deviation_of_observed_values_a_column(series: Series) -> None:
    scaler = Scaler.fit(series, slice(0, 50))
    for at, column in enumerate(series.columns):
        part = series.values[:50, :, at].astype(np.float64)
        assert scaler.mean[at] == pytest.approx(np.nanmean(part), rel=1e-9)
        assert scaler.std[at] == pytest.approx(np.nanstd(part), rel=1e-9)
        scaled = scaler.scale(column, series.column(column))
        assert scaled.dtype == np.float32
        np.testing.assert_array_equal(np.isnan(scaled), np.isnan(series.column(column)))
        assert np.nanmean(scaled[:50]) == pytest.approx(0, abs=1e-5)


def test_it_never_sees_validation_or_hold_out(series: Series) -> None:
    parts = windows.split(windows.window_count(len(series), 6, 4), 0.7, 0.1)
    rows = parts.training_rows(6)
    spoilt = series.values.copy()
    spoilt[rows.stop :] = 1e6
    assert Scaler.fit(replace(series, values=spoilt), rows) == Scaler.fit(series, rows)
    spoilt[rows.stop - 1] = 1e6  # the last row it does see
    assert Scaler.fit(replace(series, values=spoilt), rows) != Scaler.fit(series, rows)


def test_an_empty_column_scales_to_itself_and_an_empty_speed_is_an_error(series: Series) -> None:
    values = series.values.copy()
    values[..., 1] = np.nan
    values[..., 2] = 30
    scaler = Scaler.fit(replace(series, values=values), slice(0, 50))
    assert (scaler.mean[1], scaler.std[1]) == (0.0, 1.0)
    assert (scaler.mean[2], scaler.std[2]) == (30.0, 1.0)
    values[:50, :, 0] = np.nan
    with pytest.raises(DataError, match="no observed speed"):
        Scaler.fit(replace(series, values=values), slice(0, 50))


def test_json_there_and_back(series: Series) -> None:
    scaler = Scaler.fit(series, slice(0, 50))
    assert Scaler.from_dict(json.loads(json.dumps(scaler.as_dict()))) == scaler


def test_the_inputs_are_those_of_the_literature(metr_la: tuple[np.ndarray, np.ndarray]) -> None:
    values, _ = metr_la
    train = windows.split(windows.window_count(len(values), 12, 12), 0.7, 0.1).train
    x = windows.inputs(values, 12, 12)[: len(train)]
    # Published for the reference code, which counts a row once a window, and the zeros in.
    mean = x.mean(axis=(1, 2)).mean()
    square = np.stack([(x[:, i] ** 2).mean(axis=1) for i in range(12)]).mean()
    assert mean == pytest.approx(54.4059282958761, rel=1e-11)
    assert np.sqrt(square - mean**2) == pytest.approx(19.493739270573066, rel=1e-9)
