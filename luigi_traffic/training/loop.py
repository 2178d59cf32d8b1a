"""The training loop: masked loss, early stopping, checkpoints, resume.

A training that was killed and resumed ends with the same weights as one that was not
(bit for bit on a CPU with the same number of threads): what an epoch draws and its
learning rate are functions of the epoch, and a checkpoint holds all other state.
"""

from __future__ import annotations

import copy
import logging
import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from luigi_traffic.errors import DataError, SettingsError
from luigi_traffic.model import Model, ModelConfig, ModelShape
from luigi_traffic.training.batches import Batch, Samples, Tensors
from luigi_traffic.training.checkpoint import fingerprint, read_checkpoint, write_checkpoint
from luigi_traffic.training.scaler import Scaler
from luigi_traffic.training.series import Series
from luigi_traffic.training.windows import Split, split, window_count

log = logging.getLogger(__name__)

#: Seconds between two reports of progress within an epoch.
PROGRESS_EVERY = 1.0
#: More threads than this make small batches slower, not faster.
MOST_THREADS = 8


@dataclass(frozen=True)
class Progress:
    """Where a training is. `share` is of all epochs, which early stopping may cut short."""

    epoch: int
    epochs: int
    share: float
    loss: float
    best_validation_mae: float | None
    best_epoch: int | None
    seconds: float


@dataclass(frozen=True)
class Fit:
    """A trained network and how it came about."""

    network: torch.nn.Module
    """On the training's device, with the weights of the best epoch, in eval mode."""
    shape: ModelShape
    scaler: Scaler
    split: Split
    history: list[dict[str, float]]
    """One dict an epoch: epoch, train_loss, validation_mae, learning_rate, seconds, samples."""
    best_epoch: int
    resumed_at: int | None
    """The first epoch after the last resume; None where the training ran in one go."""
    stopped_early: bool
    samples_total: int
    """Training samples with something to forecast: windows, or (window, link) pairs."""
    samples_drawn: int
    """Over all epochs, repeats included."""
    samples_seen: int
    """Distinct ones among them."""
    per_link: bool
    device: str
    seconds: float


def fit(
    model: Model,
    config: ModelConfig,
    series: Series,
    *,
    checkpoint_dir: Path,
    progress: Callable[[Progress], None] = lambda _: None,
    on_checkpoint: Callable[[], None] = lambda: None,
) -> Fit:
    """Train `model` on the first part of `series`, choosing the epoch on the second.

    The loss is taken in the dataset's unit over observed targets only, each target with
    the same weight. After each epoch a checkpoint is written to `checkpoint_dir`, then
    `on_checkpoint` is called; a checkpoint of other data, settings or model version is
    ignored. Raises DataError where the loss is not a number or a split has no targets,
    SettingsError where a GPU is asked for and not there.
    """
    device = choose_device(config.device)
    use_threads()
    begun = time.monotonic()
    t_in, t_out = config.input_steps, config.output_steps
    parts = split(
        window_count(len(series), t_in, t_out), config.train_share, config.validation_share
    )
    scaler = Scaler.fit(series, parts.training_rows(t_in))
    channels = model.channels(config)
    shape = ModelShape(
        t_in, t_out, 1 if model.per_link else len(series.links), channels, series.steps_per_day
    )
    tensors = Tensors(series, scaler, channels, t_in, t_out, device)
    train = Samples(series, parts.train, t_in, t_out, model.per_link)
    validation = Samples(series, parts.validation, t_in, t_out, model.per_link)
    validation_draw = validation.drawn(0, 0, config.validation_samples)

    torch.manual_seed(config.seed)
    network = model.build(config, shape).to(device)
    optimizer = torch.optim.Adam(
        network.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
    )
    state = _State(network, optimizer)
    mark = fingerprint(model, config, series)
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
        for index, at in enumerate(train.batches(positions, config.batch_size)):
            rate = _learning_rate(config, (epoch * batches + index) / (config.epochs * batches))
            for group in optimizer.param_groups:
                group["lr"] = rate
            loss = _loss(network, tensors.batch(*at), scaler, config.loss)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            norm = torch.nn.utils.clip_grad_norm_(network.parameters(), config.gradient_clip)
            if not bool(torch.isfinite(norm)) or not bool(torch.isfinite(loss)):
                raise DataError(
                    f"The loss or its gradient is not a number in batch {index + 1} of epoch "
                    f"{epoch + 1}. A smaller learning_rate (now {config.learning_rate:g}) or "
                    "gradient_clip usually helps; else look for absurd speeds in gold."
                )
            optimizer.step()
            total += loss.detach().double()
            seen += 1
            if time.monotonic() - told > PROGRESS_EVERY:
                told = time.monotonic()
                progress(state.progress(config, index / batches, float(total) / seen, told - begun))
        error = _validate(network, tensors, validation, validation_draw, config.batch_size, scaler)
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
        shape=shape,
        scaler=scaler,
        split=parts,
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


def choose_device(wanted: str) -> torch.device:
    """The GPU for "auto" where there is one. Raises SettingsError for a "cuda" that is not."""
    there = torch.cuda.is_available()
    if wanted == "cuda" and not there:
        raise SettingsError(
            "The model's config asks for device 'cuda', but torch sees no GPU here. "
            "Set device to 'auto' or 'cpu', or install a CUDA build of torch and a driver."
        )
    return torch.device("cuda" if there and wanted != "cpu" else "cpu")


def use_threads() -> None:
    """As many threads as this process has cores, unless OMP_NUM_THREADS says otherwise.

    torch counts the machine's cores, not those that a container or taskset leaves us.
    """
    if "OMP_NUM_THREADS" not in os.environ:
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        torch.set_num_threads(min(cores or 1, MOST_THREADS))


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


def _validate(
    network: torch.nn.Module,
    tensors: Tensors,
    samples: Samples,
    positions: Any,
    batch_size: int,
    scaler: Scaler,
) -> float:
    """MAE over observed targets of the drawn validation samples."""
    network.eval()
    mean, std = scaler.target
    error = torch.zeros((), dtype=torch.float64, device=tensors.device)
    count = torch.zeros((), dtype=torch.int64, device=tensors.device)
    with torch.inference_mode():
        for at in samples.batches(positions, batch_size):
            x, y, mask = tensors.batch(*at)
            off = torch.where(mask, network(x) * std + mean - y, 0.0)
            error += off.abs().sum(dtype=torch.float64)
            count += mask.sum()
    return float(error / count)


def _learning_rate(config: ModelConfig, share: float) -> float:
    if config.schedule == "constant":
        return config.learning_rate
    return config.learning_rate * 0.5 * (1 + math.cos(math.pi * share))
