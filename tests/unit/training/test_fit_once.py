"""A model that is fitted in one go: same samples, scores, storage as the others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from training_tiny import PerLink, around, config, road

from luigi_traffic import OBSERVED, Model, ModelShape
from luigi_traffic.errors import DataError
from luigi_traffic.training.bundle import Bundle
from luigi_traffic.training.fit_epochs import fit
from luigi_traffic.training.fit_result import Progress


class LinearNet(torch.nn.Module):
    """A weight for each value of the window, and a constant, for each step."""

    def __init__(self, shape: ModelShape) -> None:
        super().__init__()
        width = shape.input_steps * len(shape.channels)
        self.register_buffer("weight", torch.zeros(shape.output_steps, width + 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        flat = x.permute(0, 2, 1, 3).flatten(2)
        return (flat @ self.weight[:, :-1].T + self.weight[:, -1]).permute(0, 2, 1)


class LeastSquares(Model):
    """Ordinary least squares over the observed targets of each step."""

    name, version, per_link = "least_squares", "1", True

    def channels(self, config: Any) -> tuple[str, ...]:
        return ("speed", "speed" + OBSERVED)

    def build(self, config: Any, shape: ModelShape) -> torch.nn.Module:
        return LinearNet(shape)

    def fit(self, config: Any, network: torch.nn.Module, batches: Any) -> None:
        parts = [(x[:, :, 0].reshape(len(x), -1), y[..., 0], m[..., 0]) for x, y, m in batches]
        x, y, mask = (np.concatenate(column) for column in zip(*parts, strict=True))
        assert len(x) == len(batches)
        assert (y[~mask] == 0).all() and (~mask).any()
        x = np.c_[x, np.ones(len(x))]
        for step, weight in enumerate(network.weight):
            seen = mask[:, step]
            found, *_ = np.linalg.lstsq(x[seen], y[seen, step], rcond=None)
            weight.copy_(torch.from_numpy(found))


def test_it_learns_is_scored_and_stored_as_any_other(tmp_path: Path) -> None:
    series, told = road(days=8), []
    model = LeastSquares()
    assert model.fitted_in_one_go and not PerLink().fitted_in_one_go
    done = fit(model, config(), series, checkpoint_dir=tmp_path / "c", progress=told.append)
    assert not (tmp_path / "c").exists()
    (last,) = told
    assert isinstance(last, Progress) and last.share == 1.0
    assert (done.best_epoch, done.resumed_at, len(done.history)) == (1, None, 1)
    assert done.samples_seen == done.samples_drawn == done.samples_total

    error = done.history[0]["validation_mae"]
    assert error == last.best_validation_mae
    assert error < 0.5 * _mae_of_the_mean(series, done)  # which is the network before its fit

    again = fit(model, config(), series, checkpoint_dir=tmp_path / "c")
    assert torch.equal(again.network.weight, done.network.weight)
    bundle = Bundle(
        model,
        config(),
        done.shape,
        done.scaler,
        done.network,
        "tiny",
        around(series),
        np.full(len(series.links), 60, np.float32),
    )
    bundle.save(tmp_path / "b")
    loaded = Bundle.load(tmp_path / "b", lambda _: LeastSquares())
    x = torch.randn(3, done.shape.input_steps, 2, 2)
    assert torch.equal(loaded.network(x), done.network(x))


def _mae_of_the_mean(series: Any, done: Any) -> float:
    rows = np.asarray(done.split.validation)[:, None] + done.shape.input_steps
    actual = series.actual[rows + np.arange(done.shape.output_steps)]
    return float(np.nanmean(np.abs(actual - done.scaler.target[0])))


def test_samples_are_drawn_by_seed_and_capped(tmp_path: Path) -> None:
    series = road()

    def weights(**changes: Any) -> torch.Tensor:
        done = fit(
            LeastSquares(), config(samples_per_epoch=200, **changes), series,
            checkpoint_dir=tmp_path,
        )  # fmt: skip
        assert done.samples_drawn == 200 < done.samples_total
        return done.network.weight

    assert torch.equal(weights(), weights())
    assert not torch.equal(weights(), weights(seed=1))


def test_the_training_error_is_that_of_as_many_samples_as_are_validated(tmp_path: Path) -> None:
    few, more, all_of_them = (
        fit(LeastSquares(), config(samples_per_epoch=200, validation_samples=count), road(),
            checkpoint_dir=tmp_path).history[0]["train_loss"]
        for count in (10, 200, None)
    )  # fmt: skip
    assert more == all_of_them != few


def test_a_fit_that_leaves_nonsense_is_told(tmp_path: Path) -> None:
    class Broken(LeastSquares):
        def fit(self, config: Any, network: torch.nn.Module, batches: Any) -> None:
            network.weight.fill_(float("nan"))

    with pytest.raises(DataError, match=r"fit\(\) of least_squares left something"):
        fit(Broken(), config(), road(), checkpoint_dir=tmp_path)


def test_a_model_of_gradient_steps_has_no_fit() -> None:
    with pytest.raises(TypeError, match="gradient steps"):
        PerLink().fit(config(), torch.nn.Linear(1, 1), [])
