"""Registered models against the ledger: are their files still to be had, and the right ones?"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

from luigi_traffic.settings.keys import Settings
from luigi_traffic.warehouse.ledger import LedgerRow


def model_damage(
    settings: Settings, live: Mapping[str, LedgerRow], deep: bool
) -> dict[str, list[str]]:
    """Part → what is wrong with the model, of those that are damaged.

    Raises `StoreError` if MLflow does not answer: then nothing is known.
    """
    if not live:
        return {}
    from luigi_traffic.training.bundle import intact
    from luigi_traffic.training.registry import ModelLost, has_bundle, load_version

    uri, damage = settings.tracking_uri, {}
    for part, row in live.items():
        name, version, digest = (row.details[key] for key in ("name", "version", "digest"))
        if not has_bundle(uri, name, version):
            damage[part] = [f"version {version} of {name}, or its files, are missing from MLflow"]
        elif deep:
            with tempfile.TemporaryDirectory(
                prefix="verify-", dir=_scratch(settings.home)
            ) as folder:
                try:
                    found = load_version(uri, name, version, Path(folder))
                except ModelLost as e:
                    damage[part] = [str(e)]
                    continue
                if not intact(found, digest):
                    damage[part] = [f"the files of version {version} of {name} were changed"]
    return damage


def _scratch(home: Path) -> Path:
    folder = home / "tmp"
    folder.mkdir(parents=True, exist_ok=True)
    return folder
