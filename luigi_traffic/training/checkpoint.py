"""Checkpoints of a training: one file, replaced atomically after each epoch."""

from __future__ import annotations

import hashlib
import logging
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import torch

from luigi_traffic.api.context import ModelContext
from luigi_traffic.api.model import Model, ModelConfig, stored_config, takes_context
from luigi_traffic.recipe import canonical_json, short_hash
from luigi_traffic.training.context import context_digest, plain_context
from luigi_traffic.training.series import Series

log = logging.getLogger(__name__)

FILE = "checkpoint.pt"


def fingerprint(
    model: Model, config: ModelConfig, series: Series, context: ModelContext | None = None
) -> str:
    """32 hex digits of all that decides the weights: model, config, data and context."""
    around = plain_context(series) if context is None else context
    facts = {
        "model": [model.name, model.version],
        "config": stored_config(config),
        "start": str(series.start),
        "interval": series.interval.total_seconds(),
        "links": series.links,
        "context": context_digest(around, with_roads=takes_context(model)),
        "columns": series.columns,
        "values": hashlib.sha256(np.ascontiguousarray(series.values).data).hexdigest(),
    }
    return short_hash(canonical_json(facts), length=32)


def write_checkpoint(folder: Path, mark: str, state: dict[str, Any]) -> None:
    """Replace the folder's checkpoint; after a crash it is the old one or the new one."""
    folder.mkdir(parents=True, exist_ok=True)
    # By process: a rival that trains the same partition writes here too.
    temporary = folder / f"{FILE}.{os.getpid()}.tmp"
    with temporary.open("wb") as file:
        torch.save({"fingerprint": mark, "state": state}, file)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(folder / FILE)
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def read_checkpoint(folder: Path, mark: str) -> dict[str, Any] | None:
    """The state saved under the same fingerprint; None, and a line in the log, for any other."""
    path = folder / FILE
    if not path.exists():
        return None
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, pickle.UnpicklingError) as error:
        log.warning("Ignoring the checkpoint %s, which cannot be read: %s", path, error)
        return None
    if not isinstance(found, dict) or found.get("fingerprint") != mark:
        log.info(
            "Ignoring the checkpoint %s: it belongs to other data, settings or another model.", path
        )
        return None
    state: dict[str, Any] = found["state"]
    return state
