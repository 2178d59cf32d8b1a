"""The network: layers of a gated convolution over time and a diffusion over links.

Wu et al. 2019, "Graph WaveNet for Deep Spatial-Temporal Graph Modeling" (arXiv:1906.00121).

Values lie as `(N, T, B, C)`: links, steps, windows, channels. So the links are the rows of a
matrix, and a diffusion over all steps, windows and channels is one product; the channels are the
columns of another one, and a layer over them is one product, too. Neither has to copy.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import nn

from luigi_traffic import ModelShape
from luigi_traffic_graph_wavenet.graph import LearnedGraph


class GatedConvolution(nn.Module):
    """`(N, T, B, channels) -> (N, T - dilation, B, width)`: tanh(filter) · sigmoid(gate).

    A causal convolution with a kernel of 2: step t of the answer is made of the steps t - dilation
    and t of the input.
    """

    def __init__(self, channels: int, width: int, dilation: int) -> None:
        super().__init__()
        self.dilation = dilation
        self.filter_and_gate = nn.Linear(2 * channels, 2 * width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The first step of the answer is step `dilation` of the input."""
        pairs = torch.cat([x[:, : -self.dilation], x[:, self.dilation :]], dim=-1)
        filtered, gate = self.filter_and_gate(pairs).chunk(2, dim=-1)
        gated: torch.Tensor = filtered.tanh() * gate.sigmoid()
        return gated


class Diffusion(nn.Module):
    """`(N, T, B, channels) -> (N, T, B, width)`: X W + Σ P X W' + P² X W'' + … over graphs P.

    It is computed from within, P (X W' + P (X W'')): no power of a graph is needed, and what each
    term adds is not kept for the gradients.
    """

    def __init__(self, channels: int, width: int, graphs: int, steps: int) -> None:
        super().__init__()
        self.own = nn.Linear(channels, width)
        self.weight = nn.Parameter(torch.empty(graphs, steps, channels, width))
        # As of one layer over all terms of the sum, which it is.
        bound = 1 / math.sqrt((1 + graphs * steps) * channels)
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -bound, bound)

    def forward(self, x: torch.Tensor, graphs: Sequence[torch.Tensor]) -> torch.Tensor:
        """Each of `graphs` is `(N, N)`: row i weighs what link i hears."""
        found: torch.Tensor = self.own(x)
        rows, links = x.reshape(-1, x.shape[-1]), len(x)
        for graph, weights in zip(graphs, self.weight, strict=True):
            *nearer, farthest = (rows @ weight for weight in weights)
            heard = graph @ farthest.view(links, -1)
            for sent in reversed(nearer):
                heard = graph @ (heard + sent.view(links, -1))
            found = found + heard.view(found.shape)
        return found


class Exchange(nn.Module):
    """Links hear each other: a diffusion, added to what came in, normalized over the batch."""

    def __init__(
        self, gated_width: int, residual_width: int, graphs: int, steps: int, dropout: float
    ) -> None:
        super().__init__()
        self.diffusion = Diffusion(gated_width, residual_width, graphs, steps)
        self.dropout = nn.Dropout(dropout)
        self.norm = nn.BatchNorm1d(residual_width)

    def forward(
        self, gated: torch.Tensor, x: torch.Tensor, graphs: Sequence[torch.Tensor]
    ) -> torch.Tensor:
        """`gated` `(N, T, B, gated_width)` is added to the last T steps of x."""
        found = self.dropout(self.diffusion(gated, graphs)) + x[:, -gated.shape[1] :]
        normed: torch.Tensor = self.norm(found.flatten(0, 2)).view(found.shape)
        return normed


class Network(nn.Module):
    """All links at once. What the forecast is made of is each layer's last step."""

    def __init__(
        self,
        shape: ModelShape,
        roads: Sequence[torch.Tensor],
        *,
        dilations: Sequence[int],
        residual_width: int,
        dilation_width: int,
        skip_width: int,
        end_width: int,
        embedding_width: int,
        diffusion_steps: int,
        dropout: float,
    ) -> None:
        super().__init__()
        #: Steps that are put before the window, so that the last layer has one step left.
        self.missing_steps = 1 + sum(dilations) - shape.input_steps
        for n, graph in enumerate(roads):
            # Not persistent: they are made of the context, which is stored with the model.
            self.register_buffer(f"road_{n}", graph.to_sparse().coalesce(), persistent=False)
        self.roads = len(roads)
        self.learned = LearnedGraph(shape.links, embedding_width)
        self.start = nn.Linear(len(shape.channels), residual_width)
        self.convolutions = nn.ModuleList(
            GatedConvolution(residual_width, dilation_width, dilation) for dilation in dilations
        )
        self.skips = nn.ModuleList(nn.Linear(dilation_width, skip_width) for _ in dilations)
        # After the last convolution there is none: nothing would look at its answer.
        self.exchanges = nn.ModuleList(
            Exchange(dilation_width, residual_width, len(roads) + 1, diffusion_steps, dropout)
            for _ in dilations[1:]
        )
        self.end = nn.Sequential(
            nn.ReLU(),
            nn.Linear(skip_width, end_width),
            nn.ReLU(),
            nn.Linear(end_width, shape.output_steps),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """`(B, T, N, channels) -> (B, output_steps, N)`, standard scores."""
        window = nn.functional.pad(x.permute(2, 1, 0, 3), (0, 0, 0, 0, self.missing_steps, 0))
        graphs = [*(self.get_buffer(f"road_{n}") for n in range(self.roads)), self.learned()]
        hidden, seen = self.start(window), []
        for n, convolution in enumerate(self.convolutions):
            gated = convolution(hidden)
            seen.append(self.skips[n](gated[:, -1]))
            if n < len(self.exchanges):
                hidden = self.exchanges[n](gated, hidden, graphs)
        forecast: torch.Tensor = self.end(torch.stack(seen).sum(dim=0))
        return forecast.permute(1, 2, 0)
