"""Commands that plugins add, by the hook `luigi_traffic_commands`."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

from luigi_traffic.plugins import plugins

logger = logging.getLogger("luigi_traffic")


@dataclass(frozen=True)
class Added:
    """A command function and the plugin that it comes from."""

    name: str
    plugin: str
    function: Callable[..., Any]


@cache
def added_commands() -> list[Added]:
    """All commands of plugins; a plugin whose hook fails is named in the log and left out."""
    found: list[Added] = []
    for hook in plugins().manager.hook.luigi_traffic_commands.get_hookimpls():
        try:
            functions: list[Callable[..., Any]] = list(hook.function())  # type: ignore[call-overload]
            added = [
                Added(f.__name__.strip("_").replace("_", "-"), hook.plugin_name, f)
                for f in functions
            ]
        # A plugin is somebody else's code; one that fails must not take the others along.
        except Exception as e:  # noqa: BLE001
            logger.warning(
                "plugin %s adds no commands: %s: %s", hook.plugin_name, e.__class__.__name__, e
            )
            continue
        for command in added:
            first = next((c for c in found if c.name == command.name), None)
            if first:
                logger.warning(
                    "the command %s of plugin %s is left out: %s has one of that name",
                    command.name, command.plugin, first.plugin,
                )  # fmt: skip
            else:
                found.append(command)
    return found
