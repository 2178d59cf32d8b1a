"""A trained model as files: weights in `network.pt` and `scored.pt`, all else in `model.json`.

`network.pt` forecasts. If it was trained on all windows, `scored.pt` holds the weights that were
scored on a hold-out before (see `refit`). `model.json` names the SHA-256 of both, and a bundle's
`digest` is the SHA-256 of `model.json`: one number stands for the whole. Weights are loaded with
`weights_only`, so a bundle cannot run code. What fills missing inputs, if the config's `fill` is
"profile", lies beside the weights.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import os
import pickle
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import ValidationError

from luigi_traffic.api.context import ModelContext
from luigi_traffic.api.model import (
    Model,
    ModelConfig,
    ModelShape,
    build_network,
    restored_config,
    stored_config,
    takes_context,
    value_columns,
)
from luigi_traffic.errors import DataError, PluginError
from luigi_traffic.training.context import context_as_dict, context_from_dict
from luigi_traffic.training.fit_span import FitSpan
from luigi_traffic.training.profile import Profile
from luigi_traffic.training.scaler import Scaler

WEIGHTS = "network.pt"
SCORED_WEIGHTS = "scored.pt"
CARD = "model.json"
#: Beside the weights; a parameter's name has no colon.
PROFILE = "fill:profile"
FORMAT = 2
#: Formats that are read: 1 has `speed_unit`, no target, and no roads.
KNOWN_FORMATS = (1, FORMAT)


@dataclass(frozen=True)
class Bundle:
    """A trained model and what is needed to forecast with it."""

    model: Model
    config: ModelConfig
    shape: ModelShape
    scaler: Scaler
    network: torch.nn.Module
    dataset: str
    context: ModelContext
    free_flow: NDArray[np.float32]
    """`(N,)`, NaN where unknown, or where no speed is forecast: see `metrics.free_flow`."""
    fit_span: FitSpan | None = None
    """None for a model of an earlier version, which does not say."""
    scored: Bundle | None = None
    """The same model before it was trained on all windows; None if it was not."""
    profile: Profile | None = None
    """What fills missing inputs, if the config's `fill` is "profile"."""

    @property
    def target(self) -> str:
        """The measure that is forecast."""
        return self.context.target

    @property
    def unit(self) -> str:
        """The unit of the forecast."""
        return self.context.unit

    @property
    def interval(self) -> timedelta:
        """The length of a step."""
        return self.context.interval

    @property
    def links(self) -> tuple[str, ...]:
        """The links of the training, in the order of the network."""
        return self.context.links

    @property
    def comparable(self) -> Bundle:
        """The one that a hold-out can judge: `scored` if there is one."""
        return self.scored or self

    def save(self, folder: Path) -> str:
        """Write the files into `folder`; returns the digest. Equal weights give equal bytes."""
        folder.mkdir(parents=True, exist_ok=True)
        files = {WEIGHTS: _dumped(self)}
        if self.scored is not None:
            files[SCORED_WEIGHTS] = _dumped(self.scored)
        card = self._card(files[WEIGHTS])
        if self.scored is not None:
            card["scored"] = self.scored._fitted(SCORED_WEIGHTS, files[SCORED_WEIGHTS])
        files[CARD] = json.dumps(card, indent=2, sort_keys=True).encode() + b"\n"
        for name, content in files.items():
            # By process and renamed: a rival that trains the same partition saves here too.
            temporary = folder / f"{name}.{os.getpid()}.tmp"
            temporary.write_bytes(content)
            temporary.replace(folder / name)
        return digest(folder)

    def _card(self, weights: bytes) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "architecture": {"name": self.model.name, "version": self.model.version},
            "config": stored_config(self.config),
            "shape": {
                "input_steps": self.shape.input_steps,
                "output_steps": self.shape.output_steps,
                "links": self.shape.links,
                "channels": list(self.shape.channels),
                "steps_per_day": self.shape.steps_per_day,
            },
            "dataset": self.dataset,
            **context_as_dict(self.context, with_roads=takes_context(self.model)),
            **self._fitted(WEIGHTS, weights),
        }

    def _fitted(self, file: str, weights: bytes) -> dict[str, Any]:
        """The part of a card that a training decides; the inverse of `_with`."""
        return {
            "weights": {"file": file, "sha256": hashlib.sha256(weights).hexdigest()},
            "scaler": self.scaler.as_dict(),
            "free_flow": [None if math.isnan(v) else float(v) for v in self.free_flow],
            **({"fit_span": self.fit_span.as_dict()} if self.fit_span else {}),
        }

    @classmethod
    def load(
        cls, folder: Path, get_model: Callable[[str], Model], *, expected: str | None = None
    ) -> Bundle:
        """The bundle in `folder`, its network on the CPU in eval mode.

        `get_model` gives the installed model of a name; `expected` is the digest that
        the registry remembers. Raises DataError where a file is missing, damaged or not
        the one that was saved, PluginError where another version of the model's plugin
        is installed than the one that trained it.
        """
        if expected is not None and (found := digest(folder)) != expected:
            raise DataError(
                f"The model in {folder} is not the one that was registered: {CARD} has SHA-256 "
                f"{found}, but the registry says {expected}. Train it again, or restore the files."
            )
        try:
            card = json.loads((folder / CARD).read_text(encoding="utf-8"))
            files = {name: (folder / name).read_bytes() for name in weight_files(card)}
        except (OSError, ValueError) as error:
            raise DataError(f"The model in {folder} cannot be read: {error}") from error
        except (KeyError, TypeError) as error:
            raise DataError(f"{folder / CARD} is not a model card: {error!r}") from error
        try:
            return cls._of(card, files, folder, get_model)
        except (KeyError, TypeError, ValidationError) as error:
            raise DataError(f"{folder / CARD} is not a model card: {error!r}") from error

    @classmethod
    def _of(
        cls,
        card: dict[str, Any],
        files: dict[str, bytes],
        folder: Path,
        get_model: Callable[[str], Model],
    ) -> Bundle:
        if card["format"] not in KNOWN_FORMATS:
            raise DataError(
                f"{folder / CARD} has format {card['format']}; expected one of "
                f"{', '.join(map(str, KNOWN_FORMATS))}."
            )
        wanted = card["architecture"]
        model = get_model(wanted["name"])
        if model.version != wanted["version"]:
            raise PluginError(
                f"The model was trained by {wanted['name']} {wanted['version']}, but version "
                f"{model.version} is installed. Train it again, or install that version."
            )
        config = restored_config(model.Config, card["config"])
        shape = ModelShape(**{**card["shape"], "channels": tuple(card["shape"]["channels"])})
        context = context_from_dict(card)

        def bundle(fitted: dict[str, Any]) -> Bundle:
            path = folder / fitted["weights"]["file"]
            network = build_network(model, config, shape, context)
            table = _load(network, config.fill, files[path.name], fitted["weights"]["sha256"], path)
            profile = None
            if table is not None:
                profile = Profile(context.links, value_columns(shape.channels), table.numpy())
            free_flow = [math.nan if v is None else v for v in fitted["free_flow"]]
            return cls(
                model=model,
                config=config,
                shape=shape,
                scaler=Scaler.from_dict(fitted["scaler"]),
                network=network,
                dataset=card["dataset"],
                context=context,
                free_flow=np.array(free_flow, dtype=np.float32),
                fit_span=FitSpan.from_dict(fitted["fit_span"]) if "fit_span" in fitted else None,
                profile=profile,
            )

        return replace(bundle(card), scored=bundle(card["scored"]) if "scored" in card else None)


def weight_files(card: dict[str, Any]) -> dict[str, str]:
    """Name → SHA-256 of the files of weights that a model card names.

    Raises KeyError for a name that is none of ours: no file elsewhere is read.
    """
    fitted = [card, *([card["scored"]] if "scored" in card else [])]
    found = {one["weights"]["file"]: one["weights"]["sha256"] for one in fitted}
    for name in found:
        if name not in (WEIGHTS, SCORED_WEIGHTS):
            raise KeyError(name)
    return found


def file_names(folder: Path) -> list[str]:
    """The files of the bundle in `folder`, and nothing that a crash left beside them."""
    card = json.loads((folder / CARD).read_text(encoding="utf-8"))
    return sorted([CARD, *weight_files(card)])


def _dumped(bundle: Bundle) -> bytes:
    buffer = io.BytesIO()
    state = {k: v.detach().cpu().contiguous() for k, v in bundle.network.state_dict().items()}
    if bundle.profile is not None:
        state[PROFILE] = torch.from_numpy(bundle.profile.table)
    torch.save(state, buffer)
    return buffer.getvalue()


def _load(
    network: torch.nn.Module, fill: str, weights: bytes, sha256: str, path: Path
) -> torch.Tensor | None:
    """Set the network's weights, in eval mode; the table of the profile if `fill` needs one.

    Raises DataError if the weights were changed, or do not fit.
    """
    found = hashlib.sha256(weights).hexdigest()
    if found != sha256:
        raise DataError(
            f"{path} was changed after it was saved: its SHA-256 is {found}, but "
            f"{CARD} says {sha256}."
        )
    try:
        state = torch.load(io.BytesIO(weights), map_location="cpu", weights_only=True)
        table: torch.Tensor | None = state.pop(PROFILE) if fill == "profile" else None
        network.load_state_dict(state)
    except (RuntimeError, KeyError, pickle.UnpicklingError) as error:
        raise DataError(f"{path} does not fit the network: {error}") from error
    network.eval()
    return table


def intact(folder: Path, expected: str) -> bool:
    """Whether the bundle in `folder` is there, unchanged, and the one of that digest."""
    try:
        if digest(folder) != expected:
            return False
        card = json.loads((folder / CARD).read_text(encoding="utf-8"))
        return all(
            hashlib.sha256((folder / name).read_bytes()).hexdigest() == sha256
            for name, sha256 in weight_files(card).items()
        )
    except (DataError, OSError):
        return False


def digest(folder: Path) -> str:
    """SHA-256 (hex) of a bundle's `model.json`. Raises DataError where there is none."""
    try:
        return hashlib.sha256((folder / CARD).read_bytes()).hexdigest()
    except OSError as error:
        raise DataError(f"There is no model in {folder}: {error}") from error
