"""Missing inputs: the last observation, a profile, flags and ages; and what never sees a fill."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from training_tiny import AllLinks, PerLink, config, get_model, gold_rows, untrained

from luigi_traffic import DAY_OF_WEEK, OBSERVED, TARGET, Model, ModelConfig, ModelShape
from luigi_traffic.api.model import AGE, input_channels, resolved, restored_config, stored_config
from luigi_traffic.errors import SettingsError
from luigi_traffic.training.baselines import HistoricalMedian
from luigi_traffic.training.batches import Tensors
from luigi_traffic.training.bundle import Bundle
from luigi_traffic.training.checkpoint import fingerprint
from luigi_traffic.training.comparison import compare
from luigi_traffic.training.evaluate import evaluate
from luigi_traffic.training.fit_epochs import fit
from luigi_traffic.training.fit_inputs import Prepared
from luigi_traffic.training.fit_span import FitSpan
from luigi_traffic.training.forecaster import Forecaster
from luigi_traffic.training.profile import Profile
from luigi_traffic.training.scaler import Scaler
from luigi_traffic.training.series import Series
from luigi_traffic.training.serving import next_steps

T_IN, T_OUT = 6, 4
CPU = torch.device("cpu")
TRAINED = slice(0, 100)
CHANNELS = ("speed", "speed:observed", "speed:age", "t1:age", "t1", DAY_OF_WEEK)
FILLS = ("none", "last", "profile")


def tensors(series: Series, fill: str, channels: tuple[str, ...] = CHANNELS) -> Tensors:
    scaler = Scaler.fit(series, TRAINED)
    profile = Profile.of(series, TRAINED, ("speed", "t1")) if fill == "profile" else None
    return Tensors(series, scaler, channels, T_IN, T_OUT, CPU, fill, profile)


def naive(series: Series, fill: str, column: str, window: int, link: int) -> list[list[float]]:
    """(value, flag, age) of each step, by a plain loop."""
    scaler = Scaler.fit(series, TRAINED)
    usual = HistoricalMedian.of(replace(series, target=column), TRAINED, T_IN, T_OUT)
    known = not np.isnan(series.column(column)[TRAINED, link]).all()
    last, at, out = 0.0, None, []
    for step in range(T_IN):
        row = window + step
        value = series.column(column)[row, link]
        typical = usual.table[usual.key[row], link]
        if observed := not np.isnan(value):
            at = step
            last = float(scaler.scale(column, value))
        filled = {
            "none": 0.0,
            "last": last,
            "profile": float(scaler.scale(column, typical)) if known else 0.0,
        }[fill]
        age = 1.0 if at is None else (step - at) / T_IN
        out.append([last if observed else filled, float(observed), age])
    return out


@pytest.mark.parametrize("fill", FILLS)
def test_inputs_equal_a_naive_loop(series: Series, fill: str) -> None:
    values = series.values.copy()
    values[20:28, 1] = np.nan  # a window without an observation
    series = replace(series, values=values)
    windows, links = np.array([3, 21, 150, 40, 20]), np.array([4, 1, 0, 2, 1])
    made = tensors(series, fill)
    x, _, _ = made.batch(windows, links)
    whole, _, _ = made.batch(windows, None)
    assert x.dtype == torch.float32
    assert bool(torch.isfinite(whole).all())
    for b, (window, link) in enumerate(zip(windows, links, strict=True)):
        speed = naive(series, fill, "speed", window, link)
        t1 = naive(series, fill, "t1", window, link)
        expected = np.column_stack([np.array(speed), np.array(t1)[:, [2, 0]]])
        np.testing.assert_allclose(x[b, :, 0, :5], expected, atol=1e-5)
        torch.testing.assert_close(whole[b, :, link], x[b, :, 0])


@pytest.mark.parametrize("fill", FILLS)
def test_what_was_observed_stays_and_targets_and_masks_are_those_without_a_fill(
    series: Series, fill: str
) -> None:
    windows = np.arange(0, 150, 7)
    plain = tensors(series, "none", ("speed",))
    filled = tensors(series, fill, ("speed", "speed:observed"))
    x, y, mask = filled.batch(windows, None)
    x0, y0, mask0 = plain.batch(windows, None)
    assert torch.equal(y, y0)
    assert torch.equal(mask, mask0)
    observed = x[..., 1] == 1
    assert torch.equal(observed, x0[..., 0] != 0)
    assert torch.equal(x[..., 0][observed], x0[..., 0][observed])
    assert bool((x[..., 0][~observed] != 0).any()) == (fill != "none")


def test_a_profile_is_learned_from_training_rows_alone(series: Series) -> None:
    later = series.values.copy()
    later[TRAINED.stop :] += 40
    one, two = (
        Profile.of(s, TRAINED, ("speed", "t2")) for s in (series, replace(series, values=later))
    )
    np.testing.assert_array_equal(one.table, two.table)
    assert np.isnan(one.table[:, :2, 1]).all()  # the first two links have no second neighbour
    scores = one.scores(("new", "L3"), ("t2", "flow", "speed"), Scaler.fit(series, TRAINED))
    assert not scores[:, 0].any()
    assert not scores[..., 1].any()
    assert scores[:, 1, [0, 2]].all()


def test_flags_and_ages_are_added_once_after_the_models_own_channels() -> None:
    class Own(PerLink):
        def channels(self, config: Any) -> tuple[str, ...]:
            return (TARGET, TARGET + AGE, "t1", "t2" + OBSERVED, DAY_OF_WEEK)

    own = ("speed", "speed:age", "t1", "t2:observed", "day_of_week")
    assert input_channels(Own(), config(), "speed") == own
    assert resolved((TARGET + AGE,), "flow") == ("flow:age",)
    flags = ("speed:observed", "t1:observed")
    assert input_channels(Own(), config(flags=True), "speed") == own + flags
    both = input_channels(Own(), config(flags=True, ages=True), "speed")
    assert both == (*own, *flags, "t1:age")


@pytest.mark.parametrize("fill", FILLS)
@pytest.mark.parametrize("model", [PerLink(), AllLinks()], ids=lambda model: model.name)
def test_batch_forecast_stored_model_and_server_give_the_same(
    series: Series, fill: str, model: Model, tmp_path: Path
) -> None:
    bundle = untrained(model, series, fill=fill, flags=model.per_link, ages=model.per_link)
    saved = bundle.save(tmp_path)
    loaded = Bundle.load(tmp_path, get_model, expected=saved)
    assert loaded.config == bundle.config
    windows = np.arange(len(series) - 20, len(series) - T_IN + 1)
    forecast = Forecaster(bundle, "cpu").predict(series, windows)
    again = Forecaster(loaded, "cpu").predict(series, windows)
    np.testing.assert_array_equal(forecast, again)
    # Those of training, with targets after the window.
    inputs = Tensors(
        series, bundle.scaler, bundle.shape.channels, T_IN, T_OUT, CPU, fill, bundle.profile
    )
    with torch.inference_mode():
        x, _, _ = inputs.batch(windows[:-T_OUT], None)
        mean, std = bundle.scaler.target
        by_batch = bundle.network.eval()(x) * std + mean
    np.testing.assert_allclose(forecast[:-T_OUT], by_batch.clamp(min=0), atol=1e-4)
    # A client sends the last window alone, without the rows in which nothing was observed.
    rows = gold_rows(series, len(series) - T_IN, len(series)).dropna(
        how="all", subset=["speed", "t1"]
    )
    served = next_steps(Forecaster(loaded, "cpu"), rows)["speed"].to_numpy()
    links = rows["link_id"].unique() if model.per_link else series.links
    columns = [series.links.index(link) for link in sorted(links)]
    np.testing.assert_allclose(served, forecast[-1][:, columns].ravel(), atol=1e-4)


def test_a_training_scores_observed_targets_and_baselines_as_without_a_fill(
    series: Series, tmp_path: Path
) -> None:
    scores, made = {}, {}
    for fill in FILLS:
        asked = config(epochs=1, fill=fill, flags=True, ages=True)
        done = fit(PerLink(), asked, series, checkpoint_dir=tmp_path / fill)
        assert done.shape.channels[-2:] == ("speed:age", "t1:age")
        bundle = replace(
            untrained(PerLink(), series, fill=fill), config=asked, shape=done.shape,
            network=done.network, scaler=done.scaler, profile=done.profile,
        )  # fmt: skip
        made[fill] = forecaster = Forecaster(bundle, "cpu")
        scores[fill] = evaluate(forecaster, series, done.split).scores
        model = scores[fill].pop("model")
        assert {step: row["count"] for step, row in model.items()} == {
            step: row["count"] for step, row in scores[fill]["persistence"].items()
        }
        windows = np.array([7])
        assert forecaster.observed(series, windows).tolist() == [
            (~np.isnan(series.actual[7:13])).sum(axis=0).tolist()
        ]
    assert scores["none"] == scores["last"] == scores["profile"]
    # Each of the two that are compared has inputs of its own fill.
    span = FitSpan.of(series, done.split, T_IN, T_OUT)
    one = compare(made["last"], made["profile"], span, series, done.split)
    two = compare(made["profile"], made["last"], span, series, done.split)
    np.testing.assert_array_equal(one.challenger, two.champion)
    np.testing.assert_array_equal(one.champion, two.challenger)
    assert (one.challenger != one.champion).all()


def test_a_network_of_a_fixed_width_is_refused_before_the_training(
    series: Series, tmp_path: Path
) -> None:
    class FixedNet(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = torch.nn.Linear(T_IN, T_OUT)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.linear(x[..., 0].transpose(1, 2) * x.squeeze(3).transpose(1, 2)).mT

    class Fixed(AllLinks):
        def build(self, config: Any, shape: ModelShape) -> torch.nn.Module:
            return FixedNet()

    with pytest.raises(
        SettingsError, match=r"tiny_all does not take .* \(speed:age\).*all of shape\.channels"
    ):
        fit(Fixed(), config(ages=True), series, checkpoint_dir=tmp_path)
    Prepared.of(Fixed(), config(fill="last"), series)


def test_defaults_leave_ids_and_cards_as_they_were(series: Series) -> None:
    class Filling(ModelConfig):
        fill: Any = "last"

    new = {"fill", "flags", "ages"}
    assert not new & set(stored_config(config()))
    assert new & set(stored_config(config(fill="last", ages=True))) == {"fill", "ages"}
    assert restored_config(ModelConfig, stored_config(config(ages=True))) == config(ages=True)
    # A model of before has no fill, whatever its plugin's default is by now.
    assert restored_config(Filling, stored_config(config())).fill == "none"
    assert stored_config(Filling())["fill"] == "last"
    marks = {fingerprint(PerLink(), config(fill=fill), series) for fill in FILLS}
    assert len(marks) == 3
