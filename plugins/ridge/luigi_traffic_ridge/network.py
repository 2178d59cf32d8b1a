"""The regression as a network, so that it is stored and served as every other model."""

from __future__ import annotations

import math

import torch
from torch import nn

from luigi_traffic import DAY_OF_WEEK, TIME_OF_DAY, ModelShape

#: Sine and cosine of the time of day and of the week.
_CALENDAR = 4


class Linear(nn.Module):
    """Weights `(output_steps, regressors)` and a constant a step, both buffers: nothing trains."""

    weight: torch.Tensor
    bias: torch.Tensor

    def __init__(self, shape: ModelShape) -> None:
        super().__init__()
        self.at_time = shape.channels.index(TIME_OF_DAY)
        self.at_day = shape.channels.index(DAY_OF_WEEK)
        calendar = (self.at_time, self.at_day)
        self.kept = [at for at in range(len(shape.channels)) if at not in calendar]
        window = shape.input_steps * len(self.kept)
        self.register_buffer("weight", torch.zeros(shape.output_steps, window + _CALENDAR))
        self.register_buffer("bias", torch.zeros(shape.output_steps))

    def regressors(self, x: torch.Tensor) -> torch.Tensor:
        """`(B, T, N, channels) -> (B, N, regressors)`: the window, and the calendar at its end."""
        window = x[..., self.kept].permute(0, 2, 1, 3).flatten(2)
        day = 2 * math.pi * x[:, -1, :, self.at_time]
        week = (2 * math.pi * x[:, -1, :, self.at_day] + day) / 7
        calendar = torch.stack([day.sin(), day.cos(), week.sin(), week.cos()], dim=-1)
        return torch.cat([window, calendar], dim=-1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """`(B, T, N, channels) -> (B, output_steps, N)`, standard scores."""
        return (self.regressors(x) @ self.weight.T + self.bias).permute(0, 2, 1)
