"""Gradient descent: the epochs of a training, and all that changes from one to the next."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch.optim.lr_scheduler import LRScheduler

from luigi_traffic.api.model import Model, ModelConfig, takes_context
from luigi_traffic.errors import DataError
from luigi_traffic.training.batches import Batch
from luigi_traffic.training.fit_inputs import Prepared

#: Seconds between two reports of progress within an epoch.
PROGRESS_EVERY = 1.0


@dataclass(frozen=True)
class Passed:
    """What an epoch came to."""

    loss: float
    """Mean of the batches."""
    rate: float
    """Learning rate of the last batch."""
    samples: int
    seconds: float


class Descent:
    """A network with its optimizer and schedule; `epoch` of them are done.

    The schedule is that of `config.epochs`, whether all of them are run or not.
    """

    def __init__(self, model: Model, prepared: Prepared) -> None:
        self._prepared, self._config = prepared, prepared.config
        self.network = prepared.network
        size = prepared.train.epoch_size(self._config.samples_per_epoch)
        self._batches = math.ceil(size / self._config.batch_size)
        self._optimizer, self._scheduler = _optimizer(
            model, self._config, self.network, self._config.epochs * self._batches
        )
        self.epoch = 0

    def run_epoch(self, told: Callable[[float, float], None]) -> Passed:
        """One pass; `told` hears the share of the epoch that is done and the loss so far.

        Raises DataError if the loss or its gradient is not a number.
        """
        config, prepared, network = self._config, self._prepared, self.network
        since = last = time.monotonic()
        network.train()
        positions = prepared.train.drawn(config.seed, self.epoch, config.samples_per_epoch)
        total = torch.zeros((), dtype=torch.float64, device=prepared.device)
        rate, seen = 0.0, 0
        for index, parts in enumerate(prepared.parted_batches(positions)):
            rate = float(self._optimizer.param_groups[0]["lr"])
            self._optimizer.zero_grad(set_to_none=True)
            loss = self._backward(parts)
            norm = torch.nn.utils.clip_grad_norm_(network.parameters(), config.gradient_clip)
            if not bool(torch.isfinite(norm)) or not bool(torch.isfinite(loss)):
                raise DataError(
                    f"The loss or its gradient is not a number in batch {index + 1} of epoch "
                    f"{self.epoch + 1}. A smaller learning_rate (now {config.learning_rate:g}) or "
                    "gradient_clip usually helps; otherwise look for absurd values in gold."
                )
            self._optimizer.step()
            if self._scheduler is not None:
                self._scheduler.step()
            total += loss.double()
            seen += 1
            if time.monotonic() - last > PROGRESS_EVERY:
                last = time.monotonic()
                told(index / self._batches, float(total) / seen)
        self.epoch += 1
        return Passed(float(total) / seen, rate, len(positions), time.monotonic() - since)

    def _backward(self, parts: list[Batch]) -> torch.Tensor:
        """Leave the gradient of a batch in the network; its loss.

        The loss is a mean over observed targets, so the parts count by how many they have.
        """
        prepared = self._prepared
        observed = torch.stack([mask.sum() for _, _, mask in parts]).double()
        shares = observed / observed.sum().clamp(min=1)
        whole = torch.zeros((), dtype=torch.float64, device=prepared.device)
        for share, batch in zip(shares.float(), parts, strict=True):
            loss = prepared.outputs.loss(self._config, self.network, batch, prepared.scaler)
            if len(parts) > 1:
                loss = loss * share
            loss.backward()  # type: ignore[no-untyped-call]
            whole += loss.detach()
        return whole

    def dump(self) -> dict[str, Any]:
        """All of it, for a checkpoint, with the state of the random numbers."""
        device = self._prepared.device
        return {
            "epoch": self.epoch,
            "network": self.network.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "scheduler": self._scheduler.state_dict() if self._scheduler else None,
            "rng": torch.get_rng_state(),
            "rng_cuda": torch.cuda.get_rng_state(device) if device.type == "cuda" else None,
        }

    def load(self, found: dict[str, Any]) -> None:
        """The inverse of `dump`."""
        self.epoch = found["epoch"]
        self.network.load_state_dict(found["network"])
        self._optimizer.load_state_dict(found["optimizer"])
        if self._scheduler:
            self._scheduler.load_state_dict(found["scheduler"])
        torch.set_rng_state(found["rng"])
        device = self._prepared.device
        if device.type == "cuda" and found["rng_cuda"] is not None:
            torch.cuda.set_rng_state(found["rng_cuda"], device)


def _optimizer(
    model: Model, config: ModelConfig, network: torch.nn.Module, steps: int
) -> tuple[torch.optim.Optimizer, LRScheduler | None]:
    """Optimizer and schedule of the model; the core's for one of version 1 of the API."""
    if takes_context(model):
        optimizer = model.optimizer(config, network)
        return optimizer, model.scheduler(config, optimizer, steps)
    optimizer = Model.optimizer(model, config, network)
    return optimizer, Model.scheduler(model, config, optimizer, steps)
