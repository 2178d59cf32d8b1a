"""Commands that start pipelines and services, and stop those."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer

from luigi_traffic.cli.groups import Dataset, app, day
from luigi_traffic.project import current


@app.command()
def up() -> None:
    """Start luigid and the MLflow UI on loopback, and print their addresses.

    They keep running after this command ends; a service that is already up is left as it is.

    \b
    luigi-traffic up
    """
    from luigi_traffic.commands import services
    from luigi_traffic.commands.output import console

    services.draw_up(services.up(current()), console())


@app.command()
def down() -> None:
    """Stop luigid, the MLflow UI and the embedded PostgreSQL of this home.

    It stops only what this home started. A pipeline running in this home loses its database.

    \b
    luigi-traffic down
    """
    from luigi_traffic.commands import services
    from luigi_traffic.commands.output import console

    project = current()
    services.draw_down(project, services.down(project), console())


@app.command()
def daily(
    dataset: Dataset = None,
    model: Annotated[str | None, typer.Option(help="Name of a model plugin")] = None,
    at: Annotated[
        datetime | None,
        typer.Option(
            formats=["%H:%M"],
            metavar="HH:MM",
            help="Keep running, and run the pipeline every day at this time",
        ),
    ] = None,
    catch_up: Annotated[
        int, typer.Option(min=0, max=366, help="Number of earlier days to catch up on")
    ] = 7,
    luigi_arguments: Annotated[
        list[str] | None, typer.Argument(metavar="[-- ARGUMENTS]", help="Arguments passed to Luigi")
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
    if not daily.daily(current(), options):
        raise typer.Exit(1)


@app.command()
def listen(
    dataset: Annotated[
        list[str] | None,
        typer.Option(help="Name of a dataset plugin; may be repeated (default: all)"),
    ] = None,
    task: Annotated[str, typer.Option(help="Luigi task to run for an announced day")] = "Gold",
    group: Annotated[
        str, typer.Option(help="Consumer group (default: the setting listen.group)")
    ] = "",
    first: Annotated[
        datetime | None,
        typer.Option(
            "--from",
            formats=["%Y-%m-%d"],
            metavar="YYYY-MM-DD",
            help="Leave out the days before this one",
        ),
    ] = None,
    until_idle: Annotated[
        float | None,
        typer.Option(min=1, metavar="SECONDS", help="End if no message came for this long"),
    ] = None,
    luigi_arguments: Annotated[
        list[str] | None, typer.Argument(metavar="[-- ARGUMENTS]", help="Arguments passed to Luigi")
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
        current(),
        listen.Options(dataset or (), task, group, day(first), until_idle, luigi_arguments or ()),
    )


@app.command()
def live(
    dataset: Dataset = None,
    target: Annotated[str, typer.Option(help="Measure to forecast; empty: the dataset's own")] = "",
    every: Annotated[
        str | None,
        typer.Option(
            metavar="SPAN", help="Time between two ticks, such as 5m (default: the interval)"
        ),
    ] = None,
    once: Annotated[
        bool, typer.Option("--once", help="Do one tick, and end; exit code 1 if it has no forecast")
    ] = False,
) -> None:
    """Ask the source every few minutes, and forecast the next hour by the champion.

    It runs until SIGTERM or Ctrl-C, and trains nothing.

    \b
    luigi-traffic live --dataset its_openapi
    luigi-traffic live --dataset its_openapi --every 1m
    luigi-traffic live --dataset its_openapi --once
    """
    from luigi_traffic.commands.live import command

    if not command.live(current(), command.Options(dataset, target, every, once)):
        raise typer.Exit(1)
