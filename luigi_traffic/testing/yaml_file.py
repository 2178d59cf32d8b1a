"""The dataset that a file of settings declares, as a run reads it, without other settings."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from luigi_traffic.api.dataset import Dataset
from luigi_traffic.errors import SettingsError
from luigi_traffic.plugins.checks import checked
from luigi_traffic.settings.reading import Layers, validated
from luigi_traffic.yaml_dataset.loading import KEY, declared, declares

_SECTION = "datasets"


def dataset_of(file: Path, over: Mapping[str, Any]) -> Dataset:
    """The dataset of `file`, the values of `over` laid over those of the file.

    Raises `SettingsError` that names file, line and key of what is wrong.
    """
    name = file.stem
    found = Layers()
    found.lay_file(file, (_SECTION, name))
    found.lay({_SECTION: {name: dict(over)}}, "settings of the suite")
    values = found.values.get(_SECTION, {}).get(name, {})
    if not declares(values):
        there = "declares no dataset: it has no key" if file.is_file() else "does not exist, no key"
        raise SettingsError(f"{file} {there} {KEY!r}. See docs/yaml-dataset.md")
    kind = declared(name, values, found)
    checked(str(file), kind, Dataset)
    return kind(validated(kind.Settings, values, f"{_SECTION}.{name}", found))
