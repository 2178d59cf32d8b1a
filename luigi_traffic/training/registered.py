"""The bundle of a registered model, from this machine where it is still here."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from luigi_traffic.errors import DataError
from luigi_traffic.training.bundle import digest


def registered_name(dataset: str) -> str:
    """The name under which all models of a dataset are registered: one champion a dataset."""
    return f"luigi_traffic.{dataset}"


def bundle_folder(tracking_uri: str, details: Mapping[str, Any], local: Path) -> Path:
    """The folder of a bundle whose digest is the one in the ledger row's `details`.

    `local` is where the training left it; elsewhere, or if it was changed, it comes
    from MLflow. `Bundle.load(..., expected=details["digest"])` has the last word.
    """
    try:
        if digest(local) == details["digest"]:
            return local
    except (FileNotFoundError, DataError):
        pass
    from luigi_traffic.training.registry import load_version

    into = local.with_name(f"{local.name}-registered")
    return load_version(tracking_uri, details["name"], details["version"], into)
