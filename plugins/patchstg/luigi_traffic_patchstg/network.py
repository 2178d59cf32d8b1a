"""The network: embeddings of each link, then attention within patches and across them.

Fang et al. 2025, "Efficient Large-Scale Traffic Forecasting with Transformers: A Spatial Data
Management Perspective" (KDD'25, arXiv:2412.09972). Attention of all N links to each other costs N²;
within patches of S links and across P patches it costs N (S + P).
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from luigi_traffic import DAY_OF_WEEK, TIME_OF_DAY, ModelShape
from luigi_traffic_patchstg.patches import NONE

DAYS = 7


class Attention(nn.Module):
    """`(B, L, width) -> (B, L, width)`: each of L places looks at those that are there."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.asked = nn.Linear(width, 3 * width)
        self.answer = nn.Linear(width, width)

    def forward(self, x: torch.Tensor, there: torch.Tensor) -> torch.Tensor:
        """`there` is `(B, L)`, bool, and True of one place at least."""
        size, length, width = x.shape
        parts = self.asked(x).view(size, length, 3, self.heads, -1)
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        # Without dropout of its weights, which would have to keep all of them on a CPU.
        found = nn.functional.scaled_dot_product_attention(
            query, key, value, attn_mask=there[:, None, None, :]
        )
        answer: torch.Tensor = self.answer(found.transpose(1, 2).reshape(size, length, width))
        return answer


class Layer(nn.Module):
    """Attention and a feed-forward layer, each normed before and added to what came in."""

    def __init__(self, width: int, heads: int, forward_width: int, dropout: float) -> None:
        super().__init__()
        self.before_attention, self.before_forward = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention, self.dropout = Attention(width, heads), nn.Dropout(dropout)
        self.feed_forward = nn.Sequential(
            nn.Linear(width, forward_width), nn.GELU(), nn.Dropout(dropout),
            nn.Linear(forward_width, width),
        )  # fmt: skip

    def forward(self, x: torch.Tensor, there: torch.Tensor) -> torch.Tensor:
        """`(B, L, width)`, and which of the L places are there, `(B, L)`."""
        x = x + self.dropout(self.attention(self.before_attention(x), there))
        changed: torch.Tensor = x + self.feed_forward(self.before_forward(x))
        return changed


class Network(nn.Module):
    """All links at once. The calendar is the one of the last input step.

    `members` is `(P, S)`, see `patches`.
    """

    members: torch.Tensor
    there: torch.Tensor
    place: torch.Tensor

    def __init__(
        self,
        shape: ModelShape,
        members: NDArray[np.int64],
        *,
        window_width: int,
        link_width: int,
        time_of_day_width: int,
        day_of_week_width: int,
        layers: int,
        heads: int,
        forward_width: int,
        dropout: float,
    ) -> None:
        super().__init__()
        self.shape = shape
        self.at_time = shape.channels.index(TIME_OF_DAY)
        self.at_day = shape.channels.index(DAY_OF_WEEK)
        calendar = (self.at_time, self.at_day)
        self.of_links = [i for i in range(len(shape.channels)) if i not in calendar]
        flat = members.ravel()
        place = np.empty(shape.links, np.int64)
        place[flat[flat != NONE]] = np.flatnonzero(flat != NONE)
        # Made of the context, which is stored with the model: not weights.
        self.register_buffer("members", torch.from_numpy(members).clamp(min=0), persistent=False)
        self.register_buffer("there", torch.from_numpy(members != NONE), persistent=False)
        self.register_buffer("place", torch.from_numpy(place), persistent=False)
        self.window = nn.Linear(shape.input_steps * len(self.of_links), window_width)
        self.link = _identities(shape.links, link_width)
        self.time_of_day = _identities(shape.steps_per_day, time_of_day_width)
        self.day_of_week = _identities(DAYS, day_of_week_width)
        width = window_width + link_width + time_of_day_width + day_of_week_width
        made = (width, heads, forward_width, dropout)
        self.within = nn.ModuleList(Layer(*made) for _ in range(layers))
        self.across = nn.ModuleList(Layer(*made) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.regression = nn.Linear(width, shape.output_steps)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """`(B, T, N, channels) -> (B, output_steps, N)`, standard scores."""
        batch, (patches, size) = len(x), self.members.shape
        hidden = self._embedded(x)[:, self.members]
        width = hidden.shape[-1]
        inside = self.there.repeat(batch, 1)
        between = self.there.T.repeat(batch, 1)
        for within, across in zip(self.within, self.across, strict=True):
            hidden = within(hidden.view(batch * patches, size, width), inside)
            hidden = hidden.view(batch, patches, size, width).transpose(1, 2)
            hidden = across(hidden.reshape(batch * size, patches, width), between)
            hidden = hidden.view(batch, size, patches, width).transpose(1, 2).contiguous()
        found = hidden.view(batch, patches * size, width)[:, self.place]
        forecast: torch.Tensor = self.regression(self.norm(found))
        return forecast.transpose(1, 2)

    def _embedded(self, x: torch.Tensor) -> torch.Tensor:
        """`(B, N, width)`: the window, the link, the time of day and the weekday side by side."""
        batch, _, links, _ = x.shape
        slot = self.shape.slot_of_day(x[:, -1, 0, self.at_time])
        day = x[:, -1, 0, self.at_day].round().long()
        return torch.cat(
            [
                self.window(x[..., self.of_links].transpose(1, 2).flatten(2)),
                self.link.expand(batch, -1, -1),
                self.time_of_day[slot][:, None].expand(-1, links, -1),
                self.day_of_week[day][:, None].expand(-1, links, -1),
            ],
            dim=-1,
        )


def _identities(count: int, width: int) -> nn.Parameter:
    return nn.Parameter(nn.init.xavier_uniform_(torch.empty(count, width)))
