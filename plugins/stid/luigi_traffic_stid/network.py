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


class Dropout(nn.Module):
    """Dropout whose rate is a multiple of 1/256: one random byte a number.

    On a CPU, PyTorch draws a number of 64 bits for each, which takes longer than the layer before.
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.dropped = round(rate * 256)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The same shape; in eval mode the same numbers."""
        if not self.training or not self.dropped:
            return x
        if x.device.type != "cpu":
            return nn.functional.dropout(x, self.dropped / 256)
        count = x.numel()
        words = torch.empty(-(-count // 8), dtype=torch.int64).random_(-(2**63), None)
        kept = words.view(torch.uint8)[:count].view(x.shape) >= self.dropped
        return x * kept.to(x.dtype).mul_(256 / (256 - self.dropped))


class Block(nn.Module):
    """`(…, width) -> (…, width)`: two linear layers around a ReLU, added to what came in."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.first = nn.Linear(width, width)
        self.second = nn.Linear(width, width)
        self.dropout = Dropout(dropout)

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
        self.shape = shape
        self.at_time = shape.channels.index(TIME_OF_DAY)
        self.at_day = shape.channels.index(DAY_OF_WEEK)
        calendar = (self.at_time, self.at_day)
        #: Channels that differ from link to link: the target, flags, ages.
        self.of_links = [i for i in range(len(shape.channels)) if i not in calendar]
        self.window = nn.Linear(shape.input_steps * len(shape.channels), window_width)
        self.link = _identities(shape.links, link_width)
        self.time_of_day = _identities(shape.steps_per_day, time_of_day_width)
        self.day_of_week = _identities(DAYS, day_of_week_width)
        width = window_width + link_width + time_of_day_width + day_of_week_width
        self.blocks = nn.Sequential(*(Block(width, dropout) for _ in range(layers)))
        self.regression = nn.Linear(width, shape.output_steps)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """`(B, T, N, channels) -> (B, output_steps, N)`, standard scores.

        The calendar is the same for all links, so it is looked up and multiplied once a window.
        """
        batch, _, links, _ = x.shape
        time, day = x[:, :, 0, self.at_time], x[:, :, 0, self.at_day]
        slot = self.shape.slot_of_day(time[:, -1])
        hidden = torch.cat(
            [
                self._embedded(x, time, day),
                self.link.expand(batch, -1, -1),
                self.time_of_day[slot][:, None].expand(-1, links, -1),
                self.day_of_week[day[:, -1].round().long()][:, None].expand(-1, links, -1),
            ],
            dim=-1,
        )
        forecast: torch.Tensor = self.regression(self.blocks(hidden))
        return forecast.transpose(1, 2)

    def _embedded(self, x: torch.Tensor, time: torch.Tensor, day: torch.Tensor) -> torch.Tensor:
        """`(B, N, window_width)`: `self.window` of the whole window; the calendar is `(B, T)`."""
        weights = self.window.weight.view(-1, x.shape[1], x.shape[3])
        # A window goes in as the authors feed it: the day of week in [0, 1), like the time.
        once = time @ weights[..., self.at_time].T + (day / DAYS) @ weights[..., self.at_day].T
        found = (once + self.window.bias)[:, None]
        for channel in self.of_links:
            found = found + x[..., channel].transpose(1, 2) @ weights[..., channel].T
        return found


def _identities(count: int, width: int) -> nn.Parameter:
    return nn.Parameter(nn.init.xavier_uniform_(torch.empty(count, width)))
