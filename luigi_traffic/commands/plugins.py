"""`luigi-traffic plugins list`: what was found, what it provides, why it did not load."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from luigi_traffic.commands.output import Row, table, text
from luigi_traffic.commands.plugin_commands import added_commands
from luigi_traffic.project import Project

if TYPE_CHECKING:
    from rich.console import Console


def rows(project: Project) -> list[Row]:
    """One row a plugin: name, distribution, version, state, problem, datasets, models, commands."""
    found = project.plugins
    commands = added_commands(project)
    listed = []
    for plugin in found.found:
        state = "disabled" if plugin.disabled else "failed" if plugin.problem else "loaded"

        def provided(
            names: dict[str, type], name: str = plugin.name, state: str = state
        ) -> list[str]:
            mine = (n for n in names if found.provider[n].name == name)
            return [] if state == "failed" else sorted(mine)

        listed.append(
            {
                "name": plugin.name,
                "distribution": plugin.distribution,
                "version": plugin.version,
                "state": state,
                "problem": plugin.problem,
                "datasets": provided(found.datasets),
                "models": provided(found.models),
                "commands": sorted(c.name for c in commands if c.plugin == plugin.name),
            }
        )
    return listed


def draw(rows: Sequence[Row], console: Console) -> None:
    """A table, and the reasons below it."""
    if not rows:
        console.print("No plugin is installed, and plugins.path has none.")
        return
    shown = table("plugin", "from", "version", "state", "provides")
    for row in rows:
        provides = [
            f"{kind} {name}" for kind in ("dataset", "model", "command") for name in row[f"{kind}s"]
        ]
        style = {"failed": "red", "disabled": "dim"}.get(row["state"], "green")
        shown.add_row(
            text(row["name"]), text(row["distribution"]), text(row["version"]),
            text(row["state"], style), text("\n".join(provides)),
        )  # fmt: skip
    console.print(shown)
    for row in rows:
        if row["problem"]:
            console.print(text(f"{row['name']} did not load: {row['problem']}", "red"))
