"""The bundle of a training: what forecasts, and inside it what was scored."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from luigi_traffic.api.model import Model, ModelConfig
from luigi_traffic.training.bundle import Bundle
from luigi_traffic.training.context import SPEED
from luigi_traffic.training.fit_result import Fit, Refit
from luigi_traffic.training.fit_span import FitSpan
from luigi_traffic.training.metrics import free_flow
from luigi_traffic.training.series import Series


def trained_bundle(
    model: Model, config: ModelConfig, trained: Fit, series: Series, dataset: str
) -> Bundle:
    """Of the network that was trained on all windows if there is one, see `refit`."""

    def of(fitted: Fit | Refit) -> Bundle:
        seen = fitted.split.training_rows(config.input_steps)
        return Bundle(
            model=model,
            config=config,
            shape=trained.shape,
            scaler=fitted.scaler,
            network=fitted.network,
            dataset=dataset,
            context=trained.context,
            free_flow=free_flow(series.actual[seen])
            if series.target == SPEED
            else np.full(len(series.links), np.nan, dtype=np.float32),
            fit_span=FitSpan.of(series, fitted.split, config.input_steps, config.output_steps),
            profile=fitted.profile,
        )

    scored = of(trained)
    return scored if trained.refit is None else replace(of(trained.refit), scored=scored)
