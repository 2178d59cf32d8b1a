"""`luigi-traffic its-openapi-collect`: keep what the service says, as long as it says it."""

from __future__ import annotations

from typing import Annotated

import typer

from luigi_traffic import installed_dataset
from luigi_traffic_its_openapi.collector import Collector, service, stop_on_signals
from luigi_traffic_its_openapi.dataset import ItsOpenApi
from luigi_traffic_its_openapi.polls import Polls


def its_openapi_collect(
    every: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="SECONDS",
            help="Poll at each multiple of this many seconds, until SIGTERM or Ctrl-C",
        ),
    ] = None,
) -> None:
    """Get the current speeds from the ITS OpenAPI and keep them for the dataset its_openapi.

    It polls once, or runs as a service with --every. The key comes from the environment variable
    LUIGI_TRAFFIC__DATASETS__ITS_OPENAPI__API_KEY, the areas and the folder from the settings.

    \b
    luigi-traffic its-openapi-collect
    luigi-traffic its-openapi-collect --every 300
    """
    settings = installed_dataset(ItsOpenApi.name).settings
    api = service(settings)
    polls = Polls(settings.polls_folder)
    with polls.claimed(), stop_on_signals() as stop:
        collector = Collector(api, settings, polls, ItsOpenApi.now, stop)
        if every is None:
            typer.echo(collector.poll())
        else:
            collector.run(every)
