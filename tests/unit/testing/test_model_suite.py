"""The kit passes what is right: a model of single links, and one that looks at all of them."""

from __future__ import annotations

from typing import Any

import torch
from broken_models import Small, SmallModel

from luigi_traffic import OBSERVED, ModelShape
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
