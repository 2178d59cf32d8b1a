"""The boosters as a network, so that they are stored and served as every other model."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from luigi_traffic import ModelShape
from luigi_traffic_gbdt.features import Features
from luigi_traffic_gbdt.library import lightgbm
from luigi_traffic_gbdt.moments import Clock
from luigi_traffic_gbdt.usual import Floats, Usual

if TYPE_CHECKING:
    from luigi_traffic_gbdt.model import GbdtConfig


class Trees(nn.Module):
    """A booster a step ahead, and what is usual for each link: `(2, slots, N)`, see `Usual`.

    The state holds the boosters as LightGBM's own text: it is read by a parser, and nothing in
    it is run.
    """

    usual: torch.Tensor

    def __init__(self, shape: ModelShape, config: GbdtConfig) -> None:
        super().__init__()
        self.clock = Clock(shape, config.slots_per_day)
        self.features = Features(shape, self.clock, fills=config.fill != "none")
        self.steps, self.difference = shape.output_steps, config.difference
        self.register_buffer("usual", torch.zeros(2, self.clock.slots, shape.links))
        self.boosters: list[lightgbm.Booster] = []

    @property
    def texts(self) -> list[str]:
        """The boosters, one text a step ahead; empty before the fit."""
        return [booster.model_to_string(num_iteration=-1) for booster in self.boosters]

    def set_boosters(self, texts: list[str]) -> None:
        """Take the boosters of these texts. Raises RuntimeError if they are not one a step."""
        if len(texts) not in (0, self.steps):
            raise RuntimeError(f"{len(texts)} boosters are stored for {self.steps} steps ahead")
        try:
            self.boosters = [lightgbm.Booster(model_str=text) for text in texts]
        except lightgbm.basic.LightGBMError as error:
            raise RuntimeError(f"LightGBM cannot read a stored booster: {error}") from error

    def set_usual(self, usual: Floats) -> None:
        """Take `(2, slots, N)`."""
        self.usual.copy_(torch.from_numpy(usual))

    def get_extra_state(self) -> torch.Tensor:
        """The boosters' texts as a JSON list in UTF-8, uint8."""
        return torch.frombuffer(bytearray(json.dumps(self.texts).encode()), dtype=torch.uint8)

    def set_extra_state(self, state: torch.Tensor) -> None:
        """The inverse of `get_extra_state`."""
        self.set_boosters(json.loads(bytes(state.cpu().numpy())))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """`(B, T, N, channels) -> (B, output_steps, N)`, standard scores."""
        batch, steps, links, channels = x.shape
        windows = x.permute(0, 2, 1, 3).reshape(batch * links, steps, channels).cpu().numpy()
        usual = Usual(self.usual.cpu().numpy())
        rows = self.features.rows(windows, np.tile(np.arange(links), batch), usual)
        out = np.zeros((self.steps, len(windows)), np.float32)
        threads = torch.get_num_threads()
        for step, booster in enumerate(self.boosters):
            out[step] = booster.predict(rows.ahead(step + 1), num_threads=threads)
        if self.difference:
            out += rows.last
        said = torch.from_numpy(out).reshape(self.steps, batch, links).permute(1, 0, 2)
        return said.to(x.device)
