"""ConvLSTM over a link and its neighbours up and down the road.

The spatial axis is (t2, t1, self, f1, f2): two hops upstream, one hop upstream, the
link, one and two hops downstream. See `network` for the layers; it is imported when a
network is built, so that listing plugins does not load torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

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

#: Columns of gold along the road, upstream to downstream.
POSITIONS = ("t2", "t1", TARGET, "f1", "f2")


class ConvLSTMConfig(ModelConfig):
    """Hyperparameters of `ConvLSTM`."""

    hidden: tuple[int, int] = Field((32, 64), description="Channels of the two ConvLSTM layers")
    head: int = Field(128, ge=1, description="Width of the layer before the forecast")
    batch_size: int = Field(512, ge=1, description="Number of link windows in a batch")
    samples_per_epoch: int | None = Field(
        50_000, ge=1, description="Number of link windows drawn per epoch"
    )
    validation_samples: int | None = Field(20_000, ge=1)
    epochs: int = Field(8, ge=1)
    learning_rate: float = Field(3e-3, gt=0)


class ConvLSTM(Model):
    """Two ConvLSTM layers over five road positions; one link at a time."""

    name = "convlstm"
    version = "1"
    Config = ConvLSTMConfig
    per_link = True

    def channels(self, config: ConvLSTMConfig) -> tuple[str, ...]:
        """Five values, their five flags, time of day, day of week; five ages may come after."""
        return (*POSITIONS, *(p + OBSERVED for p in POSITIONS), TIME_OF_DAY, DAY_OF_WEEK)

    def build(self, config: ConvLSTMConfig, shape: ModelShape, context: ModelContext) -> nn.Module:
        """`(batch, input_steps, links, channels) -> (batch, output_steps, links)`, any `links`."""
        from luigi_traffic_convlstm.network import Network

        own = POSITIONS.index(TARGET)
        return Network(
            len(shape.channels), len(POSITIONS), own, config.hidden, config.head,
            shape.output_steps,
        )  # fmt: skip
