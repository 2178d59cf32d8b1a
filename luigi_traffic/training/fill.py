"""What a window says of a value that is missing: the last one before it, and how old that is.

All within the window: what a model is trained on, stores and serves is a function of the window.
"""

from __future__ import annotations

import torch


def last_seen(seen: torch.Tensor) -> torch.Tensor:
    """Of `(B, T, N, F)` bool, int64: the step, counted from 1, of the last observation up to each
    step; 0 if there is none yet."""
    return torch.where(seen, _steps(seen), 0).cummax(dim=1).values


def carried(values: torch.Tensor, at: torch.Tensor) -> torch.Tensor:
    """`(B, T, N, F)`: the value of the steps `at` of `last_seen`; 0 if there is none."""
    found = values.gather(1, (at - 1).clamp(min=0))
    return torch.where(at > 0, found, 0.0)


def ages(at: torch.Tensor) -> torch.Tensor:
    """`(B, T, N, F)` float32: steps since the steps `at` of `last_seen`, divided by T; 1 if there
    is none."""
    return torch.where(at > 0, (_steps(at) - at) / at.shape[1], 1.0)


def _steps(like: torch.Tensor) -> torch.Tensor:
    """1 … T as `(T, 1, 1)`."""
    return torch.arange(1, like.shape[1] + 1, device=like.device)[:, None, None]
