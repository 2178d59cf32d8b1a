"""Losses over what was observed, which models may use in their own.

Shapes: B windows, T_out steps ahead, N links, Q quantiles. Loaded without torch: it is imported by
the call.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def masked_loss(
    forecast: torch.Tensor,
    actual: torch.Tensor,
    mask: torch.Tensor,
    kind: str = "mae",
    std: float = 1.0,
) -> torch.Tensor:
    """Mean loss over observed targets, a scalar in the unit of the inputs; 0 without any.

    `forecast` and `actual` are `(B, T_out, N)`, `mask` is True where `actual` was observed. `kind`
    is "mae", "mse" or "huber", which turns from square to line at `std`, one standard deviation of
    the target in that unit.
    """
    import torch

    error = torch.where(mask, forecast - actual, 0.0)
    if kind == "mse":
        each = error.square()
    elif kind == "huber":
        each = torch.nn.functional.huber_loss(
            error, torch.zeros_like(error), reduction="none", delta=std
        )
    else:
        each = error.abs()
    return each.sum() / mask.sum().clamp(min=1)


def pinball_loss(
    forecast: torch.Tensor, actual: torch.Tensor, mask: torch.Tensor, quantiles: Sequence[float]
) -> torch.Tensor:
    """Mean pinball loss over observed targets and quantiles, a scalar; 0 without any target.

    `forecast` is `(B, T_out, N, Q)`, `actual` and `mask` are `(B, T_out, N)`. Each quantile q costs
    q times what the forecast lies below, 1 - q times what it lies above.
    """
    import torch

    share = torch.tensor(quantiles, dtype=forecast.dtype, device=forecast.device)
    below = torch.where(mask[..., None], actual[..., None] - forecast, 0.0)
    each = torch.maximum(share * below, (share - 1) * below)
    return each.sum() / (mask.sum().clamp(min=1) * len(quantiles))
