"""The keys of models: when one is trained, registered, made champion, and how it forecasts."""

from __future__ import annotations

from pydantic import Field, PositiveInt

from luigi_traffic.settings.engine_keys import Section


class TrainingSettings(Section):
    """How often `FullPipeline` trains; a model's own settings are in `models`."""

    every_days: int = Field(
        1,
        ge=1,
        description=(
            "Number of days from one training to the next; on the days between, FullPipeline "
            "trains nothing and the champion forecasts"
        ),
    )


class TrackingSettings(Section):
    """MLflow."""

    uri: str | None = Field(
        None, description="Tracking URI of MLflow; empty: SQLite in <home>/mlflow"
    )


class PromotionSettings(Section):
    """When a new model becomes champion."""

    # An interval needs two days, see `training/comparison.py`.
    min_days: int = Field(
        3,
        ge=2,
        description=(
            "Smallest number of days of the hold-out, new to both models, on which a new model is "
            "compared with the champion; on fewer, the champion stays"
        ),
    )
    margin: float = Field(
        0.01,
        ge=0,
        lt=1,
        description="Share of the champion's MAE by which that of a new model must be smaller",
    )
    confidence: float = Field(
        0.95,
        gt=0.5,
        lt=1,
        description="Confidence with which the MAE must be smaller by the margin",
    )


class ForecastSettings(Section):
    """What is stored of a forecast, and its prediction intervals."""

    rolling_steps: tuple[PositiveInt, ...] = Field(
        (),
        description=(
            "Steps that are stored of what is issued during a day, for example [3, 6, 12]; empty: "
            "all. What is issued at the end of the day is stored with all steps"
        ),
    )

    interval: float = Field(
        0.9,
        gt=0,
        lt=1,
        description=(
            "Share of what happens that should lie between `lower` and `upper` of a forecast"
        ),
    )
    calibration_days: int = Field(
        7,
        ge=0,
        description=(
            "Number of days before a forecast whose errors make its interval; 0: no intervals"
        ),
    )


class DriftSettings(Section):
    """When a day is unlike those that the champion was trained on, see `training/drift.py`."""

    coverage: float = Field(
        0.2,
        gt=0,
        description=(
            "Drift if the share of intervals that were observed is smaller by more than this"
        ),
    )
    links: float = Field(
        0.1, gt=0, description="Drift if a larger share of the links is new or silent"
    )
    distribution: float = Field(
        0.25, gt=0, description="Drift if the population stability index of the target is larger"
    )
    error: float = Field(
        1.5,
        gt=1,
        description=(
            "Drift if the model's error, as a share of that of persistence, is larger than on its "
            "hold-out by this factor"
        ),
    )
    reference_days: int = Field(
        14, ge=1, description="Number of days of the training that a day is compared with, the last"
    )
    retrain_days: int = Field(
        7,
        ge=3,
        description=(
            "Number of days with drift in a row, after which RetrainIfNeeded trains on these days; "
            "half of them are to be promotion.min_days or more"
        ),
    )
