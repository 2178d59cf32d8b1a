"""Tables of all settings, from the pydantic models of the core and of the installed plugins."""

from __future__ import annotations

import json
import types
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from markdown_table import plain, table
from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from luigi_traffic.plugins.loading import Plugins
from luigi_traffic.settings.keys import Settings
from luigi_traffic.settings.reading import Layers

#: More than that many values of a default are counted, not shown.
_MOST_SHOWN = 4
_WORDS = {str: "text", int: "whole number", float: "number", bool: "true, false", Path: "path"}
_BOUNDS = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}


@dataclass(frozen=True)
class Setting:
    """One row."""

    key: str
    type: str
    default: str
    description: str
    #: The stage of a dataset that a new value makes stale; "" where there is none.
    stage: str

    @property
    def variable(self) -> str:
        """Its environment variable."""
        return Layers.variable(self.key)


@dataclass(frozen=True)
class Group:
    """The settings below one key."""

    key: str
    title: str
    rows: list[Setting]


def groups() -> list[Group]:
    """All settings: sections of the core, then datasets, then models.

    Settings that every dataset, or every model, has stand with each of them: a plugin may have
    another default.
    """
    found = [
        Group(name, _summary(field.annotation), list(_rows(name, field.annotation)))
        for name, field in Settings.model_fields.items()
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
    ]
    # Plugins that are installed; the settings of this folder do not matter.
    loaded = Plugins.load(Settings(), Layers())
    if broken := [p for p in loaded.found if p.problem]:
        raise RuntimeError(f"plugins did not load: {[(p.name, p.problem) for p in broken]}")
    for kind, classes in (
        ("datasets", {name: cls.Settings for name, cls in loaded.datasets.items()}),
        ("models", {name: cls.Config for name, cls in loaded.models.items()}),
    ):
        for name, model in sorted(classes.items()):
            key = f"{kind}.{name}"
            whose = f"Of the {kind[:-1]} `{name}`; file `conf/{kind}/{name}.yml`."
            found.append(Group(key, whose, list(_rows(key, model))))
    return found


def settings() -> str:
    """A section with a table for each group."""
    parts = []
    for group in groups():
        parts += [f"## `{group.key}`\n", f"{group.title}\n"]
        staged = any(row.stage for row in group.rows)
        head = ["setting, variable", "type", "default", "description"]
        head += ["makes stale"] if staged else []
        rows = [
            [f"`{row.key}`<br>`{row.variable}`", row.type, row.default, plain(row.description)]
            + ([row.stage] if staged else [])
            for row in group.rows
        ]
        parts += table(head, rows)
    return "\n".join(parts)


def _summary(model: Any) -> str:
    return (model.__doc__ or "").strip()


def _rows(prefix: str, model: Any) -> Iterator[Setting]:
    for name, field in model.model_fields.items():
        extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
        yield Setting(
            f"{prefix}.{name}",
            _type(field.annotation) + _bounds(field),
            _default(field),
            _description(model, name),
            _stage(extra.get("stage", "bronze")) if prefix.startswith("datasets.") else "",
        )


def _stage(stage: Any) -> str:
    return f"{stage} and what follows" if stage else "nothing"


def _description(model: type[BaseModel], name: str) -> str:
    """The field's own, or that of the nearest base class: overrides often only set a default."""
    for cls in model.__mro__:
        field = getattr(cls, "model_fields", {}).get(name)
        if field is not None and field.description:
            return str(field.description)
    return ""


def _type(annotation: Any) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin in (Union, types.UnionType):
        return " or ".join(_type(a) for a in arguments if a is not type(None)) + ", or empty"
    if origin is Literal:
        return ", ".join(f"`{a}`" for a in arguments)
    if origin is list:
        return f"list of {_type(arguments[0])}"
    if origin is tuple and arguments[-1] is Ellipsis:
        return f"list of {_type(arguments[0])}"
    if origin is tuple:
        return f"list of {len(arguments)}: {_type(arguments[0])}"
    if origin is dict:
        return "mapping"
    if annotation is SecretStr:
        return "secret, environment only"
    return _WORDS.get(annotation, getattr(annotation, "__name__", str(annotation)))


def _bounds(field: FieldInfo) -> str:
    shown = [
        f"{sign} {getattr(rule, name)}"
        for rule in field.metadata
        for name, sign in _BOUNDS.items()
        if getattr(rule, name, None) is not None
    ]
    return f", {', '.join(shown)}" if shown else ""


def _default(field: FieldInfo) -> str:
    value = field.default
    if value is PydanticUndefined:
        return "none: it must be set"
    if value in (None, "", [], {}):
        return "empty"
    if isinstance(value, list | tuple) and len(value) > _MOST_SHOWN:
        return f"{len(value)} values"
    if isinstance(value, list | tuple | dict | bool):
        return f"`{json.dumps(value, default=str)}`"
    return f"`{value}`"
