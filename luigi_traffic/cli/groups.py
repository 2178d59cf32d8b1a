"""The command line `luigi-traffic`: its groups of commands, and the options that many have."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from luigi_traffic.api.version import __version__
from luigi_traffic.errors import TrafficError
from luigi_traffic.project import current

Json = Annotated[bool, typer.Option("--json", help="Print a JSON list of objects and nothing else")]
Dataset = Annotated[str | None, typer.Option(help="Name of a dataset plugin")]
FirstDay = Annotated[
    datetime | None,
    typer.Option("--from", formats=["%Y-%m-%d"], metavar="YYYY-MM-DD", help="First day"),
]
LastDay = Annotated[
    datetime | None,
    typer.Option("--to", formats=["%Y-%m-%d"], metavar="YYYY-MM-DD", help="Last day"),
]


class Commands(TyperGroup):
    """The commands below and, where no command below has the name, those of plugins."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Ours in their order, then those of plugins, as far as plugins load."""
        ours = super().list_commands(ctx)
        try:
            added = [name for name in _added() if name not in ours]
        except TrafficError as e:  # help must come up whatever the settings are
            typer.echo(f"the commands of plugins are not shown: {str(e).splitlines()[0]}", err=True)
            added = []
        return ours + added

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command of that name, None where there is none."""
        found = super().get_command(ctx, cmd_name)
        return found if found is not None else _added().get(cmd_name)


app = typer.Typer(
    name="luigi-traffic",
    cls=Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
plugins_app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="List the plugins: datasets, models and commands.",
)
app.add_typer(plugins_app, name="plugins")
new_app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Make a package for your own dataset or model.",
)
app.add_typer(new_app, name="new")
warehouse_app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Save the embedded warehouse to a file, or restore it.",
)
app.add_typer(warehouse_app, name="warehouse")
insight_app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Show what Insight has computed from speeds, or write it to a file.",
)
app.add_typer(insight_app, name="insight")
links_app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Import names, lengths and geometry of the roads' links, show or export them.",
)
app.add_typer(links_app, name="links")


def _added() -> dict[str, Any]:
    from luigi_traffic.commands.plugin_commands import added_commands

    def made(name: str, function: Callable[..., Any]) -> Any:
        alone = typer.Typer(
            add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None
        )
        alone.command(name)(function)
        return typer.main.get_command(alone)

    return {c.name: made(c.name, c.function) for c in added_commands(current())}


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"luigi-traffic {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_version, is_eager=True, help="Show the version and exit"
        ),
    ] = False,
) -> None:
    """Show what the traffic pipeline has made, and what it needs to run.

    To run the pipeline itself: luigi --module luigi_traffic.run FullPipeline --help
    """


def day(given: datetime | None) -> date | None:
    """The day of an option that may be left out."""
    return given.date() if given else None
