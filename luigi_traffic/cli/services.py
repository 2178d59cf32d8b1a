"""Commands that start pipelines and services, and stop those."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer

from luigi_traffic.cli.groups import Dataset, app, day


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
        listen.Options(dataset or (), task, group, day(first), until_idle, luigi_arguments or ())
    )
