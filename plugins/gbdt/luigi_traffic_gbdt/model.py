"""Gradient-boosted trees (LightGBM; Ke et al. 2017): the baseline that practitioners trust.

One booster for each step ahead, as `max_horizon` of mlforecast, over lags of the link and what
is usual for it. LightGBM, torch and numpy are imported when a network is built.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from pydantic import Field

from luigi_traffic import (
    DAY_OF_WEEK,
    OBSERVED,
    TARGET,
    TIME_OF_DAY,
    Model,
    ModelConfig,
    ModelContext,
    ModelShape,
)

if TYPE_CHECKING:
    from torch import nn


class GbdtConfig(ModelConfig):
    """Hyperparameters of `Gbdt`. Those of gradient steps (epochs, schedule, …) do nothing."""

    trees: int = Field(40, ge=1, description="Largest number of trees for each step ahead")
    leaves: int = Field(63, ge=2, description="Largest number of leaves of a tree")
    min_leaf: int = Field(50, ge=1, description="Smallest number of training rows in a leaf")
    learning_rate: float = Field(
        0.2, gt=0, le=1, description="Share of each tree's correction that is added"
    )
    patience: int = Field(
        5,
        ge=1,
        description="Number of trees without a better error on the windows set aside before a "
        "step ahead gets no more trees",
    )
    stopping_share: float = Field(
        0.1, ge=0, lt=1, description="Share of the drawn windows that is set aside for that"
    )
    difference: bool = Field(
        True, description="Whether trees learn the change from the last observed value"
    )
    slots_per_day: int = Field(
        96, ge=1, description="Number of times of a day at which a link has a usual value"
    )
    rows: int = Field(
        300_000, ge=1000, description="Number of (window, link) pairs that trees see, drawn by seed"
    )
    columns: tuple[str, ...] = Field(
        (), description="Further columns of gold as input, such as t1, f1, flow or extra columns"
    )
    samples_per_epoch: int | None = Field(
        3000,
        ge=1,
        description="Number of windows, each with all links, that the fit sees, drawn by seed; "
        "empty: all",
    )
    validation_samples: int | None = Field(
        500, ge=1, description="Number of windows scored after the fit, by seed; empty: all"
    )


class Gbdt(Model):
    """Trees over the window of a link, the calendar, and what is usual for that link."""

    name = "gbdt"
    version = "1"
    Config = GbdtConfig
    per_link = False  # what is usual for a link is looked up by its place in the order of links

    def channels(self, config: GbdtConfig) -> tuple[str, ...]:
        """Values, their flags, time of day, day of week; ages may come after them."""
        values = (TARGET, *config.columns)
        return (*values, *(name + OBSERVED for name in values), TIME_OF_DAY, DAY_OF_WEEK)

    def build(self, config: GbdtConfig, shape: ModelShape, context: ModelContext) -> nn.Module:
        """`(batch, input_steps, links, channels) -> (batch, output_steps, links)`, for
        `shape.links`. Raises SettingsError if LightGBM cannot be loaded."""
        from luigi_traffic_gbdt.network import Trees

        return Trees(shape, config)

    def fit(self, config: GbdtConfig, network: Any, batches: Iterable[Any]) -> None:
        """What is usual for each link, then the boosters.

        Raises DataError if no sample has an observed target at some step ahead.
        """
        from luigi_traffic_gbdt.fit import boosters, drawn
        from luigi_traffic_gbdt.usual import Usual

        usual = Usual.learned(network.clock, network.usual.shape[2], batches)
        network.set_usual(usual.table)
        network.set_boosters(boosters(config, drawn(config, network, usual, batches)))
