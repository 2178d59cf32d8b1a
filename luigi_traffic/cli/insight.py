"""Commands that show, or write to a file, what `Insight` has computed."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from luigi_traffic.cli.groups import Json, day, insight_app
from luigi_traffic.project import current

Of = Annotated[str, typer.Option(help="Name of a dataset plugin")]
LastDay = Annotated[
    datetime | None,
    typer.Option(
        "--date", formats=["%Y-%m-%d"], metavar="YYYY-MM-DD",
        help="Last day of the window (default: the newest)",
    ),
]  # fmt: skip


@insight_app.command("show")
def insight_show(
    dataset: Of,
    date: LastDay = None,
    what: Annotated[
        str, typer.Option(help="What is shown: period, health or bottleneck")
    ] = "period",
    period: Annotated[
        str | None, typer.Option(help="Name of a period (default: all of them)")
    ] = None,
    limit: Annotated[
        int, typer.Option(min=0, help="Largest number of rows, the worst first; 0: all")
    ] = 20,
    html: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write a page with all three to this file"),
    ] = None,
    as_json: Json = False,
) -> None:
    """Show the links with the worst travel times, sensors or bottlenecks.

    \b
    luigi-traffic insight show --dataset its
    luigi-traffic insight show --dataset its --what health
    luigi-traffic insight show --dataset its --html insight.html
    """
    from luigi_traffic.commands import insight
    from luigi_traffic.commands.output import show

    window = insight.Window.of(current(), dataset, day(date))
    if html is not None:
        from luigi_traffic.commands import insight_page

        insight_page.write(window, html, limit or None)
        typer.echo(f"wrote {html}", err=as_json)
        if not as_json:
            return
    rows = insight.rows(window, what, period, limit or None)
    show(rows, as_json, partial(insight.draw, window, what))


@insight_app.command("export")
def insight_export(
    dataset: Of,
    valhalla: Annotated[
        Path, typer.Option(metavar="FILE", help="File for Valhalla's historical speeds, CSV")
    ],
    date: LastDay = None,
) -> None:
    """Write the typical week of each link as Valhalla's historical speeds.

    \b
    luigi-traffic insight export --dataset its --valhalla its.csv
    """
    from luigi_traffic.commands import insight

    window = insight.Window.of(current(), dataset, day(date))
    written, left_out = insight.write_valhalla(window, valhalla)
    typer.echo(f"wrote {valhalla}: {written:,} links")
    if left_out:
        few = ", ".join(left_out[:5]) + (", …" if len(left_out) > 5 else "")
        typer.echo(f"left out, with too little of the week known: {len(left_out):,} ({few})")
