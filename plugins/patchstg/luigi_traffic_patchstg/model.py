"""PatchSTG: links look at those of their patch, and patches at each other.

All links of a window are forecast at once; the cost grows with the number of links, not with its
square, so it is meant for thousands of them. See `network` for the layers; it is imported when a
network is built, so that listing plugins does not load torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Self

from pydantic import Field, model_validator

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


class PatchStgConfig(ModelConfig):
    """Hyperparameters of `PatchStg`; the network is smaller than the authors' by default."""

    patch_size: int = Field(64, ge=2, description="Largest number of links in a patch")
    window_width: int = Field(64, ge=1, description="Width of the embedded input window")
    link_width: int = Field(32, ge=1, description="Width of the embedding of a link")
    time_of_day_width: int = Field(
        16, ge=1, description="Width of the embedding of a time slot of the day"
    )
    day_of_week_width: int = Field(16, ge=1, description="Width of the embedding of a weekday")
    layers: int = Field(
        3, ge=1, description="Number of pairs of attention, within patches and across them"
    )
    heads: int = Field(4, ge=1, description="Number of heads of each attention")
    forward_width: int = Field(256, ge=1, description="Width of the feed-forward layers")
    dropout: float = Field(
        0.1, ge=0, lt=1, description="Dropout after each attention and in the feed-forward layers"
    )
    epochs: int = Field(20, ge=1)
    batch_size: int = Field(
        32, ge=1, description="Number of windows in a batch, each with all links"
    )
    learning_rate: float = Field(2e-3, gt=0)
    weight_decay: float = Field(1e-4, ge=0)
    fill: Literal["none", "last", "profile"] = Field("last")
    flags: bool = Field(True)

    @property
    def width(self) -> int:
        """Width of what is known of a link."""
        of_calendar = self.time_of_day_width + self.day_of_week_width
        return self.window_width + self.link_width + of_calendar

    @model_validator(mode="after")
    def _heads_share_the_width(self) -> Self:
        if self.width % self.heads:
            raise ValueError(
                f"the four widths add up to {self.width}, which {self.heads} heads cannot share: "
                "choose widths whose sum is a multiple of heads"
            )
        return self


class PatchStg(Model):
    """Fang et al. 2025: a transformer over patches of nearby links."""

    name = "patchstg"
    version = "1"
    Config = PatchStgConfig
    per_link = False  # links look at each other

    def channels(self, config: PatchStgConfig) -> tuple[str, ...]:
        """The target, time of day, day of week; flags and ages may come after them."""
        return (TARGET, TIME_OF_DAY, DAY_OF_WEEK)

    def build(self, config: PatchStgConfig, shape: ModelShape, context: ModelContext) -> nn.Module:
        """`(batch, input_steps, links, channels) -> (batch, output_steps, links)`, for the links
        of `context`."""
        from luigi_traffic_patchstg.network import Network
        from luigi_traffic_patchstg.patches import patches, places

        return Network(
            shape,
            patches(places(context), config.patch_size),
            window_width=config.window_width,
            link_width=config.link_width,
            time_of_day_width=config.time_of_day_width,
            day_of_week_width=config.day_of_week_width,
            layers=config.layers,
            heads=config.heads,
            forward_width=config.forward_width,
            dropout=config.dropout,
        )
