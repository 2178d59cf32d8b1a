"""The network: the window of each link goes through Chronos-2, and its median comes out.

Ansari et al. 2025, "Chronos-2: From Univariate to Universal Forecasting" (arXiv:2510.15821).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from luigi_traffic import DataError, ModelShape, SettingsError
from luigi_traffic_chronos.pretrained import pretrained


class ZeroShot(nn.Module):
    """Holds where the weights are, and their digest: they are no part of its state.

    `size` is the number of link windows that go through Chronos-2 at a time. Raises SettingsError
    if the weights do not load, or were not made for so many steps.
    """

    digest: torch.Tensor

    def __init__(self, shape: ModelShape, folder: Path, size: int) -> None:
        super().__init__()
        self.folder, self.size, self.steps = folder, size, shape.output_steps
        found = pretrained(folder)
        for name, asked, most in (
            ("input_steps", shape.input_steps, found.most_input_steps),
            ("output_steps", shape.output_steps, found.most_output_steps),
        ):
            if asked > most:
                raise SettingsError(
                    f"{name} of the model chronos is {asked}, but the weights in {folder} are made "
                    f"for {most} at most. Set it to that or less."
                )
        self.register_buffer("digest", torch.tensor(list(bytes.fromhex(found.digest))).byte())

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> Any:
        """Raises DataError if the model was made with other weights than those in the folder."""
        loaded = super().load_state_dict(state_dict, strict, assign)
        made_with, here = bytes(self.digest.tolist()).hex(), pretrained(self.folder).digest
        if made_with != here:
            raise DataError(
                f"The model was made with weights of Chronos-2 whose SHA-256 is {made_with}, but "
                f"those in {self.folder} have {here}. Put the files back, or, to use the new ones, "
                "give them a folder of another name, set weights of the model chronos to it, and "
                "train again."
            )
        return loaded

    @torch.inference_mode()
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """`(B, T, N, channels) -> (B, output_steps, N)`, standard scores; NaN in, where missing."""
        batch, steps, links, _ = x.shape
        windows = torch.where(x[..., 1] > 0, x[..., 0], math.nan)
        series = windows.transpose(1, 2).reshape(batch * links, steps)
        # Each looks at all others of its pass before most are masked: not too many at a time.
        starts = range(0, len(series), self.size)
        found = torch.cat([self._median(series[at : at + self.size]) for at in starts])
        return found.view(batch, links, self.steps).transpose(1, 2)

    def _median(self, series: torch.Tensor) -> torch.Tensor:
        """`(S, T) -> (S, output_steps)`, each series for itself."""
        with torch.inference_mode(False):  # weights that are moved stay ordinary tensors
            model = pretrained(self.folder).model.to(series.device)
        config = model.chronos_config
        patches = math.ceil(self.steps / config.output_patch_size)
        off = [abs(quantile - 0.5) for quantile in config.quantiles]
        # (S, quantiles, patches * output_patch_size)
        found = model(context=series, num_output_patches=patches).quantile_preds
        median: torch.Tensor = found[:, off.index(min(off)), : self.steps]
        return median
