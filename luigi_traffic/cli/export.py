"""`luigi-traffic export`: what other tools read."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from luigi_traffic.cli.groups import FirstDay, Json, LastDay, app, day
from luigi_traffic.project import current


@app.command()
def export(
    dataset: Annotated[str, typer.Argument(help="Name of a dataset plugin")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder to write to")],
    what: Annotated[
        str, typer.Option(help="gold, forecast (the published ones) or links")
    ] = "gold",
    first: FirstDay = None,
    last: LastDay = None,
    as_json: Json = False,
) -> None:
    """Write days of gold or of published forecasts, or the links, as Parquet files.

    A file is written whole or not at all; one that was made of the same partition stays.

    \b
    luigi-traffic export its --out export --from 2024-05-01 --to 2024-05-31
    luigi-traffic export its --out export --what forecast
    luigi-traffic export its --out export --what links      GeoParquet
    """
    from luigi_traffic.commands.export import command
    from luigi_traffic.commands.output import show

    request = command.Request(dataset, what, out, day(first), day(last))
    show(command.run(current(), request), as_json, command.draw)
