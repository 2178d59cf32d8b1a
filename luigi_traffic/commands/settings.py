"""`luigi-traffic settings`: what is in force, and where each value was set."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from luigi_traffic.commands.output import Row, plain, table, text
from luigi_traffic.layers import home, profile, validated
from luigi_traffic.plugins import plugins
from luigi_traffic.settings import layers, settings

if TYPE_CHECKING:
    from rich.console import Console

MASK = "********"
_SECRET = re.compile(
    r"pass(word|wd|phrase)?$|secret|token|credential|(api|access|private)_?key", re.I
)
_USER = re.compile(r"(?<=://)[^/@\s]+@")
_QUERY = re.compile(r"(?<=\?).+$")


def rows() -> list[Row]:
    """One row a setting: key, value, set_in, description; secrets are masked.

    Keys of datasets and models are those of the plugins that loaded, with their defaults.
    """
    chosen = settings()
    found = list(_section("", chosen, {"datasets", "models"}))
    loaded = plugins()
    for kind, classes, given in (
        ("datasets", {n: c.Settings for n, c in loaded.datasets.items()}, chosen.datasets),
        ("models", {n: c.Config for n, c in loaded.models.items()}, chosen.models),
    ):
        for name in sorted({*classes, *given}):
            prefix = f"{kind}.{name}"
            if name in classes:
                model: type[BaseModel] = classes[name]  # type: ignore[assignment]
                values = validated(model, given.get(name, {}), prefix, layers())
                found += _section(prefix, values, set())
            else:
                found += _values(prefix, given[name], "no plugin that provides it has loaded")
    return found


def draw(rows: Sequence[Row], console: Console) -> None:
    """A table; after it every place that was looked in."""
    shown = table("setting", "value", "set in")
    for row in rows:
        origin = row["set_in"]
        style = "dim" if origin == "default" else ""
        value = row["value"]
        given = "" if value is None else plain(value)
        shown.add_row(text(row["key"], style), text(given, style), text(origin, style))
    console.print(shown)
    console.print(text(f"profile {profile()}, home {home()}; looked in, last wins:"))
    for place in layers().places:
        console.print(text(f"  {place}"), soft_wrap=True)


def _section(prefix: str, section: BaseModel, without: set[str]) -> Iterator[Row]:
    for name, field in type(section).model_fields.items():
        if name in without:
            continue
        value, key = getattr(section, name), f"{prefix}.{name}" if prefix else name
        if isinstance(value, BaseModel):
            yield from _section(key, value, set())
        elif isinstance(value, Mapping) and value:
            yield from _values(key, value, field.description)
        else:
            yield _row(key, value, field.description)


def _values(prefix: str, values: Mapping[str, Any], description: str | None) -> Iterator[Row]:
    for name, value in values.items():
        yield _row(f"{prefix}.{name}", value, description)


def _row(key: str, value: Any, description: str | None) -> Row:
    return {
        "key": key,
        "value": masked(key, plain(value)),
        "set_in": layers().origin.get(key, "default"),
        "description": description,
    }


def masked(key: str, value: Any) -> Any:
    """`value` without what nobody should read: secrets, and credentials in addresses."""
    if value is None or value == "":
        return value
    if _SECRET.search(key.rpartition(".")[2]) or (
        key.startswith("spark.conf") and _SECRET.search(key)
    ):
        return MASK
    if isinstance(value, str) and "://" in value:
        return _QUERY.sub(MASK, _USER.sub(f"{MASK}@", value))
    if isinstance(value, dict):
        return {name: masked(f"{key}.{name}", item) for name, item in value.items()}
    return [masked(key, item) for item in value] if isinstance(value, list) else value
