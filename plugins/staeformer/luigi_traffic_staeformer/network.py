"""The network: four embeddings side by side, attention over time, attention over links.

Liu et al. 2023, "Spatio-Temporal Adaptive Embedding Makes Vanilla Transformer SOTA for Traffic
Forecasting" (arXiv:2308.10425).

A layer attends over the last axis but one of `(…, L, width)`. So values lie as `(B, N, T, width)`
for the layers over time and as `(B, T, N, width)` for those over links: they are turned once.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.functional import scaled_dot_product_attention

from luigi_traffic import DAY_OF_WEEK, TIME_OF_DAY, ModelShape

DAYS = 7


class Attention(nn.Module):
    """`(R, L, width) -> (R, L, width)`: each of the L rows looks at all L.

    The weights, L x L for each of R and each head, are never held at once: memory grows with L.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query_key_value = nn.Linear(width, 3 * width)
        self.answer = nn.Linear(width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """No row of the L is left out."""
        query, key, value = (
            part.unflatten(-1, (self.heads, -1)).transpose(1, 2)  # (R, heads, L, width / heads)
            for part in self.query_key_value(x).chunk(3, dim=-1)
        )
        heard = scaled_dot_product_attention(query, key, value)
        answer: torch.Tensor = self.answer(heard.transpose(1, 2).flatten(2))
        return answer


class Layer(nn.Module):
    """`(…, L, width)` of the same shape: attention over L, then two linear layers for each row.

    Both are added to what came in, and the sum is normalized.
    """

    def __init__(self, width: int, heads: int, feed_forward_width: int, dropout: float) -> None:
        super().__init__()
        self.attention = nn.Sequential(Attention(width, heads), nn.Dropout(dropout))
        self.feed_forward = nn.Sequential(
            nn.Linear(width, feed_forward_width),
            nn.ReLU(),
            nn.Linear(feed_forward_width, width),
            nn.Dropout(dropout),
        )
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Rows of other leading indices do not see each other."""
        rows: torch.Tensor = x.flatten(0, -3)
        rows = self.norms[0](rows + self.attention(rows))
        rows = self.norms[1](rows + self.feed_forward(rows))
        return rows.view(x.shape)


class Network(nn.Module):
    """All links at once."""

    scale: torch.Tensor

    def __init__(
        self,
        shape: ModelShape,
        *,
        input_width: int,
        time_of_day_width: int,
        day_of_week_width: int,
        adaptive_width: int,
        time_layers: int,
        link_layers: int,
        heads: int,
        feed_forward_width: int,
        dropout: float,
    ) -> None:
        super().__init__()
        self.shape = shape
        self.at_time = shape.channels.index(TIME_OF_DAY)
        self.at_day = shape.channels.index(DAY_OF_WEEK)
        scale = torch.ones(len(shape.channels))
        scale[self.at_day] = 1 / DAYS  # in [0, 1), like the time
        self.register_buffer("scale", scale, persistent=False)
        self.values = nn.Linear(len(shape.channels), input_width)
        self.time_of_day = nn.Embedding(shape.steps_per_day, time_of_day_width)
        self.day_of_week = nn.Embedding(DAYS, day_of_week_width)
        self.adaptive = nn.Parameter(torch.empty(shape.links, shape.input_steps, adaptive_width))
        nn.init.xavier_uniform_(self.adaptive)
        width = input_width + time_of_day_width + day_of_week_width + adaptive_width
        over_time, over_links = (
            nn.Sequential(*(Layer(width, heads, feed_forward_width, dropout) for _ in range(n)))
            for n in (time_layers, link_layers)
        )
        self.over_time, self.over_links = over_time, over_links
        self.regression = nn.Linear(shape.input_steps * width, shape.output_steps)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """`(B, T, N, channels) -> (B, output_steps, N)`, standard scores."""
        hidden = self.over_time(self.embedded(x)).transpose(1, 2)
        hidden = self.over_links(hidden.contiguous()).transpose(1, 2)
        forecast: torch.Tensor = self.regression(hidden.flatten(2))
        return forecast.transpose(1, 2)

    def embedded(self, x: torch.Tensor) -> torch.Tensor:
        """`(B, N, T, width)`: values, slot of the day, weekday, and the link at this step.

        The calendar is the same for all links, so it is looked up once a window.
        """
        batch, _, links, _ = x.shape
        slot = self.shape.slot_of_day(x[:, :, 0, self.at_time])
        day = x[:, :, 0, self.at_day].round().long()
        shared = torch.cat([self.time_of_day(slot), self.day_of_week(day)], dim=-1)
        return torch.cat(
            [
                self.values((x * self.scale).transpose(1, 2)),
                shared[:, None].expand(-1, links, -1, -1),
                self.adaptive.expand(batch, -1, -1, -1),
            ],
            dim=-1,
        )
