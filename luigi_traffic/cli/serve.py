"""The command that answers questions over HTTP."""

from __future__ import annotations

from typing import Annotated

import typer

from luigi_traffic.cli.groups import app
from luigi_traffic.project import current


@app.command()
def serve(
    dataset: Annotated[
        str | None, typer.Option(help="Dataset of a question that names none (default: none)")
    ] = None,
    host: Annotated[
        str | None,
        typer.Option(
            help="Address to listen on (default: serve.host, 127.0.0.1); others need serve.token"
        ),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(min=0, max=65535, help="Port (default: serve.port, 8800); 0: a free one"),
    ] = None,
) -> None:
    """Answer questions about links, speeds and forecasts over HTTP, until SIGTERM or Ctrl-C.

    It reads the warehouse as a role that may do nothing else, and prints its address.

    \b
    luigi-traffic serve --dataset its
    luigi-traffic serve --port 0
    curl 'http://127.0.0.1:8800/forecast?dataset=its&minutes=15'
    """
    from luigi_traffic.commands.serve import command

    command.serve(current(), command.Options(dataset, host, port))
