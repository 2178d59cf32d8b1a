"""Look at a file, and write conf/datasets/<name>.yml with what is seen and what is not."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from luigi_traffic.commands.from_file.look import Seen, look
from luigi_traffic.commands.from_file.opened import opened
from luigi_traffic.commands.new import check_name, refuse_what_is_taken
from luigi_traffic.commands.output import table, text
from luigi_traffic.errors import SettingsError
from luigi_traffic.project import Project
from luigi_traffic.settings.reading import Layers
from luigi_traffic.yaml_dataset.loading import declared

if TYPE_CHECKING:
    from rich.console import Console


@dataclass(frozen=True)
class Written:
    """The file that was written, what was seen, and why it does not load if it does not."""

    name: str
    file: Path
    seen: Seen
    problem: str | None


def write(project: Project, name: str, source: Path) -> Written:
    """Look at `source` and write the settings of the dataset `name`.

    Raises `SettingsError` for a name that does not do, a file that is there, or no table;
    `PluginError` for a name that is taken; `SourceError` for what cannot be unpacked.
    """
    check_name("dataset", name)
    folder = project.conf / "datasets"
    for suffix in (".yml", ".yaml"):
        if (there := folder / f"{name}{suffix}").exists():
            raise SettingsError(
                f"{there} exists, and nothing is overwritten. Choose another name, or move it away"
            )
    refuse_what_is_taken("dataset", name, project.plugins)
    seen = look(opened(source))
    content = "".join(f"{line}\n" for line in _lines(seen, source))
    file = folder / f"{name}.yml"
    folder.mkdir(parents=True, exist_ok=True)
    with file.open("x", encoding="utf-8") as new:
        new.write(content)
    return Written(name, file, seen, _problem(name, file))


def _lines(seen: Seen, source: Path) -> Iterator[str]:
    yield f"# Written by luigi-traffic new dataset --from {source}. Every key: docs/yaml-dataset.md"
    yield from (f"# TODO: {what}" for what in seen.todo)
    if "columns" in seen.doubts:
        yield f"# {seen.doubts['columns']}"
    yield "table:"
    order = ("glob", "format", "header", "delimiter", "decimal", "encoding")
    yield from _keys(seen, [key for key in order if key in seen.table])
    yield "  columns:"
    for key, column in seen.columns.items():
        yield f"    {key}: {_value(column)}{_comment(seen.doubts.get(key))}"
    yield from _keys(seen, [key for key in seen.table if key not in order])


def _keys(seen: Seen, keys: list[str]) -> Iterator[str]:
    for key in keys:
        yield f"  {key}: {_value(seen.table[key])}{_comment(seen.doubts.get(key))}"


def _comment(doubt: str | None) -> str:
    return f"  # {doubt}" if doubt else ""


def _value(value: Any) -> str:
    shown = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=10_000)
    return shown.removesuffix("\n").removesuffix("\n...")


def _problem(name: str, file: Path) -> str | None:
    """Why the written file does not load."""
    layers = Layers()
    try:
        layers.lay_file(file, ("datasets", name))
        declared(name, layers.values["datasets"][name], layers)
    except SettingsError as e:
        return str(e).partition("\n  looked in")[0]
    return None


def draw(made: Written, console: Console) -> None:
    """What was recognised, the first rows, what is open, and what comes next."""
    shown = table("key", "value", "to check")
    seen = made.seen
    for key, value in itertools.chain(
        ((f"columns.{k}", v) for k, v in seen.columns.items()), seen.table.items()
    ):
        doubt = seen.doubts.get(key.removeprefix("columns."), "")
        shown.add_row(text(key), text(_value(value)), text(doubt, "yellow"))
    console.print(text(f"wrote {made.file}"), soft_wrap=True)
    console.print(shown)
    sample = seen.sample
    rows = table(*sample.columns)
    for row in sample.itertuples(index=False):
        rows.add_row(*map(text, row))
    console.print(text("\nThe first rows as they are read:"))
    console.print(rows)
    for what in seen.todo:
        console.print(text(f"open: {what}", "yellow"), soft_wrap=True)
    day = f" --date {seen.first}" if seen.first else ""
    console.print("\nCheck the marked values in the file. Then make one day of it:")
    console.print(
        text(
            f"  luigi --module luigi_traffic.run Silver --dataset {made.name}{day} "
            "--local-scheduler",
            "bold",
        ),
        soft_wrap=True,
    )
