"""From the settings of `datasets.<name>` to a dataset class, where they declare one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from luigi_traffic.api.columns import name_problem
from luigi_traffic.errors import SettingsError
from luigi_traffic.settings.reading import Layers, validated
from luigi_traffic.yaml_dataset.consistency import problems
from luigi_traffic.yaml_dataset.dataset import DeclaredDataset, declared_class
from luigi_traffic.yaml_dataset.settings import DeclaredSettings

#: The key whose presence makes a dataset of a file of settings.
KEY = "table"


def declares(values: Mapping[str, Any]) -> bool:
    """Whether these settings of a dataset declare it, rather than set up a plugin's."""
    return KEY in values


def file_of(name: str, found: Layers) -> str:
    """The file (or variable) that declares it, as it is shown."""
    place = found.place_of(f"datasets.{name}.{KEY}") or ""
    return place if place.startswith("environment") else place.rpartition(":")[0] or place


def declared(name: str, values: Mapping[str, Any], found: Layers) -> type[DeclaredDataset]:
    """The class of the dataset. Raises `SettingsError`, a line for each wrong key."""
    prefix = f"datasets.{name}"
    if not name.isidentifier():
        raise SettingsError(
            f"{file_of(name, found)}: a dataset has the name of its file, but {name!r} is not a "
            "valid name: expected letters, digits and _, not beginning with a digit"
        )
    if problem := name_problem(name):
        raise SettingsError(
            f"{file_of(name, found)}: a dataset has the name of its file; {name} {problem}"
        )
    chosen = validated(DeclaredSettings, values, prefix, found)
    wrong = [
        found.told(f"{prefix}.{KEY}" + (f".{key}" if key else ""), what)
        for key, what in problems(chosen.table)
    ]
    if wrong:
        raise SettingsError(found.with_places(wrong))
    return declared_class(name, chosen.table)
