"""A small graph network of version 2 of the API: for tests, and for `benchmarks/graph_model.py`.

Each link's window becomes a state; each layer adds what flows in from the links before it and
after it, by the weights of the graph. Without a graph the same layers see the link itself twice.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from pydantic import Field
from torch import nn

from luigi_traffic import (
    OBSERVED,
    TARGET,
    TIME_OF_DAY,
    Model,
    ModelConfig,
    ModelContext,
    ModelShape,
)


class GcnConfig(ModelConfig):
    """Hyperparameters of `Gcn`."""

    hidden: int = Field(32, ge=1, description="Width of a link's state")
    layers: int = Field(2, ge=1, description="Number of graph layers, each one hop further")
    learning_rate: float = Field(5e-3, gt=0)
    batch_size: int = Field(32, ge=1)


def row_means(adjacency: np.ndarray) -> torch.Tensor:
    """`(N, N)`: row i weighs the links that link i hears, itself if there are none; sums are 1."""
    total = adjacency.sum(axis=1, keepdims=True)
    heard = np.where(total > 0, adjacency, np.eye(len(adjacency), dtype=np.float32))
    return torch.from_numpy(heard / heard.sum(axis=1, keepdims=True))


class GraphLayer(nn.Module):
    """`(B, N, H) -> (B, N, H)`, added to what came in."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.mix = nn.Linear(3 * hidden, hidden)

    def forward(self, h: torch.Tensor, before: torch.Tensor, after: torch.Tensor) -> torch.Tensor:
        """`before` and `after` are `(N, N)`."""
        mixed: torch.Tensor = self.mix(torch.cat([h, before @ h, after @ h], dim=-1))
        return h + mixed.relu()


class Network(nn.Module):
    """The forecast is the last value of the window plus what the layers add."""

    before: torch.Tensor
    after: torch.Tensor

    def __init__(self, config: GcnConfig, shape: ModelShape, context: ModelContext) -> None:
        super().__init__()
        matrix = context.adjacency()
        # Not persistent: it is made of the context, which the bundle has.
        self.register_buffer("before", row_means(matrix.T), persistent=False)
        self.register_buffer("after", row_means(matrix), persistent=False)
        self.window = nn.Linear(shape.input_steps * len(shape.channels), config.hidden)
        self.layers = nn.ModuleList(GraphLayer(config.hidden) for _ in range(config.layers))
        self.head = nn.Linear(config.hidden, shape.output_steps)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """`(B, T_in, N, 3) -> (B, T_out, N)`, standard scores."""
        h = self.window(x.transpose(1, 2).flatten(2)).relu()
        for layer in self.layers:
            h = layer(h, self.before, self.after)
        change: torch.Tensor = self.head(h).transpose(1, 2)
        return x[:, -1:, :, 0] * x[:, -1:, :, 1] + change


class Gcn(Model):
    """A graph network over all links."""

    name = "gcn"
    version = "1"
    Config = GcnConfig

    def channels(self, config: Any) -> tuple[str, ...]:
        """The target, its flag, the time of day."""
        return (TARGET, TARGET + OBSERVED, TIME_OF_DAY)

    def build(self, config: Any, shape: ModelShape, context: ModelContext) -> nn.Module:
        """For the links of `context`."""
        return Network(config, shape, context)
