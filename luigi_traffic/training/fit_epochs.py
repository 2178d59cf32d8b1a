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

from luigi_traffic.api.context import ModelContext
from luigi_traffic.api.model import Model, ModelConfig
from luigi_traffic.errors import DataError
from luigi_traffic.training.checkpoint import fingerprint, read_checkpoint, write_checkpoint
from luigi_traffic.training.descent import Descent, Passed
from luigi_traffic.training.fit_inputs import Prepared
from luigi_traffic.training.fit_once import fit_in_one_go
from luigi_traffic.training.fit_result import Fit, Progress
from luigi_traffic.training.series import Series

log = logging.getLogger(__name__)


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
    train, size = prepared.train, prepared.train.epoch_size(config.samples_per_epoch)
    descent = Descent(model, prepared)
    state = _State(descent)
    mark = fingerprint(model, config, series, prepared.context)
    found = read_checkpoint(checkpoint_dir, mark)
    if found is not None:
        state.load(found)
        log.info("Training resumes after epoch %d of %d.", descent.epoch, config.epochs)
    resumed_at = descent.epoch + 1 if found is not None else None

    def told(part: float, loss: float) -> None:
        progress(state.progress(config, part, loss, time.monotonic() - begun))

    while descent.epoch < config.epochs and state.stale < config.patience:
        passed = descent.run_epoch(told)
        error = prepared.validation_mae()
        if not math.isfinite(error):
            raise DataError(
                f"The validation error of epoch {descent.epoch} is not a number: the last step of "
                f"the epoch broke the network. Set a smaller learning_rate than {passed.rate:g}."
            )
        state.finish_epoch(passed, error)
        write_checkpoint(checkpoint_dir, mark, state.dump())
        told(0.0, passed.loss)
        on_checkpoint()

    descent.network.load_state_dict(state.best)
    descent.network.eval()
    drawn = size * descent.epoch
    return Fit(
        network=descent.network,
        shape=prepared.shape,
        context=prepared.context,
        scaler=prepared.scaler,
        split=prepared.split,
        history=state.history,
        best_epoch=state.best_epoch,
        resumed_at=resumed_at,
        stopped_early=descent.epoch < config.epochs,
        samples_total=len(train),
        samples_drawn=drawn,
        samples_seen=min(drawn, len(train)),  # see Samples: no repeats before all have come
        per_link=model.per_link,
        device=str(prepared.device),
        seconds=time.monotonic() - begun,
        profile=prepared.profile,
    )


class _State:
    """What changes from epoch to epoch: the descent, and which epoch was the best."""

    def __init__(self, descent: Descent) -> None:
        self._descent = descent
        self.best = copy.deepcopy(descent.network.state_dict())
        self.best_epoch = 0
        self.best_error = math.inf
        self.stale = 0
        self.history: list[dict[str, float]] = []

    def finish_epoch(self, passed: Passed, error: float) -> None:
        self.history.append(
            {
                "epoch": float(self._descent.epoch),
                "train_loss": passed.loss,
                "validation_mae": error,
                "learning_rate": passed.rate,
                "samples": float(passed.samples),
                "seconds": passed.seconds,
            }
        )
        if error < self.best_error:
            self.best_error, self.best_epoch, self.stale = error, self._descent.epoch, 0
            self.best = copy.deepcopy(self._descent.network.state_dict())
        else:
            self.stale += 1

    def progress(self, config: ModelConfig, part: float, loss: float, seconds: float) -> Progress:
        known, done = self.best_epoch > 0, self._descent.epoch
        return Progress(
            min(done + 1, config.epochs),
            config.epochs,
            (done + part) / config.epochs,
            loss,
            self.best_error if known else None,
            self.best_epoch if known else None,
            seconds,
        )

    def dump(self) -> dict[str, Any]:
        return {
            **self._descent.dump(),
            "best": self.best,
            "best_epoch": self.best_epoch,
            "best_error": self.best_error,
            "stale": self.stale,
            "history": self.history,
        }

    def load(self, found: dict[str, Any]) -> None:
        self._descent.load(found)
        self.stale, self.history = found["stale"], found["history"]
        self.best, self.best_epoch = found["best"], found["best_epoch"]
        self.best_error = found["best_error"]
