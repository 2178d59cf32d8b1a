"""`luigi-traffic …`: looks at a home and its parts, starts and stops its services.

Only names, options and help stand in this package; what a command does is in
`luigi_traffic.commands`, imported when it runs. `groups` has the groups of commands, and the other
modules add to them.
"""

from __future__ import annotations

import sys

import typer

# In the order in which help shows them.
from luigi_traffic.cli import (  # noqa: F401
    export,
    insight,
    inspection,
    links,
    scaffold,
    serve,
    services,
    upkeep,
)
from luigi_traffic.cli.groups import app
from luigi_traffic.commands import logs
from luigi_traffic.errors import TrafficError, extras_named

__all__ = ["app", "main"]


def main() -> None:
    """The console script: a `TrafficError` is one message on stderr and exit code 1."""
    logs.set_up()
    try:
        with extras_named():
            app()
    except TrafficError as e:
        typer.echo(f"luigi-traffic: {e}", err=True)
        sys.exit(1)
