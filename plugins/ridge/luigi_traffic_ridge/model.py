"""Ridge regression: each step ahead is a weighted sum of the window. No gradient steps.

One set of weights for all links, fitted by scikit-learn and copied into the network's
buffers. What a deep model has to beat before it is worth its hours.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from pydantic import Field

from luigi_traffic import (
    DAY_OF_WEEK,
    OBSERVED,
    TARGET,
    TIME_OF_DAY,
    DataError,
    Model,
    ModelConfig,
    ModelContext,
    ModelShape,
)

if TYPE_CHECKING:
    from torch import nn


class RidgeConfig(ModelConfig):
    """Hyperparameters of `Ridge`. Those of gradient steps (epochs, learning_rate, …) do nothing."""

    alpha: float = Field(1.0, gt=0, description="Strength of the L2 penalty on the weights")
    columns: tuple[str, ...] = Field(
        (), description="Further columns of gold as input, such as t1, f1, flow or extra columns"
    )
    batch_size: int = Field(4096, ge=1, description="Number of link windows scored at a time")
    samples_per_epoch: int | None = Field(
        200_000,
        ge=1,
        description="Number of link windows that the fit sees, drawn by seed; empty: all",
    )


class Ridge(Model):
    """Linear in the values and flags of the window and in the calendar; one link at a time."""

    name = "ridge"
    version = "1"
    Config = RidgeConfig
    per_link = True

    def channels(self, config: RidgeConfig) -> tuple[str, ...]:
        """Values, their flags, time of day, day of week; ages may come after them."""
        values = (TARGET, *config.columns)
        return (*values, *(name + OBSERVED for name in values), TIME_OF_DAY, DAY_OF_WEEK)

    def build(self, config: RidgeConfig, shape: ModelShape, context: ModelContext) -> nn.Module:
        """`(batch, input_steps, links, channels) -> (batch, output_steps, links)`, any `links`."""
        from luigi_traffic_ridge.network import Linear

        return Linear(shape)

    def fit(self, config: RidgeConfig, network: Any, batches: Iterable[Any]) -> None:
        """One regression a step ahead, over the samples where that step was observed."""
        import numpy as np
        import torch
        from sklearn.linear_model import Ridge as Regression

        parts = [
            (network.regressors(torch.from_numpy(x)).numpy()[:, 0], y[..., 0], mask[..., 0])
            for x, y, mask in batches
        ]
        x, y, mask = (np.concatenate(column) for column in zip(*parts, strict=True))
        for step in range(y.shape[1]):
            seen = mask[:, step]
            if not seen.any():
                raise DataError(
                    f"No training sample has an observed target {step + 1} steps ahead."
                )
            found = Regression(alpha=config.alpha).fit(x[seen], y[seen, step])
            network.weight[step] = torch.from_numpy(found.coef_)
            network.bias[step] = float(found.intercept_)
