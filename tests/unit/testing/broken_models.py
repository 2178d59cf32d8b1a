"""A small model that does all as it should, and models with one fault each."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from pydantic import Field
from torch import nn

from luigi_traffic import DAY_OF_WEEK, OBSERVED, TIME_OF_DAY, Model, ModelConfig, ModelShape


class SmallConfig(ModelConfig):
    hidden: int = Field(24, ge=1, description="width of the layer between")
    learning_rate: float = Field(1e-2, gt=0)


class Small(nn.Module):
    """Two layers over the window of a link, added to its last speed."""

    def __init__(self, config: Any, shape: ModelShape) -> None:
        super().__init__()
        size = shape.input_steps * len(shape.channels)
        self.inner = nn.Linear(size, config.hidden)
        self.outer = nn.Linear(config.hidden, shape.output_steps)

    def flat(self, x: torch.Tensor) -> torch.Tensor:
        return x.permute(0, 2, 1, 3).flatten(2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.outer(torch.relu(self.inner(self.flat(x)))).permute(0, 2, 1)


class SmallModel(Model):
    name, version, per_link = "small", "1", True
    Config = SmallConfig
    Network: type[nn.Module] = Small

    def channels(self, config: Any) -> tuple[str, ...]:
        return ("speed", "speed" + OBSERVED, TIME_OF_DAY, DAY_OF_WEEK)

    def build(self, config: Any, shape: ModelShape) -> nn.Module:
        return self.Network(config, shape)


def with_network(network: type[nn.Module]) -> type[SmallModel]:
    """The small model with another network, named after it."""
    return type(network.__name__, (SmallModel,), {"Network": network})


class NoVersion(SmallModel):
    version = ""


class SilentConfig(SmallConfig):
    width: int = 3


class Undescribed(SmallModel):
    Config = SilentConfig


class HidingConfig(SmallConfig):
    width: int = Field(3, exclude=True, description="width")


class ExcludedField(SmallModel):
    Config = HidingConfig


class UnknownChannel(SmallModel):
    def channels(self, config: Any) -> tuple[str, ...]:
        return ("speed", "sped" + OBSERVED)


class CalendarAlone(SmallModel):
    def channels(self, config: Any) -> tuple[str, ...]:
        return (TIME_OF_DAY, DAY_OF_WEEK)


class WrongShape(Small):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x).permute(0, 2, 1)


class OneBatchSize(Small):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x)[:2]


class Doubles(Small):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x) * torch.ones(1, dtype=torch.float64)


class MeanOfObserved(Small):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mean = x[..., 0].sum(dim=1) / x[..., 1].sum(dim=1)
        return super().forward(x) + mean[:, None]


class LeaksAcrossBatch(Small):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x - x.mean(dim=0))


class MixesLinks(Small):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x) + x[..., 0].mean(dim=(1, 2))[:, None, None]


class DeadParameter(Small):
    def __init__(self, config: Any, shape: ModelShape) -> None:
        super().__init__(config, shape)
        self.attention = nn.Linear(4, 4)


class Detached(Small):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            inner = torch.relu(self.inner(self.flat(x)))
        return self.outer(inner).permute(0, 2, 1)


class BrokenGradient(Small):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        got = super().forward(x)
        return got + torch.where(got > 0, torch.sqrt(got), 0.0)


class NumpyWeights(Small):
    def __init__(self, config: Any, shape: ModelShape) -> None:
        super().__init__(config, shape)
        drawn = np.random.default_rng().normal(size=self.outer.weight.shape)
        self.outer.weight = nn.Parameter(torch.from_numpy(drawn).float())


class AlwaysDrops(Small):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(nn.functional.dropout(x, 0.3))


class RunningMean(Small):
    """Keeps what it has learnt of the level in a plain attribute."""

    level = 0.0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.training:
            self.level = 0.9 * self.level + 0.1 * (1 + float(x[..., 0].mean().abs()))
        return super().forward(x) * (1 + self.level)


class Constant(Small):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x * 0)


class LastSpeed(Small):
    """Persistence: what it adds is too small to matter."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x[:, -1:, :, 0] + 1e-6 * super().forward(x)


class FixedWidth(Small):
    """Built for the channels that its model names."""

    def __init__(self, config: Any, shape: ModelShape) -> None:
        super().__init__(config, shape)
        self.inner = nn.Linear(4 * shape.input_steps, config.hidden)


class IgnoresAdded(FixedWidth):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x[..., :4])


class OtherBranch(Small):
    """Builds another network than was stored, by a value that the config does not keep."""

    built = 0

    def __init__(self, config: Any, shape: ModelShape) -> None:
        super().__init__(config, shape)
        OtherBranch.built += 1
        self.sign = 1.0 if OtherBranch.built % 2 else -1.0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.sign * super().forward(x)
