"""Commands that look at a home, and change nothing."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from luigi_traffic.cli.groups import Dataset, FirstDay, Json, LastDay, app, day, plugins_app
from luigi_traffic.project import current


@app.command()
def status(
    dataset: Dataset = None,
    days: Annotated[int | None, typer.Option(help="Number of days shown (default 14)")] = None,
    first: FirstDay = None,
    last: LastDay = None,
    fail_if_older_than: Annotated[
        str | None,
        typer.Option(
            metavar="AGE",
            help=(
                "Show only the services; exit code 1 if one shows no sign of life for this "
                "long, for example 10m or 1h"
            ),
        ),
    ] = None,
    fail_if_missing: Annotated[
        bool,
        typer.Option(
            "--fail-if-missing", help="Exit code 1 if a stage of a day up to gold is not complete"
        ),
    ] = False,
    grid: Annotated[
        bool, typer.Option("--grid", help="A letter for each stage and day, a month a block")
    ] = False,
    year: Annotated[
        bool, typer.Option("--year", help="A letter for each day, a month a line")
    ] = False,
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a page with a calendar to this file")
    ] = None,
    as_json: Json = False,
) -> None:
    """Show days and stages, what is missing and why, the models, and the services of this home.

    \b
    luigi-traffic status
    luigi-traffic status --dataset its --from 2024-05-01 --to 2024-05-31
    luigi-traffic status --year --from 2024-01-01
    luigi-traffic status --from 2024-01-01 --html status.html
    luigi-traffic status --dataset its --days 30 --fail-if-missing
    luigi-traffic status --fail-if-older-than 10m
    """
    if grid + year + (as_json or html is not None) > 1:
        raise typer.BadParameter("--grid and --year draw in place of --json or --html: give one")
    if fail_if_older_than is not None and (fail_if_missing or grid or year or html is not None):
        raise typer.BadParameter("--fail-if-older-than shows the services alone")
    from luigi_traffic.commands import freshness
    from luigi_traffic.commands.duration import duration
    from luigi_traffic.commands.output import show

    project = current()
    services = freshness.rows(project)
    if fail_if_older_than is not None:
        show(services, as_json, freshness.draw)
        limit = duration(fail_if_older_than, "--fail-if-older-than")
        if told := freshness.too_old(project, services, limit):
            typer.echo("\n".join(told), err=True)
            raise typer.Exit(1)
        return
    from luigi_traffic.commands import status, status_grid, status_html, status_page

    wanted = status.Range(days, day(first), day(last))
    rows = status.rows(project, dataset, wanted) + services
    draw: Callable[..., None] = partial(status_page.draw, project)
    if grid or year:
        draw = status_grid.draw_grid if grid else status_grid.draw_year
    if html is not None:
        status_html.write(rows, html)
        typer.echo(f"wrote {html}", err=as_json)
    if html is None or as_json:
        show(rows, as_json, draw)
    if fail_if_missing and (open_stages := status.not_complete(rows)):
        typer.echo(open_stages, err=True)
        raise typer.Exit(1)


@app.command()
def attempts(
    dataset: Dataset = None,
    stage: Annotated[
        str | None, typer.Option(help="Name of a stage, for example bronze, model or forecast")
    ] = None,
    first: FirstDay = None,
    last: LastDay = None,
    failed: Annotated[
        bool, typer.Option("--failed", help="Only those that failed, were stopped or were killed")
    ] = False,
    limit: Annotated[int, typer.Option(min=1, help="Largest number of attempts")] = 20,
    as_json: Json = False,
) -> None:
    """List the attempts of stages, the newest first: when, where, how they ended, what they said.

    \b
    luigi-traffic attempts --dataset its --failed
    luigi-traffic attempts --stage bronze --from 2024-05-01 --to 2024-05-31
    """
    from luigi_traffic.commands import attempts
    from luigi_traffic.commands.output import show

    wanted = attempts.Wanted(dataset, stage, day(first), day(last), failed, limit)
    show(attempts.rows(current(), wanted), as_json, attempts.draw)


@app.command()
def models(
    dataset: Annotated[str, typer.Argument(help="Name of the dataset")],
    version: Annotated[
        str | None, typer.Argument(help="Version to show everything about; none: list all")
    ] = None,
    target: Annotated[
        str, typer.Option(help="Measure that they forecast; empty: the dataset's own")
    ] = "",
    as_json: Json = False,
) -> None:
    """List the registered versions of a dataset's model, or show everything about one of them.

    \b
    luigi-traffic models its
    luigi-traffic models its 7
    """
    from luigi_traffic.commands import model_page, models
    from luigi_traffic.commands.output import show

    project = current()
    if version is not None:
        found = model_page.row(project, dataset, target, version)
        show([found], as_json, lambda rows, console: model_page.draw(rows[0], console))
        return
    name, _ = models.model_name(project, dataset, target)
    show(models.rows(project, dataset, target), as_json, partial(models.draw, name=name))


@app.command()
def query(
    sql: Annotated[str, typer.Argument(help="One SQL statement that only reads")],
    limit: Annotated[int, typer.Option(min=0, help="Largest number of rows; 0: all")] = 100,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV with a header line")] = False,
    as_json: Json = False,
) -> None:
    """Run a read-only query on the warehouse.

    \b
    luigi-traffic query "SELECT * FROM gold.its ORDER BY timestamp DESC" --limit 5
    """
    from luigi_traffic.commands import query
    from luigi_traffic.commands.output import show

    if as_csv and as_json:
        raise typer.BadParameter("--csv and --json cannot be used together: give one of them")
    names, rows, more = query.rows(current(), sql, limit or None)
    if more and (as_csv or as_json):
        typer.echo(f"only the first {limit} rows are shown; --limit 0 shows all", err=True)
    if as_csv:
        query.write_csv(names, rows)
    else:
        show(rows, as_json, lambda found, console: query.draw(names, found, more, console))


@app.command()
def evaluation(
    dataset: Annotated[str, typer.Argument(help="Name of a dataset plugin")],
    target: Annotated[
        str, typer.Option(help="Measure that was forecast; empty: the dataset's own")
    ] = "",
    first: FirstDay = None,
    last: LastDay = None,
    by: Annotated[
        str, typer.Option(help="A row for each: step, link, hour, version or day")
    ] = "step",
    limit: Annotated[
        int, typer.Option(min=0, help="Largest number of links, the worst first; 0: all")
    ] = 20,
    live: Annotated[
        bool,
        typer.Option(
            "--live", help="Forecasts that `luigi-traffic live` issued, not published ones"
        ),
    ] = False,
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a page with pictures to this file")
    ] = None,
    as_json: Json = False,
) -> None:
    """Show how good the published forecasts were, and which onsets of congestion they announced.

    \b
    luigi-traffic evaluation its
    luigi-traffic evaluation its --by link --from 2024-05-01 --to 2024-05-31
    luigi-traffic evaluation its --html evaluation.html
    luigi-traffic evaluation its_openapi --live
    """
    from luigi_traffic.commands import evaluation
    from luigi_traffic.commands.output import show

    project = current()
    scope = evaluation.Scope.of(project, dataset, target, day(first), day(last), live)
    if html is not None:
        from luigi_traffic.commands import evaluation_page

        evaluation_page.write(project, scope, html, limit or None)
        typer.echo(f"wrote {html}", err=as_json)
        if not as_json:
            return
    rows = evaluation.rows(project, scope, by, limit or None)
    days = evaluation.days_scored(project, scope)
    ticks = evaluation.ticks_issued(project, scope)
    show(rows, as_json, partial(evaluation.draw, scope, days, ticks, by))


@app.command()
def drift(
    dataset: Annotated[str, typer.Argument(help="Name of a dataset plugin")],
    target: Annotated[
        str, typer.Option(help="Measure that is forecast; empty: the dataset's own")
    ] = "",
    first: FirstDay = None,
    last: LastDay = None,
    as_json: Json = False,
) -> None:
    """Show which days were unlike the days that the champion was trained on, and what followed.

    \b
    luigi-traffic drift its
    luigi-traffic drift its --from 2024-05-01 --to 2024-05-31
    """
    from luigi_traffic.commands import drift
    from luigi_traffic.commands.output import show

    rows = drift.rows(current(), dataset, target, day(first), day(last))
    show(rows, as_json, drift.draw)


@app.command()
def lineage(
    partition: Annotated[
        str | None, typer.Argument(help="Id of a partition, or its first digits")
    ] = None,
    model: Annotated[str | None, typer.Option(help="Version of a registered model")] = None,
    made_from: Annotated[
        str | None,
        typer.Option(
            metavar="DAY|ID|sha256:…",
            help="The other way: all that was made of the raw of a day, a partition or an archive",
        ),
    ] = None,
    dataset: Dataset = None,
    as_json: Json = False,
) -> None:
    """Trace a model or a partition back to the sha256 of each raw archive, or the other way.

    \b
    luigi-traffic lineage                           the newest model
    luigi-traffic lineage --model 3 --dataset its   a version
    luigi-traffic lineage 3fa44ec5a838              any partition
    luigi-traffic lineage --made-from 2024-05-03 --dataset its    which models saw this day?
    """
    from luigi_traffic.commands import lineage
    from luigi_traffic.commands import made_from as upwards
    from luigi_traffic.commands.output import show

    if made_from is not None:
        if model or partition:
            raise typer.BadParameter("--made-from cannot be used with a partition id or --model")
        show(upwards.rows(current(), made_from, dataset), as_json, upwards.draw)
        return
    show(lineage.rows(current(), model, partition, dataset), as_json, lineage.draw)


@app.command()
def doctor(
    deep: Annotated[
        bool, typer.Option("--deep", help="Also start the database and Spark, and ask the sources")
    ] = False,
    as_json: Json = False,
) -> None:
    """Check this machine and the settings, and say what to do. Exit code 1 if there is a problem.

    \b
    luigi-traffic doctor
    luigi-traffic doctor --deep
    """
    from luigi_traffic.commands.doctor import command
    from luigi_traffic.commands.doctor.finding import PROBLEM
    from luigi_traffic.commands.output import show

    rows = command.rows(current(), deep)
    show(rows, as_json, command.draw)
    if any(row["state"] == PROBLEM for row in rows):
        raise typer.Exit(1)


@app.command()
def settings(as_json: Json = False) -> None:
    """Show the settings in force, and where each was set. Secrets are masked.

    \b
    luigi-traffic settings
    """
    from luigi_traffic.commands import settings
    from luigi_traffic.commands.output import show

    project = current()
    show(settings.rows(project), as_json, partial(settings.draw, project))


@plugins_app.command("list")
def plugins_list(as_json: Json = False) -> None:
    """Show which plugins were found, what they provide, and why one did not load.

    \b
    luigi-traffic plugins list
    """
    from luigi_traffic.commands import plugins
    from luigi_traffic.commands.output import show

    show(plugins.rows(current()), as_json, plugins.draw)
