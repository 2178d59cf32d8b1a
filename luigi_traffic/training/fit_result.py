"""What a training reports while it runs, and what comes out of it."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from luigi_traffic.api.context import ModelContext
from luigi_traffic.api.model import ModelShape
from luigi_traffic.training.profile import Profile
from luigi_traffic.training.scaler import Scaler
from luigi_traffic.training.windows import Split


@dataclass(frozen=True)
class Progress:
    """Where a training is. `share` is of all epochs, which early stopping may cut short."""

    epoch: int
    epochs: int
    share: float
    loss: float
    best_validation_mae: float | None
    best_epoch: int | None
    seconds: float
    refit: bool = False
    """Whether these are the epochs on all windows, after the best epoch is known."""


@dataclass(frozen=True)
class Refit:
    """A network that was trained on all windows of the series, and how it came about."""

    network: torch.nn.Module
    """On the training's device, in eval mode."""
    scaler: Scaler
    split: Split
    """Its training windows are all windows."""
    epochs: int
    validation_mae: float
    """On the validation windows, which it was trained on: smaller than that of `Fit`, as a rule."""
    seconds: float
    profile: Profile | None = None
    """As of `Fit`, of all windows."""


@dataclass(frozen=True)
class Fit:
    """A trained network and how it came about."""

    network: torch.nn.Module
    """On the training's device, with the weights of the best epoch, in eval mode."""
    shape: ModelShape
    context: ModelContext
    scaler: Scaler
    split: Split
    history: list[dict[str, float]]
    """One dict an epoch: epoch, train_loss, validation_mae, learning_rate, seconds, samples."""
    best_epoch: int
    resumed_at: int | None
    """The first epoch after the last resume; None where the training ran in one go."""
    stopped_early: bool
    samples_total: int
    """Training samples with something to forecast: windows, or (window, link) pairs."""
    samples_drawn: int
    """Over all epochs, repeats included."""
    samples_seen: int
    """Distinct ones among them."""
    per_link: bool
    device: str
    seconds: float
    profile: Profile | None = None
    """What fills missing inputs, if `fill` is "profile"."""
    refit: Refit | None = None
    """The network that forecasts, if it is another one."""
