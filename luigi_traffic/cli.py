"""`luigi-traffic …`: looks at a home and its parts, starts and stops its services.

Only names, options and help stand here; what a command does is in `luigi_traffic.commands`,
imported when it runs.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import date, datetime
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from luigi_traffic import logs
from luigi_traffic.errors import TrafficError
from luigi_traffic.version import __version__

Json = Annotated[bool, typer.Option("--json", help="a list of objects, nothing else")]
Dataset = Annotated[str | None, typer.Option(help="name of a dataset plugin")]


class Commands(TyperGroup):
    """The commands below and, where no command below has the name, those of plugins."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Ours in their order, then those of plugins, as far as plugins load."""
        ours = super().list_commands(ctx)
        try:
            added = [name for name in _added() if name not in ours]
        except TrafficError as e:  # help must come up whatever the settings are
            typer.echo(f"commands of plugins are not shown: {str(e).splitlines()[0]}", err=True)
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
    no_args_is_help=True, rich_markup_mode=None, help="Plugins: datasets, models, commands."
)
app.add_typer(plugins_app, name="plugins")
new_app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="A package for a dataset or model of yours."
)
app.add_typer(new_app, name="new")
warehouse_app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="The embedded warehouse in one file."
)
app.add_typer(warehouse_app, name="warehouse")


def _added() -> dict[str, Any]:
    from luigi_traffic.commands.added import added_commands

    def made(name: str, function: Callable[..., Any]) -> Any:
        alone = typer.Typer(
            add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None
        )
        alone.command(name)(function)
        return typer.main.get_command(alone)

    return {c.name: made(c.name, c.function) for c in added_commands()}


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"luigi-traffic {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="and exit")
    ] = False,
) -> None:
    """Looks at what the traffic pipeline has made, and at what it needs to run.

    The pipeline itself: luigi --module luigi_traffic.run FullPipeline --help
    """


@app.command()
def status(
    dataset: Dataset = None,
    days: Annotated[int | None, typer.Option(help="how many days; 14")] = None,
    first: Annotated[
        datetime | None,
        typer.Option("--from", formats=["%Y-%m-%d"], metavar="YYYY-MM-DD", help="first day"),
    ] = None,
    last: Annotated[
        datetime | None,
        typer.Option("--to", formats=["%Y-%m-%d"], metavar="YYYY-MM-DD", help="last day"),
    ] = None,
    fail_if_older_than: Annotated[
        str | None,
        typer.Option(
            metavar="AGE",
            help="only services; exit code 1 if one shows no sign of life for that long: 10m, 1h",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Days and stages, what is missing and why, the models, and the services of this home.

    \b
    luigi-traffic status
    luigi-traffic status --dataset its --from 2024-05-01 --to 2024-05-31
    luigi-traffic status --fail-if-older-than 10m
    """
    from luigi_traffic.commands import freshness
    from luigi_traffic.commands.duration import duration
    from luigi_traffic.commands.output import show

    services = freshness.rows()
    if fail_if_older_than is not None:
        show(services, as_json, freshness.draw)
        if told := freshness.too_old(
            services, duration(fail_if_older_than, "--fail-if-older-than")
        ):
            typer.echo("\n".join(told), err=True)
            raise typer.Exit(1)
        return
    from luigi_traffic.commands import status, status_page

    wanted = status.Range(days, _day(first), _day(last))
    show(status.rows(dataset, wanted) + services, as_json, status_page.draw)


@app.command()
def query(
    sql: Annotated[str, typer.Argument(help="one statement that reads")],
    limit: Annotated[int, typer.Option(min=0, help="rows at most; 0: all")] = 100,
    as_csv: Annotated[bool, typer.Option("--csv", help="CSV with a header line")] = False,
    as_json: Json = False,
) -> None:
    """Ask the warehouse; read-only.

    \b
    luigi-traffic query "SELECT * FROM gold.its ORDER BY timestamp DESC" --limit 5
    """
    from luigi_traffic.commands import query
    from luigi_traffic.commands.output import show

    if as_csv and as_json:
        raise typer.BadParameter("--csv and --json name two formats: give one of them")
    names, rows, more = query.rows(sql, limit or None)
    if more and (as_csv or as_json):
        typer.echo(f"the first {limit} rows; --limit 0 gives all", err=True)
    if as_csv:
        query.write_csv(names, rows)
    else:
        show(rows, as_json, lambda found, console: query.draw(names, found, more, console))


@app.command()
def lineage(
    partition: Annotated[str | None, typer.Argument(help="id, or its first digits")] = None,
    model: Annotated[str | None, typer.Option(help="version of a registered model")] = None,
    dataset: Dataset = None,
    as_json: Json = False,
) -> None:
    """From a model or a partition back to the sha256 of each raw archive.

    \b
    luigi-traffic lineage                           the newest model
    luigi-traffic lineage --model 3 --dataset its   a version
    luigi-traffic lineage 3fa44ec5a838              any partition
    """
    from luigi_traffic.commands import lineage
    from luigi_traffic.commands.output import show

    show(lineage.rows(model, partition, dataset), as_json, lineage.draw)


@app.command()
def doctor(
    deep: Annotated[
        bool, typer.Option("--deep", help="also start the database, Spark, and ask the sources")
    ] = False,
    as_json: Json = False,
) -> None:
    """What is wrong with this machine or these settings, and what to do. Exit code 1: a problem.

    \b
    luigi-traffic doctor
    luigi-traffic doctor --deep
    """
    from luigi_traffic.commands import doctor
    from luigi_traffic.commands.finding import PROBLEM
    from luigi_traffic.commands.output import show

    rows = doctor.rows(deep)
    show(rows, as_json, doctor.draw)
    if any(row["state"] == PROBLEM for row in rows):
        raise typer.Exit(1)


@app.command()
def settings(as_json: Json = False) -> None:
    """The settings in force, and where each was set. Secrets are masked.

    \b
    luigi-traffic settings
    """
    from luigi_traffic.commands import settings
    from luigi_traffic.commands.output import show

    show(settings.rows(), as_json, settings.draw)


@plugins_app.command("list")
def plugins_list(as_json: Json = False) -> None:
    """What was found, what it provides, and why it did not load.

    \b
    luigi-traffic plugins list
    """
    from luigi_traffic.commands import plugins
    from luigi_traffic.commands.output import show

    show(plugins.rows(), as_json, plugins.draw)


Name = Annotated[str, typer.Argument(help="small letters, digits, _: demo_city")]
Folder = Annotated[
    Path | None, typer.Option(help="folder of the package; ./NAME. New or empty", metavar="DIR")
]


@new_app.command("dataset")
def new_dataset(name: Name, folder: Folder = None) -> None:
    """Make an installable dataset plugin: a working example, tests, a README.

    \b
    luigi-traffic new dataset demo_city
    luigi-traffic new dataset demo_city --folder plugins/demo_city
    """
    from luigi_traffic.commands import new
    from luigi_traffic.commands.output import console

    new.draw(new.new("dataset", name, folder), console())


@new_app.command("model")
def new_model(name: Name, folder: Folder = None) -> None:
    """Make an installable model plugin: a working example, tests, a README.

    \b
    luigi-traffic new model demo_model
    """
    from luigi_traffic.commands import new
    from luigi_traffic.commands.output import console

    new.draw(new.new("model", name, folder), console())


@app.command()
def up() -> None:
    """Start luigid and the MLflow UI on loopback, and print their addresses.

    They go on when this command ends; what is up already is left as it is.

    \b
    luigi-traffic up
    """
    from luigi_traffic.commands import services
    from luigi_traffic.commands.output import console

    services.draw_up(services.up(), console())


@app.command()
def down() -> None:
    """Stop luigid, the MLflow UI and the embedded PostgreSQL of this home.

    Only what this home started. A pipeline that runs in this home loses its database.

    \b
    luigi-traffic down
    """
    from luigi_traffic.commands import services
    from luigi_traffic.commands.output import console

    services.draw_down(services.down(), console())


@warehouse_app.command("dump")
def warehouse_dump(file: Annotated[Path, typer.Argument(help="new file")]) -> None:
    """Write all that the embedded warehouse holds to a file, also while pipelines run.

    \b
    luigi-traffic warehouse dump warehouse.dump
    """
    from luigi_traffic.commands import dumps

    typer.echo(dumps.dump(file))


@warehouse_app.command("restore")
def warehouse_restore(
    file: Annotated[Path, typer.Argument(help="what `warehouse dump` has written")],
) -> None:
    """Fill an empty embedded warehouse from a dump, also from one of an older PostgreSQL.

    \b
    luigi-traffic warehouse restore warehouse.dump
    """
    from luigi_traffic.commands import dumps

    typer.echo(dumps.restore(file))


@app.command()
def daily(
    dataset: Dataset = None,
    model: Annotated[str | None, typer.Option(help="name of a model plugin")] = None,
    at: Annotated[
        datetime | None,
        typer.Option(formats=["%H:%M"], metavar="HH:MM", help="stay, and run at that time"),
    ] = None,
    catch_up: Annotated[
        int, typer.Option(min=0, max=366, help="days before it to look after too")
    ] = 7,
    luigi_arguments: Annotated[
        list[str] | None, typer.Argument(metavar="[-- ARGUMENTS]", help="for Luigi")
    ] = None,
) -> None:
    """Run the pipeline for the day that just ended, in the dataset's time zone.

    \b
    luigi-traffic daily
    luigi-traffic daily --dataset its -- --local-scheduler --window-days 14
    luigi-traffic daily --at 03:30
    """
    from luigi_traffic.commands import daily

    wanted = at.time() if at else None
    options = daily.Options(dataset, model, wanted, catch_up, luigi_arguments or ())
    if not daily.daily(options):
        raise typer.Exit(1)


@app.command()
def listen(
    dataset: Annotated[
        list[str] | None, typer.Option(help="dataset plugin; may be repeated; all")
    ] = None,
    task: Annotated[str, typer.Option(help="what to run for an announced day")] = "Gold",
    group: Annotated[str, typer.Option(help="consumer group; listen.group")] = "",
    first: Annotated[
        datetime | None,
        typer.Option(
            "--from", formats=["%Y-%m-%d"], metavar="YYYY-MM-DD", help="leave out earlier days"
        ),
    ] = None,
    until_idle: Annotated[
        float | None,
        typer.Option(min=1, metavar="SECONDS", help="end when nothing came for that long"),
    ] = None,
    luigi_arguments: Annotated[
        list[str] | None, typer.Argument(metavar="[-- ARGUMENTS]", help="for Luigi")
    ] = None,
) -> None:
    """Run the pipeline for each day that is announced in Kafka, until SIGTERM or Ctrl-C.

    \b
    luigi-traffic listen --dataset its
    luigi-traffic listen --dataset its --until-idle 60 -- --local-scheduler
    luigi-traffic listen --dataset its --task FullPipeline --from 2024-05-01 -- --model convlstm
    """
    from luigi_traffic.commands import listen

    listen.listen(
        listen.Options(dataset or (), task, group, _day(first), until_idle, luigi_arguments or ())
    )


@app.command()
def gc(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="only say what would go")] = False,
    older_than: Annotated[str, typer.Option(help="untouched for that long: 12h, 1d, 2w")] = "1d",
    as_json: Json = False,
) -> None:
    """Remove what attempts that nobody committed have left behind.

    Choose an age above the longest run: what a live one is writing is not committed either.

    \b
    luigi-traffic gc --dry-run
    luigi-traffic gc --older-than 1w
    """
    from luigi_traffic.commands import garbage
    from luigi_traffic.commands.duration import duration
    from luigi_traffic.commands.output import show

    rows = garbage.rows(duration(older_than, "--older-than", zero=True), dry_run)
    show(rows, as_json, partial(garbage.draw, dry_run=dry_run))


@app.command()
def recheck(
    dataset: Dataset = None,
    first: Annotated[
        datetime | None,
        typer.Option("--from", formats=["%Y-%m-%d"], metavar="YYYY-MM-DD", help="first day"),
    ] = None,
    last: Annotated[
        datetime | None,
        typer.Option("--to", formats=["%Y-%m-%d"], metavar="YYYY-MM-DD", help="last day"),
    ] = None,
    as_json: Json = False,
) -> None:
    """Has the source changed days that were fetched already? Changed ones are fetched again.

    The source is asked what it says of a day (HEAD, or the size and time of a file); only if that
    differs, the day is read. Exit code 1: a day could not be asked for.

    \b
    luigi-traffic recheck --dataset its
    luigi-traffic recheck --dataset its --from 2024-05-01 --to 2024-05-31
    """
    from luigi_traffic.commands import recheck
    from luigi_traffic.commands.output import show

    found = recheck.rows(dataset, _day(first), _day(last))
    show(found, as_json, recheck.draw)
    if any(row["outcome"] == recheck.FAILED for row in found):
        raise typer.Exit(1)


@app.command()
def verify(
    dataset: Dataset = None,
    deep: Annotated[
        bool, typer.Option("--deep", help="also compare the hashes of all files, rows and models")
    ] = False,
    mark: Annotated[
        bool,
        typer.Option("--mark", help="let what is damaged count as missing: the next run makes it"),
    ] = False,
    as_json: Json = False,
) -> None:
    """Is everything there as it was committed? Exit code 1: something is damaged, and named.

    \b
    luigi-traffic verify                  sizes of files, numbers of rows, presence of models
    luigi-traffic verify --deep           every byte and row, which takes time
    luigi-traffic verify --mark           and have it made anew by the next run
    """
    from luigi_traffic.commands import verify
    from luigi_traffic.commands.output import show

    found = verify.verify(dataset, deep=deep, mark=mark)
    show(found.rows, as_json, lambda _, console: verify.draw(found, console))
    if found.rows:
        raise typer.Exit(1)


@app.command()
def invalidate(
    stage: Annotated[
        str, typer.Argument(help="raw, announce, bronze, silver, gold, forecast or model")
    ],
    dataset: Annotated[str, typer.Argument(help="name of the dataset")],
    part: Annotated[
        str,
        typer.Argument(help="a day; of a forecast day/model; of a model its partition id"),
    ],
    reason: Annotated[str, typer.Option(help="kept beside the mark")] = "invalidated by hand",
    as_json: Json = False,
) -> None:
    """Let a partition count as missing, so that the next run that needs it makes it anew.

    Nothing is removed. To have a day fetched again from its source, invalidate its raw.

    \b
    luigi-traffic invalidate raw its 2024-05-31
    luigi-traffic invalidate forecast its 2024-05-31/stid
    """
    from luigi_traffic.commands import invalidate
    from luigi_traffic.commands.output import show

    row = invalidate.invalidate(stage, dataset, part, reason)
    show([row], as_json, lambda rows, console: invalidate.draw(rows[0], console))


def _day(given: datetime | None) -> date | None:
    return given.date() if given else None


def main() -> None:
    """The console script: a `TrafficError` is one message on stderr and exit code 1."""
    logs.set_up()
    try:
        app()
    except TrafficError as e:
        typer.echo(f"luigi-traffic: {e}", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
