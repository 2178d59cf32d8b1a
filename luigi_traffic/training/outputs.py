"""What a network answers: points or quantiles, alone or with an auxiliary loss."""

from __future__ import annotations

from typing import Any

import torch

from luigi_traffic.api.losses import masked_loss, pinball_loss
from luigi_traffic.api.model import Model, ModelConfig, takes_context
from luigi_traffic.errors import DataError
from luigi_traffic.training.batches import Batch
from luigi_traffic.training.scaler import Scaler


class Outputs:
    """How the answers of a model's network are read. Raises DataError for other shapes.

    A model of version 1 of the API has the core's loss, whatever its methods are called.
    """

    def __init__(self, model: Model) -> None:
        self._model = model
        of_today = takes_context(model)
        self.quantiles = model.quantiles if of_today else ()
        self._own_loss = of_today and type(model).loss is not Model.loss
        rising = all(
            a < b for a, b in zip((0.0, *self.quantiles), (*self.quantiles, 1.0), strict=True)
        )
        if not rising:
            raise DataError(
                f"The model {model.name} has the quantiles {self.quantiles}. Give them in rising "
                "order, each between 0 and 1."
            )
        near = [abs(q - 0.5) for q in self.quantiles]
        self._point = near.index(min(near)) if near else None

    def split(self, answer: Any, x: torch.Tensor, steps: int) -> tuple[torch.Tensor, torch.Tensor]:
        """The forecast `(B, steps, N[, Q])`, standard scores, and the auxiliary loss, a scalar."""
        output, auxiliary = answer if isinstance(answer, tuple) else (answer, None)
        wanted = (x.shape[0], steps, x.shape[2], *([len(self.quantiles)] if self.quantiles else []))
        if not isinstance(output, torch.Tensor) or tuple(output.shape) != wanted:
            found = (
                tuple(output.shape) if isinstance(output, torch.Tensor) else type(output).__name__
            )
            axes = "batch, output_steps, links" + (", quantiles" if self.quantiles else "")
            raise DataError(
                f"The network of {self._model.name} answers {found}; expected ({axes}) = {wanted}."
            )
        if auxiliary is None:
            return output, output.new_zeros(())
        if not isinstance(auxiliary, torch.Tensor) or auxiliary.numel() != 1:
            raise DataError(
                f"The network of {self._model.name} answers a pair whose second part is not a "
                "tensor with one number. Return (forecast, auxiliary loss), or the forecast alone."
            )
        return output, auxiliary.reshape(())

    def point(self, answer: Any, x: torch.Tensor, steps: int) -> torch.Tensor:
        """The forecast `(B, steps, N)`, standard scores: of quantiles the one nearest to 0.5."""
        output, _ = self.split(answer, x, steps)
        return output if self._point is None else output[..., self._point]

    def loss(
        self, config: ModelConfig, network: torch.nn.Module, batch: Batch, scaler: Scaler
    ) -> torch.Tensor:
        """The model's loss of a batch and its auxiliary loss, added."""
        x, y, mask = batch
        mean, std = scaler.target
        output, auxiliary = self.split(network(x), x, config.output_steps)
        if self._own_loss:
            scores = torch.where(mask, (y - mean) / std, 0.0)
            loss = self._model.loss(config, output, scores, mask)
        elif self.quantiles:
            loss = pinball_loss(output * std + mean, y, mask, self.quantiles)
        else:
            loss = masked_loss(output * std + mean, y, mask, config.loss, std)
        return loss + auxiliary
