"""`luigi-traffic simulate`: ITS-format archives of a made-up town, and how to read them."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import Annotated
from urllib.parse import quote

import typer

from luigi_traffic import SettingsError


def simulate(
    links: Annotated[int, typer.Option(help="directed links of the town, 2 or more")] = 40,
    days: Annotated[int, typer.Option(help="days, 1 or more")] = 7,
    start: Annotated[str, typer.Option(help="first day, YYYY-MM-DD")] = "2024-01-01",
    seed: Annotated[int, typer.Option(help="another seed, another town; 0 or more")] = 0,
    out: Annotated[Path, typer.Option(help="folder that the files are written into")] = Path("its_sim"),
) -> None:
    """Write simulated ITS archives and their node-link CSV into a folder.

    Days that lie there already are kept where they are of the same town. At the end it prints
    the settings with which the dataset `its` reads them.
    """
    first = _first_day(links, days, start, seed)
    from luigi_traffic_its_sim.files import ARCHIVE, NODE_LINKS, Town
    from luigi_traffic_its_sim.settings import ItsSimSettings

    town = Town(ItsSimSettings(links_count=links, seed=seed))
    folder = out.expanduser().absolute()
    try:
        _same_town(folder / NODE_LINKS, town.write_node_links)
        _write_days(town, folder, first, days)
    except OSError as e:
        raise SettingsError(f"--out {folder}: cannot write there: {e.strerror}") from e
    last = first + timedelta(days=days - 1)
    template = "file://" + quote(str(folder)) + "/" + ARCHIVE
    typer.echo(_told(folder, links, first, last, template, folder / NODE_LINKS))
