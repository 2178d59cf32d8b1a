"""Models that are fitted in one go: regressions, trees, tables of means; no gradient steps."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from luigi_traffic.api.model import Model
from luigi_traffic.errors import DataError
from luigi_traffic.training.fit_inputs import Prepared
from luigi_traffic.training.fit_result import Fit, Progress

if TYPE_CHECKING:
    from luigi_traffic.api.model import ArrayBatch


class TrainingBatches:
    """The training samples as arrays: may be walked more than once, in the same order."""

    def __init__(self, prepared: Prepared, positions: NDArray[Any]) -> None:
        self._prepared, self._positions = prepared, positions

    def __len__(self) -> int:
        """Samples in all of them."""
        return len(self._positions)

    def __iter__(self) -> Iterator[ArrayBatch]:
        mean, std = self._prepared.scaler.target
        for x, y, mask in self._prepared.batches(self._prepared.train, self._positions):
            scaled = np.where(mask.cpu().numpy(), (y.cpu().numpy() - mean) / std, 0.0)
            yield x.cpu().numpy(), scaled.astype(np.float32), mask.cpu().numpy()


def fit_in_one_go(
    model: Model, prepared: Prepared, progress: Callable[[Progress], None] = lambda _: None
) -> Fit:
    """Let the model fit its network to `samples_per_epoch` training samples, then validate it.

    What is drawn is a function of the seed. The training error is that of `validation_samples` of
    them. There is nothing to resume: a killed fit is done again. Raises DataError where the
    validation error is not a number.
    """
    begun = time.monotonic()
    train, config = prepared.train, prepared.config
    positions, error = fitted(model, prepared)
    # Positions come in random order. Of trees, forecasts of all samples take as long as the fit.
    loss = prepared.mae(train, positions[: config.validation_samples])
    seconds = time.monotonic() - begun
    progress(Progress(1, 1, 1.0, loss, error, 1, seconds))
    return Fit(
        network=prepared.network,
        shape=prepared.shape,
        context=prepared.context,
        scaler=prepared.scaler,
        split=prepared.split,
        history=[
            {
                "epoch": 1.0,
                "train_loss": loss,
                "validation_mae": error,
                "learning_rate": 0.0,
                "samples": float(len(positions)),
                "seconds": seconds,
            }
        ],
        best_epoch=1,
        resumed_at=None,
        stopped_early=False,
        samples_total=len(train),
        samples_drawn=len(positions),
        samples_seen=len(positions),
        per_link=prepared.per_link,
        device=str(prepared.device),
        seconds=seconds,
        profile=prepared.profile,
    )


def fitted(model: Model, prepared: Prepared) -> tuple[NDArray[Any], float]:
    """Let the model fit its network; the positions of the samples, and the validation error.

    Raises DataError if the error is not a number.
    """
    config = prepared.config
    positions = prepared.train.drawn(config.seed, 0, config.samples_per_epoch)
    model.fit(config, prepared.network, TrainingBatches(prepared, positions))
    prepared.network.eval()
    error = prepared.validation_mae()
    if not math.isfinite(error):
        raise DataError(
            f"The validation error is not a number: fit() of {model.name} left something that is "
            "not a number in its network. If nothing was observed, x is 0 and the mask is False."
        )
    return positions, error
