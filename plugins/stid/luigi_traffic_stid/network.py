"""The network: four embeddings side by side, residual MLP blocks, one regression layer.

Shao et al. 2022, "Spatial-Temporal Identity: A Simple yet Effective Baseline for
Multivariate Time Series Forecasting" (arXiv:2208.05233). Where the authors write
convolutions with a kernel of 1x1, there are linear layers over the last axis here: the same
products, the same number of weights, the same initial distribution.
"""

from __future__ import annotations

import torch
from torch import nn

from luigi_traffic import DAY_OF_WEEK, TIME_OF_DAY, ModelShape

DAYS = 7
#: Slots, by which a time of day may lie before the slot it means: float32 holds a fraction
#: of the day to 6e-8, which is 0.005 slots where a slot is a second.
ROUNDING = 0.01


class Block(nn.Module):
    """`(…, width) -> (…, width)`: two linear layers around a ReLU, added to what came in."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.first = nn.Linear(width, width)
        self.second = nn.Linear(width, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The same width."""
        changed: torch.Tensor = self.second(self.dropout(self.first(x).relu()))
        return changed + x


class Network(nn.Module):
    """All links at once. The calendar is the one of the last input step."""

    def __init__(
        self,
        shape: ModelShape,
        *,
        window_width: int,
        link_width: int,
        time_of_day_width: int,
        day_of_week_width: int,
        layers: int,
        dropout: float,
    ) -> None:
        super().__init__()
        self.steps_per_day = shape.steps_per_day
        self.at_time = shape.channels.index(TIME_OF_DAY)
        self.at_day = shape.channels.index(DAY_OF_WEEK)
        self.window = nn.Linear(shape.input_steps * len(shape.channels), window_width)
        self.link = _identities(shape.links, link_width)
        self.time_of_day = _identities(shape.steps_per_day, time_of_day_width)
        self.day_of_week = _identities(DAYS, day_of_week_width)
        width = window_width + link_width + time_of_day_width + day_of_week_width
        self.blocks = nn.Sequential(*(Block(width, dropout) for _ in range(layers)))
        self.regression = nn.Linear(width, shape.output_steps)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """`(B, T, N, channels) -> (B, output_steps, N)`, standard scores."""
        batch, _, links, _ = x.shape
        last = x[:, -1]
        slot = slot_of_day(last[..., self.at_time], self.steps_per_day)
        day = last[..., self.at_day].round().long()
        # A window goes in as the authors feed it: the day of week in [0, 1), like the time.
        channels = list(x.unbind(dim=-1))
        channels[self.at_day] = channels[self.at_day] / DAYS
        scaled = torch.stack(channels, dim=-1)
        hidden = torch.cat(
            [
                self.window(scaled.transpose(1, 2).reshape(batch, links, -1)),
                self.link.expand(batch, -1, -1),
                self.time_of_day[slot],
                self.day_of_week[day],
            ],
            dim=-1,
        )
        forecast: torch.Tensor = self.regression(self.blocks(hidden))
        return forecast.transpose(1, 2)


def slot_of_day(time_of_day: torch.Tensor, steps_per_day: int) -> torch.Tensor:
    """The slot, 0 to `steps_per_day` - 1, that a fraction of the day in [0, 1) lies in."""
    slot = (time_of_day.double() * steps_per_day + ROUNDING).floor().long()
    return slot.clamp(max=steps_per_day - 1)


def _identities(count: int, width: int) -> nn.Parameter:
    return nn.Parameter(nn.init.xavier_uniform_(torch.empty(count, width)))
