"""What a plugin module may return from its hooks, and what is wrong with it where it may not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from types import ModuleType
from typing import Any

from luigi_traffic.api.columns import MEASURES, RESERVED, name_problem
from luigi_traffic.api.dataset import Dataset
from luigi_traffic.api.version import API_VERSION, __version__
from luigi_traffic.errors import PluginError, did_you_mean
from luigi_traffic.plugins.hookspecs import PROJECT

#: Module attribute of a plugin: the version of the API it was written for. Without it: 1.
STATED = "luigi_traffic_api"


def check_api(plugin: Any) -> str | None:
    """What to warn of, if the plugin was written for the version of the API before this one.

    Raises `PluginError` if it was written for another one.
    """
    stated = getattr(plugin, STATED, 1)
    if stated == API_VERSION and not isinstance(stated, bool):
        return None
    if stated == API_VERSION - 1 > 0 and not isinstance(stated, bool):
        return (
            f"it was written for version {stated} of the plugin API, and the current one is "
            f"{API_VERSION}. It works until version {API_VERSION + 1} comes: adapt it (see the "
            f"changelog), and state {STATED} = {API_VERSION}"
        )
    if not isinstance(stated, int) or isinstance(stated, bool):
        raise PluginError(f"{STATED} is {stated!r}; it must be a whole number such as 1")
    todo = "luigi-traffic" if stated > API_VERSION else "the plugin"
    raise PluginError(
        f"it was written for version {stated} of the plugin API, and luigi-traffic {__version__} "
        f"has version {API_VERSION}: upgrade {todo}"
    )


def check_marked(plugin: Any, hooks: Iterable[str], marked: Iterable[str]) -> None:
    """Raises `PluginError` for a function that is named as a hook and lacks its decorator."""
    functions = vars(plugin) if isinstance(plugin, ModuleType) else {}
    for name in sorted(set(hooks) - set(marked)):
        if callable(functions.get(name)):
            raise PluginError(f"{name} would never be called: decorate it with @{PROJECT}.hookimpl")


def checked(hook: str, provided: Any, base: type) -> str:
    """The name of a class that `hook` returned; raises `PluginError` for what is none."""
    if not (isinstance(provided, type) and issubclass(provided, base)):
        raise PluginError(f"{hook} returned {provided!r}, not a {base.__name__} class")
    name = getattr(provided, "name", None)
    if not isinstance(name, str) or not name.isidentifier():
        raise PluginError(f"{hook}: {provided.__name__}.name is {name!r}; it must be an identifier")
    if lacking := _lacking(provided, base):
        raise PluginError(f"{hook}: {provided.__name__} does not define {', '.join(lacking)}")
    if issubclass(provided, Dataset):
        if problem := name_problem(name):
            raise PluginError(f"{hook}: {provided.__name__}.name {problem}")
        _check_measures(hook, provided)
        _check_extra_columns(hook, provided)
        wait: object = provided.settles_after
        if not isinstance(wait, timedelta) or wait < timedelta(0):
            raise PluginError(
                f"{hook}: {provided.__name__}.settles_after is {wait!r}; it must be a timedelta "
                "of 0 or more"
            )
    return name


def _check_measures(hook: str, provided: type[Dataset]) -> None:
    measures: Any = provided.measures
    who = f"{hook}: {provided.__name__}"
    if not isinstance(measures, Mapping) or not measures:
        raise PluginError(
            f"{who} does not define measures; it must name what is measured and the unit of each, "
            'for example {"speed": "km/h"}'
        )
    for name, unit in measures.items():
        if name not in MEASURES:
            raise PluginError(
                f"{who}.measures has {name!r}; expected {', '.join(MEASURES)}. Other numbers "
                "belong to extra_columns." + did_you_mean(str(name), MEASURES)
            )
        if not isinstance(unit, str) or not (unit or name in provided.optional_measures):
            raise PluginError(f"{who}.measures: the unit of {name} is {unit!r}; it must be a text")
    if provided.target not in measures:
        raise PluginError(
            f"{who}.target is {provided.target!r}; it must be one of {', '.join(measures)}"
        )


def _check_extra_columns(hook: str, provided: type[Dataset]) -> None:
    extra: Any = provided.extra_columns
    if isinstance(extra, str) or not all(isinstance(name, str) for name in extra):
        raise PluginError(f"{hook}: {provided.__name__}.extra_columns must be a tuple of names")
    for name in extra:
        if name in RESERVED or not name.isidentifier() or name != name.lower():
            raise PluginError(
                f"{hook}: {provided.__name__}.extra_columns has {name!r}; it must be a lower-case "
                f"identifier other than {', '.join(sorted(RESERVED))}"
            )
        if problem := name_problem(name):
            raise PluginError(f"{hook}: {provided.__name__}.extra_columns: {name} {problem}")
    if len(set(extra)) != len(extra):
        raise PluginError(f"{hook}: {provided.__name__}.extra_columns has a column twice")


def _lacking(provided: type, base: type) -> list[str]:
    """What the contract wants and the class has not: attributes without default, methods."""
    attributes = [name for name in base.__annotations__ if not hasattr(provided, name)]
    methods: frozenset[str] = getattr(provided, "__abstractmethods__", frozenset())
    return [*attributes, *(f"{name}()" for name in sorted(methods))]
