"""The kit passes what is right: models of version 1, of a link and of all, and of version 2."""

from __future__ import annotations

from typing import Any

import torch
from broken_models import Small, SmallModel
from graph_model import Gcn

from luigi_traffic import OBSERVED, ModelContext, ModelShape
from luigi_traffic.testing import ModelSuite


class TestSmallModel(ModelSuite):
    model = SmallModel


class AllLinks(Small):
    def __init__(self, config: Any, shape: ModelShape) -> None:
        super().__init__(config, shape)
        self.mix = torch.nn.Linear(shape.links, shape.links)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x) + self.mix(x[:, -1:, :, 0])


class AllLinksModel(SmallModel):
    name, per_link = "all_links", False
    Network = AllLinks

    def channels(self, config: Any) -> tuple[str, ...]:
        return (*super().channels(config), "flow", "truck_share", "truck_share" + OBSERVED)


class TestAllLinks(ModelSuite):
    model = AllLinksModel
    extra_columns = ("truck_share",)


class TestGraphModel(ModelSuite):
    model = Gcn


class Quantiles(Small):
    """Three quantiles a step, and a penalty beside them."""

    def __init__(self, config: Any, shape: ModelShape) -> None:
        super().__init__(config, shape)
        self.outer = torch.nn.Linear(config.hidden, 3 * shape.output_steps)

    def forward(self, x: torch.Tensor) -> Any:
        found = self.outer(torch.relu(self.inner(self.flat(x)))).unflatten(-1, (-1, 3))
        return found.transpose(1, 2), 1e-3 * self.outer.weight.square().sum()


class QuantileModel(SmallModel):
    name, quantiles = "quantiles", (0.1, 0.5, 0.9)

    def build(self, config: Any, shape: ModelShape, context: ModelContext) -> torch.nn.Module:
        return Quantiles(config, shape)


class TestQuantiles(ModelSuite):
    model = QuantileModel
