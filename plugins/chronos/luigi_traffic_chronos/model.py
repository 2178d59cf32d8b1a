"""Chronos-2 as it was pretrained: what a model that was trained on the data has to beat.

Nothing is learned here. See `pretrained` for the weights, and `network` for the forecast; both are
imported when a network is built, so that listing plugins loads neither torch nor the library.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from luigi_traffic import OBSERVED, TARGET, Model, ModelConfig, ModelContext, ModelShape

if TYPE_CHECKING:
    from torch import nn


class ChronosConfig(ModelConfig):
    """Hyperparameters of `Chronos`. Those of gradient steps (epochs, learning_rate, …) do nothing.

    A link window costs a hundred times what it costs other models, so only few are scored.
    """

    weights: str | None = Field(
        None,
        description=(
            "Folder with the files of the Hugging Face model amazon/chronos-2; empty: the one that "
            "the environment variable LUIGI_TRAFFIC_CHRONOS names"
        ),
    )
    input_steps: int = Field(576, ge=1)
    batch_size: int = Field(
        256, ge=1, description="Number of link windows that go through Chronos-2 at a time"
    )
    samples_per_epoch: int | None = Field(
        64, ge=1, description="Number of training link windows scored, by seed; empty: all"
    )
    validation_samples: int | None = Field(512, ge=1)
    evaluation_windows: int | None = Field(48, ge=1)
    refit: bool = Field(False)
    # Chronos-2 knows what a missing value is, and gets it as one.
    fill: Literal["none"] = Field("none")
    flags: Literal[False] = Field(False)
    ages: Literal[False] = Field(False)


class Chronos(Model):
    """Ansari et al. 2025: a pretrained transformer that forecasts any series from its past."""

    name = "chronos"
    version = "1"
    Config = ChronosConfig
    per_link = True

    def channels(self, config: ChronosConfig) -> tuple[str, ...]:
        """The target, and which of its values were observed."""
        return (TARGET, TARGET + OBSERVED)

    def build(self, config: ChronosConfig, shape: ModelShape, context: ModelContext) -> nn.Module:
        """`(batch, input_steps, links, channels) -> (batch, output_steps, links)`, any `links`.

        Raises SettingsError if the library or the weights are missing, or they do not take windows
        of that length.
        """
        from luigi_traffic_chronos.network import ZeroShot
        from luigi_traffic_chronos.pretrained import folder_of

        return ZeroShot(shape, folder_of(config.weights), config.batch_size)

    def fit(self, config: ChronosConfig, network: nn.Module, batches: Iterable[Any]) -> None:
        """Nothing: since it was built, the network has the weights and holds their digest."""
