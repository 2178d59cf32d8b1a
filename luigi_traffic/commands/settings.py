"""`luigi-traffic settings`: what is in force, and where each value was set."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from luigi_traffic.commands.output import Row, plain, text
from luigi_traffic.project import Project
from luigi_traffic.settings.reading import Layers, validated

if TYPE_CHECKING:
    from rich.console import Console

MASK = "********"
DEFAULT = "default"
_SECRET = re.compile(
    r"pass(word|wd|phrase)?$|secret|token|credential|(api|access|private)[_.]?key", re.IGNORECASE
)
_USER = re.compile(r"(?<=://)[^/@\s]+@")
_QUERY = re.compile(r"(?<=\?).+$")


def rows(project: Project) -> list[Row]:
    """One row a setting: key, value, set_in, description; secrets are masked.

    Keys of datasets and models are those of the plugins that loaded, with their defaults.
    """
    chosen, layers = project.settings, project.layers
    found = list(_section(layers, "", chosen, {"datasets", "models"}))
    loaded = project.plugins
    for kind, classes, given in (
        ("datasets", {n: c.Settings for n, c in loaded.datasets.items()}, chosen.datasets),
        ("models", {n: c.Config for n, c in loaded.models.items()}, chosen.models),
    ):
        for name in sorted({*classes, *given}):
            prefix = f"{kind}.{name}"
            if name in classes:
                model: type[BaseModel] = classes[name]  # type: ignore[assignment]
                values = validated(model, given.get(name, {}), prefix, layers)
                found += _section(layers, prefix, values, set())
            else:
                found += _values(layers, prefix, given[name], "no loaded plugin provides it")
    return found


def draw(project: Project, rows: Sequence[Row], console: Console) -> None:
    """A line a setting, what is not a default with its place; then all places looked in."""
    from rich.table import Table

    shown = Table.grid(padding=(0, 2))
    shown.add_column(no_wrap=True)
    shown.add_column(overflow="fold")
    for row in rows:
        default = row["set_in"] == DEFAULT
        given = row["value"]
        if isinstance(given, list | dict):
            given = json.dumps(given, ensure_ascii=False)
        value = text(given, "dim" if default else "")
        if not default:
            value.append(f"  ← {_near(row['set_in'])}", style="cyan")
        shown.add_row(text(row["key"]), value)
    console.print(shown)
    console.print(text(f"\nprofile {project.profile}, home {project.home}; looked in, last wins:"))
    for place in project.layers.places:
        console.print(text(f"  {_near(place)}"), soft_wrap=True)


def _near(place: str) -> str:
    """A path as it is seen from here."""
    return place.removeprefix(f"{Path.cwd()}/")


def _section(layers: Layers, prefix: str, section: BaseModel, without: set[str]) -> Iterator[Row]:
    for name, field in type(section).model_fields.items():
        if name in without:
            continue
        value, key = getattr(section, name), f"{prefix}.{name}" if prefix else name
        if isinstance(value, BaseModel):
            yield from _section(layers, key, value, set())
        elif isinstance(value, Mapping) and value:
            yield from _values(layers, key, value, field.description)
        else:
            yield _row(layers, key, value, field.description)


def _values(
    layers: Layers, prefix: str, values: Mapping[str, Any], description: str | None
) -> Iterator[Row]:
    for name, value in values.items():
        yield _row(layers, f"{prefix}.{name}", value, description)


def _row(layers: Layers, key: str, value: Any, description: str | None) -> Row:
    return {
        "key": key,
        "value": masked(key, plain(value)),
        "set_in": layers.origin.get(key, DEFAULT),
        "description": description,
    }


def masked(key: str, value: Any) -> Any:
    """`value` without what nobody should read: secrets, and credentials in addresses."""
    if value is None or value == "":
        return value
    # Spark's own property names have dots.
    name = key if key.startswith("spark.conf.") else key.rpartition(".")[2]
    if _SECRET.search(name):
        return MASK
    if isinstance(value, str) and "://" in value:
        return _QUERY.sub(MASK, _USER.sub(f"{MASK}@", value))
    if isinstance(value, dict):
        return {name: masked(f"{key}.{name}", item) for name, item in value.items()}
    return [masked(key, item) for item in value] if isinstance(value, list) else value
