"""The contract of a model plugin."""

from __future__ import annotations

import inspect
import math
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from luigi_traffic.api.context import ModelContext
from luigi_traffic.api.losses import masked_loss, pinball_loss

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray

    #: (x, y, mask): `(B, input_steps, N, channels)` float32, `(B, output_steps, N)` float32 and
    #: bool. y is the scaled target, 0 where the mask is False: nothing was observed there.
    ArrayBatch = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.bool_]]

#: Channels that the framework adds to the columns of gold.
TIME_OF_DAY = "time_of_day"  # fraction of the day passed, in [0, 1)
DAY_OF_WEEK = "day_of_week"  # 0 = Monday … 6 = Sunday
OBSERVED = ":observed"  # suffix: "speed:observed" is 1.0 where gold has a value, else 0.0
#: Suffix: "speed:age" is the number of intervals since speed was last observed in the window,
#: divided by `input_steps`: 0 where it is observed, 1 if it was not observed yet.
AGE = ":age"
#: Slots, by which a time of day may lie before the slot it means: float32 holds a fraction
#: of the day to 6e-8, which is 0.005 slots if a slot is a second.
ROUNDING = 0.01
#: The channel that is the measure to forecast, whatever a dataset measures.
TARGET = "target"


def resolved(channels: Iterable[str], target: str) -> tuple[str, ...]:
    """The channels with the column `target` in the place of `TARGET`, also before a suffix."""
    names = {TARGET + suffix: target + suffix for suffix in ("", OBSERVED, AGE)}
    return tuple(names.get(channel, channel) for channel in channels)


def gold_columns(channels: Iterable[str]) -> tuple[str, ...]:
    """The columns of gold that these channels are made from, each once."""
    made = (TIME_OF_DAY, DAY_OF_WEEK)
    named = (c.removesuffix(OBSERVED).removesuffix(AGE) for c in channels if c not in made)
    return tuple(dict.fromkeys(named))


def value_columns(channels: Iterable[str]) -> tuple[str, ...]:
    """The columns of gold that are channels themselves, not by a suffix alone, each once."""
    chosen = tuple(channels)
    return tuple(column for column in gold_columns(chosen) if column in chosen)


class ModelConfig(BaseModel):
    """Hyperparameters every model has; a model's `Config` extends it.

    Filled from `conf/models/<name>.yml`, then from `--training '{"epochs": 5}'`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    target: str | None = Field(
        None, description="Measure that is forecast; empty: the dataset's target"
    )
    input_steps: int = Field(12, ge=1, description="Number of intervals that the model sees")
    output_steps: int = Field(12, ge=1, description="Number of intervals that the model forecasts")
    train_share: float = Field(
        0.7, gt=0, lt=1, description="Share of the windows for training, the first in time"
    )
    validation_share: float = Field(
        0.1,
        gt=0,
        lt=1,
        description="Share of the windows for validation, after the training windows",
    )
    epochs: int = Field(20, ge=1, description="Largest number of passes over the drawn samples")
    batch_size: int = Field(64, ge=1, description="Number of windows in a batch")
    samples_per_epoch: int | None = Field(
        None, ge=1, description="Number of training samples drawn per epoch, by seed; empty: all"
    )
    validation_samples: int | None = Field(
        None,
        ge=1,
        description="Number of validation samples scored after an epoch, by seed; empty: all",
    )
    evaluation_windows: int | None = Field(
        None, ge=1, description="Largest number of hold-out windows scored, by seed; empty: all"
    )
    learning_rate: float = Field(
        1e-3, gt=0, description="Learning rate of the Adam optimizer at the first step"
    )
    schedule: Literal["cosine", "constant"] = Field(
        "cosine",
        description=(
            "Schedule of the learning rate over all epochs: half a cosine to 0, or constant"
        ),
    )
    weight_decay: float = Field(0.0, ge=0, description="Weight decay of the Adam optimizer")
    gradient_clip: float = Field(5.0, gt=0, description="Largest norm of the gradient")
    loss: Literal["mae", "mse", "huber"] = Field(
        "mae", description="Loss over the observed values of the target, in its unit"
    )
    patience: int = Field(
        5,
        ge=1,
        description="Number of epochs without a better validation error before training stops",
    )
    refit: bool = Field(
        True,
        description=(
            "Train once more on all windows, for as many epochs as were best: that network "
            "forecasts, and the one that was scored without the hold-out is kept for comparisons"
        ),
    )
    seed: int = Field(
        0, description="Random seed of the first weights and of the samples drawn per epoch"
    )
    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto", description="Device of the training; auto: a GPU if there is one"
    )
    fill: Literal["none", "last", "profile"] = Field(
        "none",
        description=(
            "What the network sees of a value that was not observed: the mean (none), the last "
            "observed value of the window (last), or the typical value of the link at this time "
            "of a workday or of a weekend (profile)"
        ),
    )
    flags: bool = Field(
        False, description="Whether the network sees of each value if it was observed"
    )
    ages: bool = Field(
        False, description="Whether the network sees of each value how old the last observation is"
    )


#: Hyperparameters that earlier versions did not have. Their defaults here are what was done then.
NEW_HYPERPARAMETERS = ("fill", "flags", "ages")


def stored_config(config: ModelConfig) -> dict[str, Any]:
    """The config for JSON, without new hyperparameters that are as earlier versions had it.

    So the id of a model that uses none of them stays, and earlier versions read it.
    """
    before = {name: ModelConfig.model_fields[name].default for name in NEW_HYPERPARAMETERS}
    values = config.model_dump(mode="json")
    return {k: v for k, v in values.items() if k not in before or v != before[k]}


def restored_config(kind: type[ModelConfig], stored: dict[str, Any]) -> ModelConfig:
    """What `stored_config` wrote, even if `kind` has other defaults for what it left out.

    Raises pydantic's `ValidationError`.
    """
    before = {name: ModelConfig.model_fields[name].default for name in NEW_HYPERPARAMETERS}
    return kind.model_validate({**before, **stored})


@dataclass(frozen=True)
class ModelShape:
    """What a model is built for.

    A batch is `(batch, input_steps, links, channels)` float32, scaled, 0 where
    missing; the answer is `(batch, output_steps, links)`, the scaled target. `channels`
    are columns of gold, so `TARGET` stands there as the measure that it means.
    """

    input_steps: int
    output_steps: int
    links: int
    channels: tuple[str, ...]
    steps_per_day: int

    def slot_of_day(self, time_of_day: torch.Tensor) -> torch.Tensor:
        """The slot, 0 to `steps_per_day` - 1, that values of the channel `time_of_day` lie in.

        It is what an embedding of the time of day is looked up by; int64, of the same shape.
        """
        slot = (time_of_day.double() * self.steps_per_day + ROUNDING).floor().long()
        return slot.clamp(max=self.steps_per_day - 1)


class Model(ABC):
    """A forecasting model. Subclass, set `name` and `version`, return it from the hook
    `luigi_traffic_models`."""

    name: ClassVar[str]
    version: ClassVar[str]
    #: Hyperparameters; a subclass of `ModelConfig`.
    Config: ClassVar[type[ModelConfig]] = ModelConfig
    #: True where a link is forecast from its own window alone (its neighbours come as
    #: channels). The loop then samples single (link, window) pairs with `links = 1`,
    #: and the network must accept any number of links.
    per_link: ClassVar[bool] = False
    #: For a network that answers quantiles, `(batch, output_steps, links, Q)`: the Q of them, such
    #: as (0.1, 0.5, 0.9). The loss is then the pinball loss. What is scored, stored and served is
    #: the one nearest to 0.5; the others are not stored yet.
    quantiles: ClassVar[tuple[float, ...]] = ()

    @abstractmethod
    def channels(self, config: Any) -> tuple[str, ...]:
        """Input channels in order: `TARGET`, columns of gold (`t1`, `flow`, …), the same with
        `:observed` or `:age`, `time_of_day`, `day_of_week`.

        The hyperparameters `flags` and `ages` add more of them at the end: see `input_channels`.
        """

    @abstractmethod
    def build(self, config: Any, shape: ModelShape, context: ModelContext) -> torch.nn.Module:
        """The network: `(batch, input_steps, links, channels) -> (batch, output_steps, links)`.

        `context` says which links these are and how they hang together. A model of version 1
        has no such argument, and works.

        While training, it may also answer a pair: the forecast, and a scalar that is added to the
        loss (a penalty, the loss of a second task). In eval mode the second is ignored.
        """

    def loss(
        self, config: Any, output: torch.Tensor, y: torch.Tensor, mask: torch.Tensor
    ) -> torch.Tensor:
        """What training makes smaller: a scalar. Override it for a loss of your own.

        `output` is what the network answers, `(B, output_steps, N)` or with quantiles
        `(B, output_steps, N, Q)`; `y` `(B, output_steps, N)` is what happened. Both are standard
        scores: 1 is one standard deviation of the training targets. `mask` is False where nothing
        was observed; y is 0 there, and must not count.

        The default is the config's `loss`, or the pinball loss of `quantiles`. The loop takes the
        default in the unit of the target, so that its curve can be read beside the MAE.
        """
        if self.quantiles:
            return pinball_loss(output, y, mask, self.quantiles)
        return masked_loss(output, y, mask, config.loss)

    def optimizer(self, config: Any, network: torch.nn.Module) -> torch.optim.Optimizer:
        """Of the network's parameters, which are on the training's device. The default is Adam."""
        import torch

        return torch.optim.Adam(
            network.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
        )

    def scheduler(
        self, config: Any, optimizer: torch.optim.Optimizer, steps: int
    ) -> torch.optim.lr_scheduler.LRScheduler | None:
        """The schedule of the learning rate, stepped after each batch; None: the rate stays.

        `steps` is the number of batches of all epochs, if nothing stops early. The default is the
        config's `schedule`.
        """
        import torch

        if config.schedule == "constant":
            return None

        def half_a_cosine(step: int) -> float:
            return 0.5 * (1 + math.cos(math.pi * (min(step, steps) / steps)))

        return torch.optim.lr_scheduler.LambdaLR(optimizer, half_a_cosine)

    def fit(self, config: Any, network: torch.nn.Module, batches: Iterable[ArrayBatch]) -> None:
        """For a model that is fitted in one go, without gradient steps: set what `network` holds.

        Override it, and the training loop is not used. `batches` has `samples_per_epoch`
        training samples, and may be walked more than once, in the same order. What the fit
        finds must lie in parameters or buffers of `network`, since a model is stored as its
        `state_dict`: a regression copies its coefficients there.
        """
        raise TypeError(f"{self.name} is trained by gradient steps and has no fit() of its own")

    @property
    def fitted_in_one_go(self) -> bool:
        """Whether this model has a `fit` of its own."""
        return type(self).fit is not Model.fit


def input_channels(model: Model, config: ModelConfig, target: str) -> tuple[str, ...]:
    """What the network gets: the model's own channels, then those that its config adds.

    `target` is the column that is forecast. Of all columns that come in as values, `flags` adds
    those with `:observed`, then `ages` those with `:age`, if they are not there already.
    """
    own = resolved(model.channels(config), target)
    suffixes = [suffix for suffix, asked in ((OBSERVED, config.flags), (AGE, config.ages)) if asked]
    added = [column + suffix for suffix in suffixes for column in value_columns(own)]
    return (*own, *(channel for channel in added if channel not in own))


def takes_context(model: Model) -> bool:
    """Whether its `build` has the third argument: those of version 1 of the API have not."""
    given = inspect.signature(model.build).parameters.values()
    placed = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    if any(p.kind is inspect.Parameter.VAR_POSITIONAL for p in given):
        return True
    return sum(p.kind in placed for p in given) > 2


def build_network(
    model: Model, config: ModelConfig, shape: ModelShape, context: ModelContext
) -> torch.nn.Module:
    """What `build` makes, whichever version of the API the model is of."""
    if takes_context(model):
        return model.build(config, shape, context)
    of_version_1: Any = model.build
    network: torch.nn.Module = of_version_1(config, shape)
    return network
