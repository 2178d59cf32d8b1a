"""From training samples to boosters."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from luigi_traffic import DataError
from luigi_traffic_gbdt.library import lightgbm
from luigi_traffic_gbdt.usual import Floats, Usual

if TYPE_CHECKING:
    from luigi_traffic_gbdt.model import GbdtConfig
    from luigi_traffic_gbdt.network import Trees

_OBJECTIVES = {"mae": "regression_l1", "mse": "regression", "huber": "huber"}


@dataclass(frozen=True)
class Drawn:
    """Rows for the trees of one step ahead; `aside`: of a window that says when to stop."""

    table: Floats
    """`(R, features)`"""
    target: Floats
    aside: NDArray[np.bool_]


def drawn(config: GbdtConfig, network: Trees, usual: Usual, batches: Any) -> Iterable[Drawn]:
    """`rows` (window, link) pairs by seed, for one step ahead after the other.

    Raises DataError if none of them has an observed target at a step.
    """
    rng = np.random.default_rng(config.seed)
    parts = []
    for x, y, mask in batches:
        share = config.rows / (len(batches) * x.shape[2])
        chosen = (rng.random((len(x), x.shape[2])) < share) & mask.any(axis=1)
        window, link = np.nonzero(chosen)
        aside = rng.random(len(x)) < config.stopping_share
        parts.append((x[window, :, link], link, y[window, :, link], mask[window, :, link],
                      aside[window]))  # fmt: skip
    windows, links, y, mask, aside = (np.concatenate(each) for each in zip(*parts, strict=True))
    rows = network.features.rows(windows, links, usual)
    for step in range(y.shape[1]):
        seen = mask[:, step]
        if not seen.any():
            raise DataError(
                f"No training sample has an observed target {step + 1} steps ahead. Take more "
                "days, or fewer output_steps."
            )
        table = rows.ahead(step + 1)
        change = y[:, step] - rows.last if network.difference else y[:, step]
        yield Drawn(table[seen], change[seen], aside[seen])


def boosters(config: GbdtConfig, steps: Iterable[Drawn]) -> list[str]:
    """A booster for each step ahead, as text. The same rows and seed give the same text."""
    parameters = {
        "objective": _OBJECTIVES[config.loss],
        "alpha": 1.0,  # of huber: from square to line at one standard deviation
        "learning_rate": config.learning_rate,
        "num_leaves": config.leaves,
        "min_data_in_leaf": config.min_leaf,
        "seed": config.seed,
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": torch.get_num_threads(),
        "verbosity": -1,
    }
    return [_booster(config, parameters, one) for one in steps]


def _booster(config: GbdtConfig, parameters: dict[str, Any], rows: Drawn) -> str:
    # Few rows may all be of windows set aside: then nothing stops early.
    aside = rows.aside if not rows.aside.all() else np.zeros_like(rows.aside)
    data = lightgbm.Dataset(rows.table[~aside], rows.target[~aside])
    more: dict[str, Any] = {}
    if aside.any():
        more["valid_sets"] = [data.create_valid(rows.table[aside], rows.target[aside])]
        more["callbacks"] = [lightgbm.early_stopping(config.patience, verbose=False)]
    booster = lightgbm.train(parameters, data, config.trees, **more)
    text: str = booster.model_to_string(num_iteration=booster.best_iteration)
    return text
