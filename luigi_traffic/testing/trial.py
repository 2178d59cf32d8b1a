"""A model as the suite tries it: built for any shape, and trained once on the toy road."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from pydantic import ValidationError

from luigi_traffic.api.context import ModelContext
from luigi_traffic.api.model import Model, ModelConfig, ModelShape, build_network, input_channels
from luigi_traffic.testing.toy import TARGET, toy_context, toy_road
from luigi_traffic.training.bundle import Bundle
from luigi_traffic.training.fit_epochs import fit
from luigi_traffic.training.fit_result import Fit
from luigi_traffic.training.series import Series
from luigi_traffic.training.trained_bundle import trained_bundle

if TYPE_CHECKING:
    from luigi_traffic.testing.model_suite import ModelSuite

STEPS_PER_DAY = 288
#: How the toy training differs from the model's defaults, which are made for large data.
TOY_TRAINING = {
    "epochs": 8, "patience": 8, "batch_size": 64, "samples_per_epoch": 1500,
    "validation_samples": None, "evaluation_windows": None, "device": "cpu",
}  # fmt: skip


class Trial:
    """The suite's model and config. What takes time is made when asked for, once."""

    def __init__(self, suite: ModelSuite, folder: Path) -> None:
        self.suite, self.folder = suite, folder
        self.model: Model = suite.model()

    @cached_property
    def config(self) -> ModelConfig:
        """The model's defaults with the suite's `config` laid over."""
        return self.suite.model.Config.model_validate(self.suite.config)

    def changed(self, **values: Any) -> ModelConfig | None:
        """The config with other values; None where the model does not take them."""
        try:
            return self.suite.model.Config.model_validate(self.config.model_dump() | values)
        except ValidationError:
            return None

    def shape(self, config: ModelConfig, links: int) -> ModelShape:
        """What the network is built for; a `per_link` model is built for one link."""
        built = 1 if self.model.per_link else links
        channels = input_channels(self.model, config, TARGET)
        return ModelShape(config.input_steps, config.output_steps, built, channels, STEPS_PER_DAY)

    def network(
        self, config: ModelConfig, shape: ModelShape, links: int = 5, seed: int = 0
    ) -> torch.nn.Module:
        """A network with fresh weights, in eval mode, for the first `links` of the toy road."""
        torch.manual_seed(seed)
        made = build_network(self.model, config, shape, self.context(links))
        assert isinstance(made, torch.nn.Module), (
            f"build() returns {type(made).__name__}. Return a torch.nn.Module."
        )
        return made.eval()

    @staticmethod
    def answer(network: torch.nn.Module, x: torch.Tensor) -> torch.Tensor:
        """The forecast, without an auxiliary loss beside it."""
        got = network(x)
        forecast: torch.Tensor = got[0] if isinstance(got, tuple) else got
        return forecast

    def context(self, links: int) -> ModelContext:
        """What `build` is told of so many links of the toy road."""
        return toy_context(links)

    @cached_property
    def stirred(self) -> torch.nn.Module:
        """The default network for five links, with weights away from where they begin.

        A head that starts at zero would hide what lies before it.
        """
        network = self.network(self.config, self.shape(self.config, 5))
        made = torch.Generator().manual_seed(1)
        with torch.no_grad():
            for parameter in network.parameters():
                if parameter.is_floating_point():
                    parameter.add_(0.05 * torch.randn(parameter.shape, generator=made))
        return network.eval()

    @property
    def fitted_at_once(self) -> bool:
        """Whether the model is fitted in one go, without gradients."""
        own, base = getattr(type(self.model), "fit", None), getattr(Model, "fit", None)
        return own is not None and own is not base

    # The toy road

    @cached_property
    def series(self) -> Series:
        """The toy road."""
        return toy_road(self.suite.extra_columns)

    @cached_property
    def toy_config(self) -> ModelConfig:
        """The config of the toy training."""
        values = self.config.model_dump() | TOY_TRAINING | self.suite.training
        return self.suite.model.Config.model_validate(values)

    @cached_property
    def fitted(self) -> Fit:
        """The model trained on the toy road by the framework's own loop."""
        return self.fit(self.toy_config)

    def fit(self, config: ModelConfig) -> Fit:
        """Trained with `config`."""
        with torch.random.fork_rng(devices=[]):
            return fit(
                self.model,
                config,
                self.series,
                checkpoint_dir=self.folder / "checkpoint",
                context=self.context(len(self.series.links)),
            )

    @cached_property
    def bundle(self) -> Bundle:
        """`fitted` as it is stored."""
        return self.stored(self.toy_config, self.fitted)

    def stored(self, config: ModelConfig, done: Fit) -> Bundle:
        """What `fit(config)` gave, as it is stored."""
        return trained_bundle(self.model, config, done, self.series, "toy")
