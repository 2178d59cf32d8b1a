"""The training loop: masked loss, early stopping, checkpoints, resume.

A training that was killed and resumed ends with the same weights as one that was not
(bit for bit on a CPU with the same number of threads): what an epoch draws is a function of
the epoch, and a checkpoint holds all other state.
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
from torch.optim.lr_scheduler import LRScheduler

from luigi_traffic.api.context import ModelContext
from luigi_traffic.api.model import Model, ModelConfig, takes_context
from luigi_traffic.errors import DataError
from luigi_traffic.training.checkpoint import fingerprint, read_checkpoint, write_checkpoint
from luigi_traffic.training.fit_inputs import Prepared
from luigi_traffic.training.fit_once import fit_in_one_go
from luigi_traffic.training.fit_result import Fit, Progress
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
    The loss is the model's, by default taken in the dataset's unit over observed targets only,
    each target with the same weight. After each epoch a checkpoint is written to
    `checkpoint_dir`, then `on_checkpoint` is called; a checkpoint of other data, settings or model
    version is ignored. Raises DataError where the loss is not a number or a split has no
    targets, SettingsError where a GPU is asked for and not there.
    """
    begun = time.monotonic()
    prepared = Prepared.of(model, config, series, context)
    if model.fitted_in_one_go:
        return fit_in_one_go(model, prepared, progress)
    network, train, device = prepared.network, prepared.train, prepared.device
    size = train.epoch_size(config.samples_per_epoch)
    batches = math.ceil(size / config.batch_size)
    optimizer, scheduler = _descent(model, config, network, config.epochs * batches)
    state = _State(network, optimizer, scheduler)
    mark = fingerprint(model, config, series, prepared.context)
    found = read_checkpoint(checkpoint_dir, mark)
    if found is not None:
        state.load(found, device)
        log.info("Training resumes after epoch %d of %d.", state.epoch, config.epochs)
    resumed_at = state.epoch + 1 if found is not None else None

    while state.epoch < config.epochs and state.stale < config.patience:
        epoch, since = state.epoch, time.monotonic()
        network.train()
        positions = train.drawn(config.seed, epoch, config.samples_per_epoch)
        total = torch.zeros((), dtype=torch.float64, device=device)
        seen, told = 0, since
        for index, batch in enumerate(prepared.batches(train, positions)):
            rate = float(optimizer.param_groups[0]["lr"])
            loss = prepared.outputs.loss(config, network, batch, prepared.scaler)
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
            if scheduler is not None:
                scheduler.step()
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
        profile=prepared.profile,
    )


class _State:
    """What changes from epoch to epoch."""

    def __init__(
        self,
        network: torch.nn.Module,
        optimizer: torch.optim.Optimizer,
        scheduler: LRScheduler | None,
    ) -> None:
        self.network, self.optimizer, self.scheduler = network, optimizer, scheduler
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
            "scheduler": self.scheduler.state_dict() if self.scheduler else None,
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
        if self.scheduler:
            self.scheduler.load_state_dict(found["scheduler"])
        self.epoch, self.stale = found["epoch"], found["stale"]
        self.best, self.best_epoch = found["best"], found["best_epoch"]
        self.best_error, self.history = found["best_error"], found["history"]
        torch.set_rng_state(found["rng"])
        if device.type == "cuda" and found["rng_cuda"] is not None:
            torch.cuda.set_rng_state(found["rng_cuda"], device)


def _descent(
    model: Model, config: ModelConfig, network: torch.nn.Module, steps: int
) -> tuple[torch.optim.Optimizer, LRScheduler | None]:
    """Optimizer and schedule of the model; the core's for one of version 1 of the API."""
    if takes_context(model):
        optimizer = model.optimizer(config, network)
        return optimizer, model.scheduler(config, optimizer, steps)
    optimizer = Model.optimizer(model, config, network)
    return optimizer, Model.scheduler(model, config, optimizer, steps)
