"""`luigi-traffic its-openapi-collect`: keep what the service says, as long as it says it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Annotated, Any

import typer
from pydantic import SecretStr

from luigi_traffic import SettingsError
from luigi_traffic_its_openapi.api import Api
from luigi_traffic_its_openapi.collector import Collector, stop_on_signals
from luigi_traffic_its_openapi.dataset import ItsOpenApi
from luigi_traffic_its_openapi.polls import Polls
from luigi_traffic_its_openapi.settings import KEY_VARIABLE, ItsOpenApiSettings

_SECTION = "datasets.its_openapi."
_SETTINGS = "from luigi_traffic.cli import main; main()"


def its_openapi_collect(
    every: Annotated[
        int | None,
        typer.Option(
            min=1, metavar="SECONDS", help="poll at each multiple of that, until SIGTERM or Ctrl-C"
        ),
    ] = None,
) -> None:
    """Ask the ITS OpenAPI for the speeds of now and keep them for dataset its_openapi.

    One poll and the end, or a service with --every. The key comes from the environment:
    LUIGI_TRAFFIC__DATASETS__ITS_OPENAPI__API_KEY; areas and folder from the settings.

    \b
    luigi-traffic its-openapi-collect
    luigi-traffic its-openapi-collect --every 300
    """
    settings = in_force()
    key = os.environ.get(KEY_VARIABLE, "").strip()
    if not key:
        raise SettingsError(
            f"there is no key for {settings.url}: set {KEY_VARIABLE} (keys are handed out at "
            "www.its.go.kr/opendata; it is a secret and comes from the environment only)"
        )
    api = Api(settings.url, SecretStr(key), settings.timeout)
    polls = Polls(settings.polls_folder)
    with polls.claimed(), stop_on_signals() as stop:
        collector = Collector(api, settings, polls, ItsOpenApi.now, stop)
        if every is None:
            typer.echo(collector.poll())
        else:
            collector.run(every)


def in_force() -> ItsOpenApiSettings:
    """This dataset's settings as `luigi-traffic settings` gives them.

    A dataset is handed its settings, a command is not; so the command line, which is public,
    is asked for all layers with all their checks. The key comes masked and is left out.
    """
    done = subprocess.run(
        [sys.executable, "-c", _SETTINGS, "settings", "--json"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise SettingsError(done.stderr.rpartition("luigi-traffic: ")[2].strip())
    rows: list[dict[str, Any]] = json.loads(done.stdout)
    values = {
        row["key"].removeprefix(_SECTION): row["value"]
        for row in rows
        if row["key"].startswith(_SECTION) and row["value"] is not None
    }
    values.pop("api_key", None)
    return ItsOpenApiSettings.model_validate(values)
