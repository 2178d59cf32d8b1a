"""Commands for the links of the roads: import them, show what there is, write them to a file."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from luigi_traffic.cli.groups import Json, day, links_app
from luigi_traffic.project import current

Of = Annotated[str, typer.Option(help="Name of a dataset plugin")]


@links_app.command("import")
def links_import(
    dataset: Of,
    file: Annotated[
        Path | None,
        typer.Argument(
            metavar="FILE",
            help="A shapefile (.shp) or GeoJSON; none: the links that the dataset itself knows",
        ),
    ] = None,
    valid_from: Annotated[
        datetime | None,
        typer.Option(
            formats=["%Y-%m-%d"], metavar="YYYY-MM-DD",
            help="First day on which they are valid; may be left out without FILE",
        ),
    ] = None,
    format: Annotated[
        str | None, typer.Option(help="shapefile or geojson (default: by the name of the file)")
    ] = None,
    encoding: Annotated[
        str | None,
        typer.Option(help="Encoding of a shapefile (default: as its .cpg says, else CP949)"),
    ] = None,
    crs: Annotated[
        str | None,
        typer.Option(
            help="Coordinate system of a shapefile, such as EPSG:5186 (default: as its .prj says)"
        ),
    ] = None,
    only_known: Annotated[
        bool,
        typer.Option("--only-known", help="Leave out links that the newest days of gold lack"),
    ] = False,
) -> None:  # fmt: skip
    """Import a version of the links: names, lengths, limits, nodes and geometry.

    It is valid until the next version begins. The same import again changes nothing.

    \b
    luigi-traffic links import MOCT_LINK.shp --dataset its --valid-from 2024-01-01
    luigi-traffic links import --dataset its_sim
    """
    from luigi_traffic.commands.links import imports
    from luigi_traffic.commands.links.link_file import LinkFile

    if file is None and (format or encoding or crs):
        raise typer.BadParameter("--format, --encoding and --crs say how FILE is read: give FILE")
    given = None if file is None else LinkFile(file, format, encoding, crs)
    request = imports.Request(dataset, given, day(valid_from), only_known)
    typer.echo(imports.run(current(), request))


@links_app.command("show")
def links_show(
    dataset: Of,
    at: Annotated[
        datetime | None,
        typer.Option(
            formats=["%Y-%m-%d"], metavar="YYYY-MM-DD",
            help="Only the version that is valid on this day",
        ),
    ] = None,
    as_json: Json = False,
) -> None:  # fmt: skip
    """Show the versions, and of how many links of gold they have the geometry.

    \b
    luigi-traffic links show --dataset its
    """
    from luigi_traffic.commands.links import versions
    from luigi_traffic.commands.output import show

    rows = versions.rows(current(), dataset, day(at))
    show(rows, as_json, partial(versions.draw, dataset))


@links_app.command("export")
def links_export(
    dataset: Of,
    at: Annotated[
        datetime,
        typer.Option(
            formats=["%Y-%m-%d"], metavar="YYYY-MM-DD", help="Day on which the links are valid"
        ),
    ],
    out: Annotated[Path, typer.Option(metavar="FILE", help="File to write, GeoJSON")],
) -> None:
    """Write the links that are valid on a day as GeoJSON.

    \b
    luigi-traffic links export --dataset its --at 2024-05-31 --out its.geojson
    """
    from luigi_traffic.commands.links import export

    typer.echo(export.write(current(), dataset, at.date(), out))
