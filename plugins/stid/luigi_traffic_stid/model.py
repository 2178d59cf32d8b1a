"""STID: which link, which time of day, which day of the week, and an MLP.

All links of a window are forecast at once, each from its own values: what sets one apart from
another is its learned identity. See `network` for the layers; it is imported when a network
is built, so that listing plugins does not load torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from luigi_traffic import (
    DAY_OF_WEEK,
    TARGET,
    TIME_OF_DAY,
    Model,
    ModelConfig,
    ModelContext,
    ModelShape,
)

if TYPE_CHECKING:
    from torch import nn


class StidConfig(ModelConfig):
    """Hyperparameters of `Stid`; the defaults are the authors' for METR-LA but for the
    schedule, the number of epochs and what is done about missing values."""

    window_width: int = Field(32, ge=1, description="Width of the embedded input window")
    link_width: int = Field(32, ge=1, description="Width of the embedding of a link")
    time_of_day_width: int = Field(
        32, ge=1, description="Width of the embedding of a time slot of the day"
    )
    day_of_week_width: int = Field(32, ge=1, description="Width of the embedding of a weekday")
    layers: int = Field(3, ge=1, description="Number of residual MLP blocks")
    dropout: float = Field(0.15, ge=0, lt=1, description="Dropout within each block")
    epochs: int = Field(20, ge=1)
    batch_size: int = Field(
        64, ge=1, description="Number of windows in a batch, each with all links"
    )
    learning_rate: float = Field(2e-3, gt=0)
    weight_decay: float = Field(1e-4, ge=0)
    fill: Literal["none", "last", "profile"] = Field("last")
    flags: bool = Field(True)


class Stid(Model):
    """Shao et al. 2022: spatial and temporal identities, then residual MLP blocks."""

    name = "stid"
    version = "1"
    Config = StidConfig
    per_link = False  # a link's identity is its place in the order of links

    def channels(self, config: StidConfig) -> tuple[str, ...]:
        """The target, time of day, day of week; flags and ages may come after them."""
        return (TARGET, TIME_OF_DAY, DAY_OF_WEEK)

    def build(self, config: StidConfig, shape: ModelShape, context: ModelContext) -> nn.Module:
        """`(batch, input_steps, links, channels) -> (batch, output_steps, links)`, for
        `shape.links`."""
        from luigi_traffic_stid.network import Network

        return Network(
            shape,
            window_width=config.window_width,
            link_width=config.link_width,
            time_of_day_width=config.time_of_day_width,
            day_of_week_width=config.day_of_week_width,
            layers=config.layers,
            dropout=config.dropout,
        )
