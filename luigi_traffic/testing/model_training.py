"""A model trained on the toy road: it learns, and what is stored forecasts the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from luigi_traffic.api.model import Model
from luigi_traffic.errors import DataError, SettingsError
from luigi_traffic.testing.toy import batch
from luigi_traffic.training.baselines import Persistence, link_means
from luigi_traffic.training.bundle import Bundle
from luigi_traffic.training.forecaster import Forecaster

if TYPE_CHECKING:
    from luigi_traffic.testing.trial import Trial

#: What the model is tried with beside its own config: what is missing is filled, and marked.
_MISSING = {"fill": "profile", "flags": True, "ages": True}
#: A share of the baseline's error; a road without secrets is forecast far better than this.
_CLEARLY = 0.7


class TrainingChecks:
    """The model after `fit`."""

    model: type[Model]
    trial: Trial

    def test_it_learns(self) -> None:
        """On a daily profile, a wave and noise it clearly beats both persistence and the mean."""
        trial = self.trial
        try:
            done = trial.fitted
        except DataError as e:
            raise AssertionError(
                f"training on the toy road fails: {e} If the defaults are for much larger data, "
                "set `training` of the suite, for example {'learning_rate': 0.003}."
            ) from None
        series, t_in, t_out = trial.series, done.shape.input_steps, done.shape.output_steps
        windows = np.arange(done.split.test.start, done.split.test.stop)
        actual = series.actual[windows[:, None] + t_in + np.arange(t_out)]
        mean = link_means(series.actual[done.split.training_rows(t_in)])
        persistence = Persistence.of(series, t_in, t_out, mean).predict(windows)
        forecast = Forecaster(trial.bundle, "cpu").predict(series, windows)

        def error(said: np.ndarray) -> float:
            return float(np.nanmean(np.abs(said - actual)))

        ours, theirs = error(forecast), {
            "persistence": error(persistence),
            "the mean of each link": error(np.broadcast_to(mean, actual.shape)),
        }  # fmt: skip
        for name, other in theirs.items():
            assert ours < _CLEARLY * other, (
                f"on the toy road the model's error is {ours:.2f} km/h, that of {name} "
                f"{other:.2f}: it did not learn (best epoch {done.best_epoch} of "
                f"{len(done.history)}). Check that the forecast depends on the inputs, that "
                "nothing saturates, and that outputs are standard scores of the target; if the "
                "defaults are for much larger data, set `training` of the suite."
            )

    def test_stored_and_loaded_it_forecasts_the_same(self) -> None:
        """All that a forecast needs is in the state_dict and the config."""
        trial = self.trial
        bundle, folder = trial.bundle, trial.folder / "bundle"
        x = batch(bundle.shape, 8, seed=5)
        with torch.inference_mode():
            expected = trial.answer(bundle.network.cpu(), x)
            bundle.save(folder)
            loaded = Bundle.load(folder, lambda _: self.model())
            got = trial.answer(loaded.network, x)
        assert torch.allclose(expected, got, rtol=1e-5, atol=1e-6), (
            "a model forecasts differently after it was saved and loaded (by up to "
            f"{float((expected - got).abs().max()):.3g} standard deviations). Keep what training "
            "changes in parameters or persistent buffers (register_buffer), not in plain "
            "attributes: only the state_dict is stored."
        )
        assert loaded.config == bundle.config, (
            "the stored config is read back with other values. Use types that pydantic reads "
            "from JSON as it wrote them."
        )

    def test_it_takes_fill_flags_and_ages(self) -> None:
        """With filled inputs it trains, uses each added channel, and is stored as it is."""
        trial = self.trial
        short = {"epochs": 1, "samples_per_epoch": 400, "validation_samples": 200}
        config = trial.changed(**(trial.toy_config.model_dump() | short | _MISSING))
        if config is None:
            pytest.skip("the model's Config does not take fill, flags and ages")
        try:
            done = trial.fit(config)
        except SettingsError as e:
            raise AssertionError(str(e)) from None
        x = batch(done.shape, 16, links=None if not trial.model.per_link else 4, seed=6)
        own = len(trial.model.channels(config))
        with torch.inference_mode():
            expected = trial.answer(done.network.cpu(), x)
            for index in range(own, len(done.shape.channels)):
                other = x.clone()
                other[..., index] = 1 - x[..., index]
                assert not torch.equal(trial.answer(done.network, other), expected), (
                    f"the forecast does not depend on {done.shape.channels[index]}, which the "
                    "hyperparameters flags and ages add. Build the network for all of "
                    "shape.channels, or say in Config that the model does not take them: "
                    "flags: Literal[False] = False, and the same for ages."
                )
        folder, windows = trial.folder / "filled", np.arange(40)
        bundle = trial.stored(config, done)
        bundle.save(folder)
        loaded = Bundle.load(folder, lambda _: self.model())
        one, two = (Forecaster(b, "cpu").predict(trial.series, windows) for b in (bundle, loaded))
        assert np.allclose(one, two, rtol=1e-5, atol=1e-4), (
            "with filled inputs a model forecasts differently after it was saved and loaded. "
            "Build the network from `shape`, not from what channels() returns."
        )
