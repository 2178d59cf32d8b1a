"""Who hears whom: matrices whose rows say which links a link hears, and how much."""

from __future__ import annotations

import torch
from torch import nn

from luigi_traffic import ModelContext


def road_matrices(context: ModelContext, self_weight: float) -> list[torch.Tensor]:
    """Two matrices `(N, N)` of the dataset's graph; none if it has no edges.

    They are the transition matrices of a random walk (Li et al. 2018, DCRNN): row i of the first
    one weighs the links that link i flows into, of the second one those that flow into it. A link
    is beside them with `self_weight`, since a graph has no loops. The sum of a row is 1.
    """
    if not context.graph:
        return []
    weights = torch.from_numpy(context.adjacency())
    return [_row_shares(matrix, self_weight) for matrix in (weights, weights.T)]


class LearnedGraph(nn.Module):
    """softmax(relu(E1 E2ᵀ)): a link hears those whose second embedding is like its first one."""

    def __init__(self, links: int, width: int) -> None:
        super().__init__()
        self.hearing = nn.Parameter(torch.randn(links, width))
        self.heard = nn.Parameter(torch.randn(links, width))

    def forward(self) -> torch.Tensor:
        """`(N, N)`; the sum of a row is 1."""
        return (self.hearing @ self.heard.T).relu().softmax(dim=1)


def _row_shares(weights: torch.Tensor, self_weight: float) -> torch.Tensor:
    heard = weights + self_weight * torch.eye(len(weights))
    return heard / heard.sum(dim=1, keepdim=True)
