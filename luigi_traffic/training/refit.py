"""The network that forecasts: trained once more, on every window, for the epochs that were best.

The newest days are the hold-out, and those before them chose the epoch; a network that never saw
either forecasts the next day from older traffic than there is. What it would score cannot be known:
nothing is left to score it on. So the network that was scored stays beside it, for comparisons.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path

from luigi_traffic.api.model import Model, ModelConfig
from luigi_traffic.training.checkpoint import fingerprint, read_checkpoint, write_checkpoint
from luigi_traffic.training.descent import Descent
from luigi_traffic.training.fit_inputs import Prepared
from luigi_traffic.training.fit_once import fitted
from luigi_traffic.training.fit_result import Fit, Progress, Refit
from luigi_traffic.training.series import Series

log = logging.getLogger("luigi_traffic")

#: Folder of the checkpoints, below those of the training.
FOLDER = "refit"
#: By how much the error on windows that it has now seen may be larger than before it had.
TOLERANCE = 1.1


def refit(
    model: Model,
    config: ModelConfig,
    series: Series,
    first: Fit,
    *,
    checkpoint_dir: Path,
    progress: Callable[[Progress], None] = lambda _: None,
    on_checkpoint: Callable[[], None] = lambda: None,
) -> Refit | None:
    """Train on all windows of the series that `first` was trained on a part of.

    It begins with the same first weights and takes the same schedule, up to the best epoch of
    `first`. It resumes after a kill as `fit` does. None, with a warning, if it came out worse on
    the validation windows, which it was trained on, than `first`, which was not. Raises
    DataError if the loss is not a number.
    """
    begun = time.monotonic()
    prepared = Prepared.of(model, config, series, first.context, whole=True)
    if model.fitted_in_one_go:
        _, error = fitted(model, prepared)
    else:
        error = _descend(model, prepared, series, first, checkpoint_dir, progress, on_checkpoint)
    before = min(row["validation_mae"] for row in first.history)
    if not error <= TOLERANCE * before:
        log.warning(
            "Trained on all windows, %s has an error of %.3f on the validation windows, which it "
            "has seen; without them it had %.3f. The network that was scored forecasts instead.",
            model.name, error, before,
        )  # fmt: skip
        return None
    return Refit(
        prepared.network, prepared.scaler, prepared.split, first.best_epoch, error,
        time.monotonic() - begun, prepared.profile,
    )  # fmt: skip


def _descend(
    model: Model,
    prepared: Prepared,
    series: Series,
    first: Fit,
    checkpoint_dir: Path,
    progress: Callable[[Progress], None],
    on_checkpoint: Callable[[], None],
) -> float:
    """The epochs; the error on the validation windows after them."""
    begun, folder = time.monotonic(), checkpoint_dir / FOLDER
    descent = Descent(model, prepared)
    mark = fingerprint(model, prepared.config, series, prepared.context)
    found = read_checkpoint(folder, mark)
    if found is not None:
        descent.load(found)
        log.info("The training on all windows resumes after epoch %d.", descent.epoch)

    def told(part: float, loss: float) -> None:
        done, of = descent.epoch, first.best_epoch
        seconds = time.monotonic() - begun
        progress(
            Progress(min(done + 1, of), of, (done + part) / of, loss, None, None, seconds, True)
        )

    while descent.epoch < first.best_epoch:
        passed = descent.run_epoch(told)
        write_checkpoint(folder, mark, descent.dump())
        told(0.0, passed.loss)
        on_checkpoint()
    prepared.network.eval()
    return prepared.validation_mae()
