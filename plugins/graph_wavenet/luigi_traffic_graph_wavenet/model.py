"""Graph WaveNet: what a link hears along the road, over the last hour.

All links of a window are forecast at once. Convolutions over time and diffusion over the road
graph take turns; beside the graph of the dataset, the network learns one of its own. See
`network` for the layers; it is imported when a network is built, so that listing plugins does
not load torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from pydantic import Field, model_validator

from luigi_traffic import TARGET, TIME_OF_DAY, Model, ModelConfig, ModelContext, ModelShape

if TYPE_CHECKING:
    from torch import nn

#: Intervals between the two values that a convolution of a block joins, one layer each.
DILATIONS = (1, 2)


class GraphWaveNetConfig(ModelConfig):
    """Hyperparameters of `GraphWaveNet`; the defaults are the authors' for METR-LA but for the
    schedule and the number of epochs."""

    blocks: int = Field(
        4, ge=1, description="Number of blocks of two layers, each block sees 3 intervals further"
    )
    residual_width: int = Field(32, ge=1, description="Channels between the layers")
    dilation_width: int = Field(32, ge=1, description="Channels of the gated convolutions")
    skip_width: int = Field(256, ge=1, description="Channels in which the layers are summed")
    end_width: int = Field(512, ge=1, description="Channels of the layer before the forecast")
    embedding_width: int = Field(
        10, ge=1, description="Width of the two embeddings of a link that the learned graph is of"
    )
    diffusion_steps: int = Field(
        2, ge=1, description="Number of hops along the graph within one diffusion convolution"
    )
    self_weight: float = Field(
        1.0, gt=0, description="Weight of a link to itself beside the weights of its edges"
    )
    dropout: float = Field(0.3, ge=0, lt=1, description="Dropout after each diffusion convolution")
    epochs: int = Field(20, ge=1)
    batch_size: int = Field(
        64, ge=1, description="Number of windows in a batch, each with all links"
    )
    weight_decay: float = Field(1e-4, ge=0)

    @property
    def receptive_field(self) -> int:
        """Intervals that the forecast can depend on: 13 with the defaults."""
        return 1 + self.blocks * sum(DILATIONS)

    @model_validator(mode="after")
    def _sees_all_of_the_window(self) -> Self:
        if self.input_steps > self.receptive_field:
            needed = -(-(self.input_steps - 1) // sum(DILATIONS))
            raise ValueError(
                f"input_steps is {self.input_steps}, but {self.blocks} blocks see the last "
                f"{self.receptive_field} intervals alone: set blocks to {needed} or more"
            )
        return self


class GraphWaveNet(Model):
    """Wu et al. 2019: gated dilated convolutions, diffusion over the graph and a learned one."""

    name = "graph_wavenet"
    version = "1"
    Config = GraphWaveNetConfig
    per_link = False  # links hear each other

    def channels(self, config: GraphWaveNetConfig) -> tuple[str, ...]:
        """The target and the time of day; flags and ages may come after them."""
        return (TARGET, TIME_OF_DAY)

    def build(
        self, config: GraphWaveNetConfig, shape: ModelShape, context: ModelContext
    ) -> nn.Module:
        """`(batch, input_steps, links, channels) -> (batch, output_steps, links)`, for
        `shape.links`, which are those of `context` if it has a graph."""
        from luigi_traffic_graph_wavenet.graph import road_matrices
        from luigi_traffic_graph_wavenet.network import Network

        return Network(
            shape,
            road_matrices(context, config.self_weight),
            dilations=DILATIONS * config.blocks,
            residual_width=config.residual_width,
            dilation_width=config.dilation_width,
            skip_width=config.skip_width,
            end_width=config.end_width,
            embedding_width=config.embedding_width,
            diffusion_steps=config.diffusion_steps,
            dropout=config.dropout,
        )
