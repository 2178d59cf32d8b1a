"""The bundle of a registered model, from this machine if it is still here."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from luigi_traffic.training.bundle import intact


def registered_name(dataset: str) -> str:
    """The name under which all models of a dataset are registered: one champion a dataset."""
    return f"luigi_traffic.{dataset}"


def bundle_folder(tracking_uri: str, details: Mapping[str, Any], local: Path) -> Path:
    """The folder of a bundle whose digest is the one in the ledger row's `details`.

    `local` is where the training left it; elsewhere, or if it was changed, it comes
    from MLflow. Raises `ModelLost` if it is not there either, `StoreError` if MLflow does not
    answer.
    """
    if intact(local, details["digest"]):
        return local
    from luigi_traffic.training.registry import ModelLost, load_version

    into = local.with_name(f"{local.name}-registered")
    found = load_version(tracking_uri, details["name"], details["version"], into)
    if not intact(found, details["digest"]):
        raise ModelLost(
            f"version {details['version']} of {details['name']} in MLflow is not the one that was "
            "registered: its files were altered"
        )
    return found
