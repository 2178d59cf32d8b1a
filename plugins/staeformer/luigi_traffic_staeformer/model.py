"""STAEformer: attention over the steps of a link, then over the links of a step.

All links of a window are forecast at once. What tells one from another is a learned embedding of
each link at each step of the window. See `network` for the layers; it is imported when a network
is built, so that listing plugins does not load torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

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


class StaeformerConfig(ModelConfig):
    """Hyperparameters of `Staeformer`; the defaults are the authors' for METR-LA but for the
    schedule and the number of epochs."""

    input_width: int = Field(24, ge=1, description="Width of the embedded values of a step")
    time_of_day_width: int = Field(
        24, ge=1, description="Width of the embedding of a time slot of the day"
    )
    day_of_week_width: int = Field(24, ge=1, description="Width of the embedding of a weekday")
    adaptive_width: int = Field(
        80, ge=1, description="Width of the embedding of a link at a step of the window"
    )
    time_layers: int = Field(3, ge=1, description="Number of layers with attention over time")
    link_layers: int = Field(3, ge=1, description="Number of layers with attention over links")
    heads: int = Field(4, ge=1, description="Number of attention heads")
    feed_forward_width: int = Field(
        256, ge=1, description="Width between the two linear layers after an attention"
    )
    dropout: float = Field(
        0.1, ge=0, lt=1, description="Dropout of what a layer adds, twice in each layer"
    )
    epochs: int = Field(20, ge=1)
    batch_size: int = Field(
        16, ge=1, description="Number of windows in a batch, each with all links"
    )
    weight_decay: float = Field(3e-4, ge=0)

    @property
    def width(self) -> int:
        """Width of the four embeddings side by side: 152 with the defaults."""
        calendar = self.time_of_day_width + self.day_of_week_width
        return self.input_width + calendar + self.adaptive_width

    @model_validator(mode="after")
    def _heads_are_equally_wide(self) -> Self:
        if self.width % self.heads:
            raise ValueError(
                f"the embeddings are {self.width} wide together, which {self.heads} heads cannot "
                "share equally: change a width or heads"
            )
        return self


class Staeformer(Model):
    """Liu et al. 2023: a spatio-temporal adaptive embedding, then plain transformer layers."""

    name = "staeformer"
    version = "1"
    Config = StaeformerConfig
    per_link = False  # links attend to each other

    def channels(self, config: StaeformerConfig) -> tuple[str, ...]:
        """The target, time of day, day of week; flags and ages may come after them."""
        return (TARGET, TIME_OF_DAY, DAY_OF_WEEK)

    def build(
        self, config: StaeformerConfig, shape: ModelShape, context: ModelContext
    ) -> nn.Module:
        """`(batch, input_steps, links, channels) -> (batch, output_steps, links)`, for
        `shape.links`; the graph of the dataset is not used."""
        from luigi_traffic_staeformer.network import Network

        return Network(
            shape,
            input_width=config.input_width,
            time_of_day_width=config.time_of_day_width,
            day_of_week_width=config.day_of_week_width,
            adaptive_width=config.adaptive_width,
            time_layers=config.time_layers,
            link_layers=config.link_layers,
            heads=config.heads,
            feed_forward_width=config.feed_forward_width,
            dropout=config.dropout,
        )
