"""`luigi-traffic new dataset` and `new model`: a plugin package that works, to be changed."""

from __future__ import annotations

import importlib.util
import keyword
import re
import shlex
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import yaml

from luigi_traffic.commands.output import text
from luigi_traffic.errors import PluginError, SettingsError
from luigi_traffic.plugins.loading import Plugins
from luigi_traffic.project import Project
from luigi_traffic.scaffold import write_package

if TYPE_CHECKING:
    from rich.console import Console

Kind = Literal["dataset", "model"]
#: Python, PostgreSQL, pip and environment variables (`__` parts their words) take it as it is.
_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_LONGEST = 28  # so that lines of the package stay within 100, and tables are named in full
#: Folders of the package itself, and those that building it makes.
_OURS = frozenset({"tests", "build", "dist"})


@dataclass(frozen=True)
class Made:
    """The package: its folder, its files relative to it, the commands that come next, and what
    else than they say a run may be given."""

    kind: Kind
    name: str
    folder: Path
    files: list[Path]
    next_steps: tuple[str, ...]
    choice: str


def new(project: Project, kind: Kind, name: str, folder: Path | None = None) -> Made:
    """Write the package of a plugin that provides the `kind` `name` into `folder`, or ./<name>.

    Raises `SettingsError` for a name or folder that does not do, `PluginError` for a name that is
    taken.
    """
    check_name(kind, name)
    found = project.plugins
    refuse_what_is_taken(kind, name, found)
    target = (folder or Path(name)).expanduser().resolve()
    run = _run(kind, name, found)
    words = {
        "name": name,
        "class_name": "".join(word.capitalize() for word in name.split("_")),
        "distribution": name.replace("_", "-"),
        "run": run,
    }
    files = write_package(kind, name, target, words)
    here = shlex.quote(_shown(target))
    steps = (f"pip install -e {here}", f"pytest {here}", run)
    return Made(kind, name, target, files, steps, _choice(kind, found))


def draw(made: Made, console: Console) -> None:
    """The folder, its files, the next commands."""
    console.print(text(f"created {_shown(made.folder)}, the {made.kind} {made.name}:"))
    for file in made.files:
        console.print(text(f"  {file}"), soft_wrap=True)
    console.print("\nIt works as it is. Try it, then change it as described in its README.md:")
    for step in made.next_steps:
        console.print(text(f"  {step}", "bold"), soft_wrap=True)
    console.print(text(f"\n{made.choice}"), soft_wrap=True)


def check_name(kind: Kind, name: str) -> None:
    """Raise `SettingsError`, with a name that does, where this one does not."""
    if why := _why_not(name):
        raise SettingsError(
            f"{name!r} cannot be the name of a {kind}: {why}. Did you mean {suggested(kind, name)}?"
        )


def suggested(kind: Kind, name: str) -> str:
    """The nearest name that does: demo_city for Demo-City, DemoCity and "demo city"."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    apart = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", plain).lower()
    near = "_".join(re.findall(r"[a-z0-9]+", apart))[:_LONGEST].strip("_")
    for candidate in (near, f"{kind}_{near}", f"my_{kind}"):
        if not _why_not(candidate):
            return candidate
    return f"{kind}_1"


def _why_not(name: str) -> str | None:
    if not _NAME.fullmatch(name):
        return "a name has small letters, digits and single underscores, and begins with a letter"
    if len(name) > _LONGEST:
        return f"it is longer than {_LONGEST} characters"
    if keyword.iskeyword(name):
        return "it is a Python keyword"
    if (value := yaml.safe_load(name)) != name:
        return f"a settings file reads it as {value!r}"
    if name in _OURS:
        return f"the package uses the folder {name} for something else"
    return None


def refuse_what_is_taken(kind: Kind, name: str, found: Plugins) -> None:
    """Raise `PluginError` or `SettingsError` if a plugin or a module has the name."""
    other = found.provider.get(name) or next((p for p in found.found if p.name == name), None)
    if other:
        raise PluginError(
            f"{name!r} is taken by the plugin {other.name} ({other.distribution} {other.version}). "
            f"Choose another name for the {kind}; `luigi-traffic plugins list` shows all."
        )
    # Its package would hide the module of that name, or be hidden by it.
    module = importlib.util.find_spec(name)
    if module and module.origin:  # a plain folder that Python could look into has no origin
        raise SettingsError(
            f"{name!r} is the name of an installed Python module ({module.origin}). Choose "
            f"another name, such as {suggested(kind, f'{name}_{kind}')}."
        )


def _run(kind: Kind, name: str, found: Plugins) -> str:
    """The command of a short run, with the other part as the settings have it, or the first."""
    chosen = found.settings.pipeline
    parts = {
        "dataset": _other(chosen.dataset, found.datasets) or "DATASET",
        "model": _other(chosen.model, found.models) or "MODEL",
        kind: name,
    }
    return (
        f"luigi --module luigi_traffic.run FullPipeline --dataset {parts['dataset']} "
        f"--model {parts['model']} --window-days 3 --training '{{\"epochs\": 2}}' --local-scheduler"
    )


def _choice(kind: Kind, found: Plugins) -> str:
    """A dataset may be a download of days: whoever tries a model should know what there is."""
    other, known = ("model", found.models) if kind == "dataset" else ("dataset", found.datasets)
    names = (
        ", ".join(sorted(known)) or f"none is installed: run luigi-traffic new {other} demo_{other}"
    )
    return f"--{other}: {names}"


def _other(chosen: str, known: Iterable[str]) -> str | None:
    names = sorted(known)
    return chosen if chosen in names else next(iter(names), None)


def _shown(folder: Path) -> str:
    """As it is named from here: ./x below, else the whole path."""
    below = folder.is_relative_to(Path.cwd())
    return f"./{folder.relative_to(Path.cwd())}" if below else str(folder)
