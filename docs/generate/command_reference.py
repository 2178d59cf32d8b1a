"""Help and options of the commands, from the typer app; the tasks, from Luigi."""

from __future__ import annotations

import inspect
from typing import Any

import luigi
import typer
from markdown_table import plain, table

from luigi_traffic import run
from luigi_traffic.cli import app


def commands() -> dict[str, Any]:
    """Every command by its full name, those of plugins too."""
    group: Any = typer.main.get_command(app)
    found: dict[str, Any] = {}
    for name in group.list_commands(None):
        one = group.get_command(None, name)
        inner = getattr(one, "commands", None)
        found |= {f"{name} {i}": c for i, c in inner.items()} if inner else {name: one}
    return found


def command(name: str) -> str:
    """What the command does, how it is called, a table of its options. KeyError: no such one."""
    one = commands()[name]
    arguments = [p for p in one.params if p.param_type_name == "argument"]
    options = [p for p in one.params if p.param_type_name == "option"]
    usage = " ".join(
        ["luigi-traffic", name, *(["[OPTIONS]"] if options else []),
         *(_argument(p) for p in arguments)]
    )  # fmt: skip
    # Below \b stand the examples, which the page has with what they mean.
    text = inspect.cleandoc(one.help or "").split("\b")[0].strip()
    lines = [text, "", "```text", usage, "```", ""]
    shown = [(_argument(p).strip("[]"), p) for p in arguments] + [(_option(p), p) for p in options]
    rows = [[f"`{name}`", _default(p), plain(p.help or "")] for name, p in shown]
    lines += table(["option", "default", "what it says"], rows) if rows else []
    return "\n".join(lines)


def _argument(parameter: Any) -> str:
    shown = parameter.metavar or parameter.name.upper()
    return shown if parameter.required or shown.startswith("[") else f"[{shown}]"


def _option(parameter: Any) -> str:
    names = ", ".join(parameter.opts)
    return names if parameter.is_flag else f"{names} {parameter.metavar or 'VALUE'}"


def _default(parameter: Any) -> str:
    value = parameter.default
    return "" if value is None or value is False or value == "" else f"`{value}`"


def tasks() -> str:
    """A table of the tasks that `luigi --module luigi_traffic.run` knows, and of parameters."""
    rows = []
    parameters: dict[str, str] = {}
    for name in run.__all__:
        task: type[luigi.Task] = getattr(run, name)
        options = []
        for parameter, how in task.get_params():
            option = f"--{parameter.replace('_', '-')}"
            options.append(f"`{option}`")
            parameters.setdefault(option, how.description or "")
            if name == "FullPipeline":  # says the defaults too
                parameters[option] = how.description or ""
        first = inspect.cleandoc(task.__doc__ or "").splitlines()[0]
        rows.append([f"`{name}`", plain(first), ", ".join(options)])
    told = [[f"`{option}`", plain(text)] for option, text in parameters.items()]
    return "\n".join(
        [
            *table(["task", "what it does", "parameters"], rows),
            *table(["parameter", "what it says"], told),
        ]
    )
