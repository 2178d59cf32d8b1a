"""Commands that plugins add, by the hook `luigi_traffic_commands`."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from luigi_traffic.errors import PluginError, TrafficError
from luigi_traffic.plugins.isolation import Found
from luigi_traffic.project import Project

logger = logging.getLogger("luigi_traffic")


@dataclass(frozen=True)
class Added:
    """A command function and the plugin that it comes from."""

    name: str
    plugin: str
    function: Callable[..., Any]


def added_commands(project: Project) -> list[Added]:
    """All commands of plugins; a plugin whose hook fails is named in the log and left out."""
    return project.keep(Added, lambda: _added(project))


def _added(project: Project) -> list[Added]:
    found: list[Added] = []
    known = project.plugins
    seconds = project.settings.plugins.timeout_seconds
    for hook in known.manager.hook.luigi_traffic_commands.get_hookimpls():
        try:
            origin = next(p for p in known.found if p.name == hook.plugin_name)
            functions = known.ask(hook.plugin, "luigi_traffic_commands", origin, seconds)
            added = [Added(_name(f, origin), hook.plugin_name, f) for f in functions]
        except TrafficError as e:
            logger.warning("plugin %s adds no commands: %s", hook.plugin_name, e)
            continue
        for command in added:
            first = next((c for c in found if c.name == command.name), None)
            if first:
                logger.warning(
                    "the command %s of plugin %s is left out: %s has a command of that name",
                    command.name, command.plugin, first.plugin,
                )  # fmt: skip
            else:
                found.append(command)
    return found


def _name(function: Any, origin: Found) -> str:
    if not callable(function) or not hasattr(function, "__name__"):
        raise PluginError(
            f"{origin}: luigi_traffic_commands returned {function!r}, which is not a function"
        )
    return str(function.__name__).strip("_").replace("_", "-")
