"""The training loop: masked loss, early stopping, checkpoints, resume.

A training that was killed and resumed ends with the same weights as one that was not
(bit for bit on a CPU with the same number of threads): what an epoch draws and its
learning rate are functions of the epoch, and a checkpoint holds all other state.
"""

from __future__ import annotations

import copy
import logging
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from luigi_traffic.api.context import ModelContext
from luigi_traffic.api.model import Model, ModelConfig
from luigi_traffic.errors import DataError
from luigi_traffic.training.batches import Batch
from luigi_traffic.training.checkpoint import fingerprint, read_checkpoint, write_checkpoint
from luigi_traffic.training.fit_inputs import Prepared
from luigi_traffic.training.fit_once import fit_in_one_go
from luigi_traffic.training.fit_result import Fit, Progress
from luigi_traffic.training.scaler import Scaler
from luigi_traffic.training.series import Series

log = logging.getLogger(__name__)

#: Seconds between two reports of progress within an epoch.
PROGRESS_EVERY = 1.0


def fit(
    model: Model,
    config: ModelConfig,
    series: Series,
    *,
    checkpoint_dir: Path,
    context: ModelContext | None = None,
    progress: Callable[[Progress], None] = lambda _: None,
    on_checkpoint: Callable[[], None] = lambda: None,
) -> Fit:
    """Train `model` on the first part of `series`, choosing the epoch on the second.

    `context` is for the links of `series`; without it the network is built without roads.
    The loss is taken in the dataset's unit over observed targets only, each target with
    the same weight. After each epoch a checkpoint is written to `checkpoint_dir`, then
    `on_checkpoint` is called; a checkpoint of other data, settings or model version is
    ignored. Raises DataError where the loss is not a number or a split has no targets,
    SettingsError where a GPU is asked for and not there.
    """
    begun = time.monotonic()
    prepared = Prepared.of(model, config, series, context)
    if model.fitted_in_one_go:
        return fit_in_one_go(model, prepared, progress)
    network, train, device = prepared.network, prepared.train, prepared.device
    optimizer = torch.optim.Adam(
        network.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
    )
    state = _State(network, optimizer)
    mark = fingerprint(model, config, series, prepared.context)
    found = read_checkpoint(checkpoint_dir, mark)
    if found is not None:
        state.load(found, device)
        log.info("Training resumes after epoch %d of %d.", state.epoch, config.epochs)
    resumed_at = state.epoch + 1 if found is not None else None

    size = train.epoch_size(config.samples_per_epoch)
    batches = math.ceil(size / config.batch_size)
    while state.epoch < config.epochs and state.stale < config.patience:
        epoch, since = state.epoch, time.monotonic()
        network.train()
        positions = train.drawn(config.seed, epoch, config.samples_per_epoch)
        total = torch.zeros((), dtype=torch.float64, device=device)
        seen, told = 0, since
        for index, batch in enumerate(prepared.batches(train, positions)):
            rate = _learning_rate(config, (epoch * batches + index) / (config.epochs * batches))
            for group in optimizer.param_groups:
                group["lr"] = rate
            loss = _loss(network, batch, prepared.scaler, config.loss)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            norm = torch.nn.utils.clip_grad_norm_(network.parameters(), config.gradient_clip)
            if not bool(torch.isfinite(norm)) or not bool(torch.isfinite(loss)):
                raise DataError(
                    f"The loss or its gradient is not a number in batch {index + 1} of epoch "
                    f"{epoch + 1}. A smaller learning_rate (now {config.learning_rate:g}) or "
                    "gradient_clip usually helps; otherwise look for absurd values in gold."
                )
            optimizer.step()
            total += loss.detach().double()
            seen += 1
            if time.monotonic() - told > PROGRESS_EVERY:
                told = time.monotonic()
                progress(state.progress(config, index / batches, float(total) / seen, told - begun))
        error = prepared.validation_mae()
        if not math.isfinite(error):
            raise DataError(
                f"The validation error of epoch {epoch + 1} is not a number: the last step of the "
                f"epoch broke the network. Set a smaller learning_rate than {rate:g}."
            )
        state.finish_epoch(
            {
                "epoch": float(epoch + 1),
                "train_loss": float(total) / seen,
                "validation_mae": error,
                "learning_rate": rate,
                "samples": float(len(positions)),
                "seconds": time.monotonic() - since,
            }
        )
        write_checkpoint(checkpoint_dir, mark, state.dump(device))
        progress(state.progress(config, 0.0, float(total) / seen, time.monotonic() - begun))
        on_checkpoint()

    network.load_state_dict(state.best)
    network.eval()
    drawn = size * state.epoch
    return Fit(
        network=network,
        shape=prepared.shape,
        context=prepared.context,
        scaler=prepared.scaler,
        split=prepared.split,
        history=state.history,
        best_epoch=state.best_epoch,
        resumed_at=resumed_at,
        stopped_early=state.epoch < config.epochs,
        samples_total=len(train),
        samples_drawn=drawn,
        samples_seen=min(drawn, len(train)),  # see Samples: no repeats before all have come
        per_link=model.per_link,
        device=str(device),
        seconds=time.monotonic() - begun,
    )


class _State:
    """What changes from epoch to epoch."""

    def __init__(self, network: torch.nn.Module, optimizer: torch.optim.Optimizer) -> None:
        self.network, self.optimizer = network, optimizer
        self.epoch = 0  # epochs done
        self.best = copy.deepcopy(network.state_dict())
        self.best_epoch = 0
        self.best_error = math.inf
        self.stale = 0
        self.history: list[dict[str, float]] = []

    def finish_epoch(self, row: dict[str, float]) -> None:
        self.epoch += 1
        self.history.append(row)
        if row["validation_mae"] < self.best_error:
            self.best_error, self.best_epoch, self.stale = row["validation_mae"], self.epoch, 0
            self.best = copy.deepcopy(self.network.state_dict())
        else:
            self.stale += 1

    def progress(self, config: ModelConfig, part: float, loss: float, seconds: float) -> Progress:
        known = self.best_epoch > 0
        return Progress(
            min(self.epoch + 1, config.epochs),
            config.epochs,
            (self.epoch + part) / config.epochs,
            loss,
            self.best_error if known else None,
            self.best_epoch if known else None,
            seconds,
        )

    def dump(self, device: torch.device) -> dict[str, Any]:
        return {
            "epoch": self.epoch,
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "best": self.best,
            "best_epoch": self.best_epoch,
            "best_error": self.best_error,
            "stale": self.stale,
            "history": self.history,
            "rng": torch.get_rng_state(),
            "rng_cuda": torch.cuda.get_rng_state(device) if device.type == "cuda" else None,
        }

    def load(self, found: dict[str, Any], device: torch.device) -> None:
        self.network.load_state_dict(found["network"])
        self.optimizer.load_state_dict(found["optimizer"])
        self.epoch, self.stale = found["epoch"], found["stale"]
        self.best, self.best_epoch = found["best"], found["best_epoch"]
        self.best_error, self.history = found["best_error"], found["history"]
        torch.set_rng_state(found["rng"])
        if device.type == "cuda" and found["rng_cuda"] is not None:
            torch.cuda.set_rng_state(found["rng_cuda"], device)


def masked_loss(
    forecast: torch.Tensor, actual: torch.Tensor, mask: torch.Tensor, kind: str, std: float
) -> torch.Tensor:
    """Mean loss over observed targets (`mask`), in the dataset's unit; 0 without any.

    "huber" turns from square to line at one standard deviation of the speed.
    """
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


def _loss(network: torch.nn.Module, batch: Batch, scaler: Scaler, kind: str) -> torch.Tensor:
    x, y, mask = batch
    mean, std = scaler.target
    return masked_loss(network(x) * std + mean, y, mask, kind, std)


def _learning_rate(config: ModelConfig, share: float) -> float:
    if config.schedule == "constant":
        return config.learning_rate
    return config.learning_rate * 0.5 * (1 + math.cos(math.pi * share))
