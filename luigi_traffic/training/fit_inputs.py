"""What every training begins with, however the model is fitted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from numpy.typing import NDArray

from luigi_traffic.api.context import ModelContext
from luigi_traffic.api.model import (
    Model,
    ModelConfig,
    ModelShape,
    input_channels,
    value_columns,
)
from luigi_traffic.errors import DataError
from luigi_traffic.training.added_channels import network_for
from luigi_traffic.training.batches import Batch, Samples, Tensors
from luigi_traffic.training.context import plain_context
from luigi_traffic.training.device import choose_device, use_threads
from luigi_traffic.training.outputs import Outputs
from luigi_traffic.training.profile import Profile
from luigi_traffic.training.scaler import Scaler
from luigi_traffic.training.series import Series
from luigi_traffic.training.windows import Split, split, window_count

#: Link windows in one pass of a training. A batch of a whole network would need many gigabytes
#: for what the network keeps of it: a transformer keeps 70 KB of a link window.
LINK_WINDOWS = 1 << 15


@dataclass(frozen=True)
class Prepared:
    """A series split, scaled and on the device, and a fresh network for it."""

    config: ModelConfig
    split: Split
    scaler: Scaler
    shape: ModelShape
    context: ModelContext
    tensors: Tensors
    train: Samples
    validation: Samples
    network: torch.nn.Module
    outputs: Outputs
    device: torch.device
    per_link: bool
    profile: Profile | None = None

    @classmethod
    def of(
        cls,
        model: Model,
        config: ModelConfig,
        series: Series,
        context: ModelContext | None = None,
        *,
        whole: bool = False,
    ) -> Prepared:
        """`whole`: every window is a training window, those of validation and hold-out too.

        Raises DataError where a split has no targets, SettingsError where a GPU is asked for
        and not there, or the network does not take the channels that the config adds.
        """
        device = choose_device(config.device)
        use_threads()
        t_in, t_out = config.input_steps, config.output_steps
        windows = window_count(len(series), t_in, t_out)
        if not windows:
            raise DataError(
                f"{len(series)} intervals are too few for one window of {t_in} + {t_out} "
                "(input_steps and output_steps). Take more days, or shorter windows."
            )
        parts = split(windows, config.train_share, config.validation_share)
        if whole:
            parts = replace(parts, train=range(windows))
        scaler = Scaler.fit(series, parts.training_rows(t_in))
        channels = input_channels(model, config, series.target)
        profile = None
        if config.fill == "profile":
            profile = Profile.of(series, parts.training_rows(t_in), value_columns(channels))
        links = 1 if model.per_link else len(series.links)
        shape = ModelShape(t_in, t_out, links, channels, series.steps_per_day)
        tensors = Tensors(series, scaler, channels, t_in, t_out, device, config.fill, profile)
        train = Samples(series, parts.train, t_in, t_out, model.per_link)
        validation = Samples(series, parts.validation, t_in, t_out, model.per_link)
        torch.manual_seed(config.seed)
        around = plain_context(series) if context is None else context
        network = network_for(model, config, shape, around).to(device)
        return cls(
            config, parts, scaler, shape, around, tensors, train, validation, network,
            Outputs(model), device, model.per_link, profile,
        )  # fmt: skip

    def batches(self, samples: Samples, positions: NDArray[Any]) -> Iterator[Batch]:
        """The samples at `positions`, `batch_size` at a time, or as many as one pass may hold."""
        for at in samples.batches(positions, min(self.config.batch_size, self._most)):
            yield self.tensors.batch(*at)

    def parted_batches(self, positions: NDArray[Any]) -> Iterator[list[Batch]]:
        """Batches of the training samples at `positions`, each in parts that one pass may hold."""
        size = self.config.batch_size
        for begin in range(0, len(positions), size):
            yield list(self.batches(self.train, positions[begin : begin + size]))

    @property
    def _most(self) -> int:
        """Samples that one pass through the network may hold."""
        return max(1, LINK_WINDOWS // (1 if self.per_link else self.tensors.links))

    def validation_mae(self) -> float:
        """`mae` of the validation samples that the config asks for, the same after each epoch."""
        positions = self.validation.drawn(0, 0, self.config.validation_samples)
        return self.mae(self.validation, positions)

    def mae(self, samples: Samples, positions: NDArray[Any]) -> float:
        """MAE of the network over observed targets of these samples, in the dataset's unit."""
        self.network.eval()
        mean, std = self.scaler.target
        error = torch.zeros((), dtype=torch.float64, device=self.device)
        count = torch.zeros((), dtype=torch.int64, device=self.device)
        with torch.inference_mode():
            for x, y, mask in self.batches(samples, positions):
                said = self.outputs.point(self.network(x), x, self.config.output_steps)
                off = torch.where(mask, said * std + mean - y, 0.0)
                error += off.abs().sum(dtype=torch.float64)
                count += mask.sum()
        return float(error / count)
