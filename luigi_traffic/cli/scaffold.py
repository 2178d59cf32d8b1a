"""Commands that make packages for a plugin of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from luigi_traffic.cli.groups import new_app
from luigi_traffic.errors import SettingsError, extras_named
from luigi_traffic.project import current

Name = Annotated[
    str, typer.Argument(help="Name in small letters, digits and _, for example demo_city")
]
Folder = Annotated[
    Path | None,
    typer.Option(help="Folder of the package, new or empty (default ./NAME)", metavar="DIR"),
]


@new_app.command("dataset")
def new_dataset(
    name: Name,
    folder: Folder = None,
    source: Annotated[
        Path | None,
        typer.Option(
            "--from",
            help="File of rows to look at: conf/datasets/NAME.yml is written, and no package",
            metavar="FILE",
        ),
    ] = None,
) -> None:
    """Make an installable dataset plugin, or with --from the settings of a dataset in YAML.

    \b
    luigi-traffic new dataset demo_city
    luigi-traffic new dataset demo_city --folder plugins/demo_city
    luigi-traffic new dataset demo_city --from data/20240501.csv
    """
    from luigi_traffic.commands import new
    from luigi_traffic.commands.output import console

    if source is None:
        new.draw(new.new(current(), "dataset", name, folder), console())
        return
    if folder is not None:
        raise SettingsError("cannot combine --from with --folder: --from makes no package")
    with extras_named():
        from luigi_traffic.commands.from_file import command

        made = command.write(current(), name, source)
    command.draw(made, console())
    if made.problem:
        raise SettingsError(f"{made.file} does not load yet: {made.problem}")


@new_app.command("model")
def new_model(name: Name, folder: Folder = None) -> None:
    """Make an installable model plugin with a working example, tests and a README.

    \b
    luigi-traffic new model demo_model
    """
    from luigi_traffic.commands import new
    from luigi_traffic.commands.output import console

    new.draw(new.new(current(), "model", name, folder), console())
