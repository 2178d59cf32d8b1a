from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from luigi_traffic.errors import DataError
from luigi_traffic.training.batches import Samples, Tensors
from luigi_traffic.training.scaler import Scaler
from luigi_traffic.training.series import Series

T_IN, T_OUT = 6, 4
CHANNELS = ("day_of_week", "t1:observed", "speed", "time_of_day", "speed:observed", "f2")
CPU = torch.device("cpu")


def tensors(series: Series) -> tuple[Tensors, Scaler]:
    scaler = Scaler.fit(series, slice(0, 100))
    return Tensors(series, scaler, CHANNELS, T_IN, T_OUT, CPU), scaler


def naive(series: Series, scaler: Scaler, window: int, link: int) -> np.ndarray:
    rows = range(window, window + T_IN)
    out = []
    for r in rows:
        value = {c: series.values[r, link, i] for i, c in enumerate(series.columns)}
        scaled = {
            c: 0.0 if np.isnan(v) else (v - scaler.mean[i]) / scaler.std[i]
            for i, (c, v) in enumerate(value.items())
        }
        out.append(
            [
                series.day_of_week[r],
                float(not np.isnan(value["t1"])),
                scaled["speed"],
                series.slot_of_day[r] / series.steps_per_day,
                float(not np.isnan(value["speed"])),
                scaled["f2"],
            ]
        )
    return np.array(out)


def test_pairs_and_whole_windows_equal_a_naive_loop(series: Series) -> None:
    made, scaler = tensors(series)
    windows, links = np.array([3, 150, 40]), np.array([4, 0, 2])
    x, y, mask = made.batch(windows, links)
    assert x.shape == (3, T_IN, 1, len(CHANNELS))
    assert x.dtype == torch.float32
    everything, y_all, mask_all = made.batch(windows, None)
    assert everything.shape == (3, T_IN, 5, len(CHANNELS))
    for b, (w, n) in enumerate(zip(windows, links, strict=True)):
        expected = naive(series, scaler, w, n)
        np.testing.assert_allclose(x[b, :, 0], expected, atol=1e-5)
        np.testing.assert_allclose(everything[b, :, n], expected, atol=1e-5)
        actual = series.actual[w + T_IN : w + T_IN + T_OUT, n]
        np.testing.assert_array_equal(mask[b, :, 0], ~np.isnan(actual))
        np.testing.assert_array_equal(y[b, :, 0], np.nan_to_num(actual))
        np.testing.assert_array_equal(y_all[b, :, n], y[b, :, 0])
        np.testing.assert_array_equal(mask_all[b, :, n], mask[b, :, 0])


def test_an_unknown_channel_names_the_nearest(series: Series) -> None:
    with pytest.raises(DataError, match=r"'sped'.*'speed'"):
        Tensors(series, Scaler.fit(series, slice(0, 9)), ("sped",), T_IN, T_OUT, CPU)


@pytest.mark.parametrize("per_link", [True, False])
def test_only_samples_with_an_observed_target(series: Series, per_link: bool) -> None:
    values = series.values.copy()
    values[50:70] = np.nan
    values[:, 3] = np.nan
    series = replace(series, values=values)
    samples = Samples(series, range(30, 120), T_IN, T_OUT, per_link)
    got = set()
    for w, n in samples.batches(samples.drawn(0, 0, None), 7):
        got |= set(zip(w.tolist(), n.tolist(), strict=True)) if n is not None else set(w.tolist())
    observed = ~np.isnan(series.actual)
    expected = set()
    for w in range(30, 120):
        target = observed[w + T_IN : w + T_IN + T_OUT]
        if per_link:
            expected |= {(w, n) for n in range(5) if target[:, n].any()}
        elif target.any():
            expected.add(w)
    assert got == expected
    assert len(samples) == len(expected)
    assert len(expected) < (90 * 5 if per_link else 90)


def test_draws_are_a_function_of_seed_and_epoch_without_repeats_in_a_pass(series: Series) -> None:
    samples = Samples(series, range(100), T_IN, T_OUT, True)
    total, cap = len(samples), 64
    again = Samples(series, range(100), T_IN, T_OUT, True)
    for epoch in (5, 0, 11):
        np.testing.assert_array_equal(samples.drawn(3, epoch, cap), again.drawn(3, epoch, cap))
        assert len(samples.drawn(3, epoch, cap)) == cap
    assert (samples.drawn(3, 0, cap) != samples.drawn(4, 0, cap)).any()
    epochs = -(-total // cap)
    first_pass = np.concatenate([samples.drawn(3, e, cap) for e in range(epochs)])[:total]
    assert sorted(first_pass) == list(range(total))
    whole = samples.drawn(3, 1, None)
    assert sorted(whole) == list(range(total))
    assert (whole != samples.drawn(3, 0, None)).any()


def test_a_split_without_any_target_is_an_error(series: Series) -> None:
    values = series.values.copy()
    values[20:] = np.nan
    with pytest.raises(DataError, match="None of the 30 windows"):
        Samples(replace(series, values=values), range(30, 60), T_IN, T_OUT, True)
