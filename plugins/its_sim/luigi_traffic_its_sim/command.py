"""`luigi-traffic simulate`: ITS-format archives of a made-up town, and how to read them."""

from __future__ import annotations

import json
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import quote

import typer

from luigi_traffic import SettingsError
from luigi_traffic_its_sim.settings import ARCHIVE, MOST_LINKS, ItsSimSettings

if TYPE_CHECKING:
    from luigi_traffic_its_sim.files import Simulated

#: Beside the archives: what they were made with, so that two towns never mix in a folder.
RECIPE_FILE = "simulation.json"


def simulate(
    links: Annotated[
        int,
        typer.Option(
            help="Number of directed links, 2 or more. Up to 14,000 are one town; more are a "
            "country of many towns, for example 600000 for a national day"
        ),
    ] = 40,
    days: Annotated[int, typer.Option(help="Number of days, 1 or more")] = 7,
    start: Annotated[str, typer.Option(help="First day, as YYYY-MM-DD")] = "2024-01-01",
    seed: Annotated[
        int, typer.Option(help="Random seed, 0 or more; another seed gives another town")
    ] = 0,
    every_slot: Annotated[
        bool,
        typer.Option(
            "--every-slot",
            help="Write all 288 slots of a day; otherwise slots are missing as in the real source",
        ),
    ] = False,
    out: Annotated[Path, typer.Option(help="Folder to write to")] = Path("its_sim"),
) -> None:
    """Write simulated ITS archives and their node-link CSV to a folder.

    Days of the same town that are already there are kept. At the end the command prints the
    settings with which the dataset `its` reads them.
    """
    first = _first_day(links, days, start, seed)
    from luigi_traffic_its_sim.country import simulated
    from luigi_traffic_its_sim.files import require_space

    place = simulated(ItsSimSettings(links_count=links, seed=seed, missing_slots=not every_slot))
    folder = out.expanduser().absolute()
    dates = [first + timedelta(days=n) for n in range(days)]
    try:
        _claim(folder, place)
        absent = [day for day in dates if not place.day_path(folder, day).exists()]
        require_space(folder, sum(map(place.day_bytes, absent)))
        node_links = place.write_node_links(folder)
        _write_days(place, folder, dates)
    except OSError as e:
        raise SettingsError(f"--out {folder} cannot be written: {e.strerror}") from e
    # Braces of the folder's own name would be taken for placeholders: quote() escapes them.
    template = f"file://{quote(str(folder))}/{ARCHIVE}"
    typer.echo(f"{days} days of {links} links, {first} to {dates[-1]}, are in {folder}\n")
    typer.echo(_how_to_read(template, node_links))


def _first_day(links: int, days: int, start: str, seed: int) -> date:
    for option, value, least in (("links", links, 2), ("days", days, 1), ("seed", seed, 0)):
        if value < least:
            raise SettingsError(f"--{option} {value}: expected {least} or more")
    if links > MOST_LINKS:
        raise SettingsError(f"--links {links}: expected {MOST_LINKS} or fewer")
    try:
        first = date.fromisoformat(start)
        first + timedelta(days=days)
    except (ValueError, OverflowError) as e:
        raise SettingsError(
            f"--start {start!r}: expected a day like 2024-01-01 that leaves room for {days} days"
        ) from e
    return first


def _claim(folder: Path, place: Simulated) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    marker = folder / RECIPE_FILE
    wanted = place.settings.recipe()
    if not marker.exists():
        marker.write_text(json.dumps(wanted, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        return
    try:
        found = json.loads(marker.read_text(encoding="utf-8"))
    except ValueError:
        found = None
    if found != wanted:
        raise SettingsError(
            f"--out {folder} holds days of another town ({marker.name} says which). Name another "
            "folder, or empty this one"
        )


def _write_days(place: Simulated, folder: Path, days: list[date]) -> None:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn
    from rich.progress import TimeRemainingColumn as Remaining

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("of {task.total} days"),
        Remaining(),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        bar = progress.add_task("simulating", total=len(days))
        for done, day in enumerate(days):
            progress.update(bar, description=f"simulating {day}", completed=done)

            def report(share: float, done: int = done) -> None:
                progress.update(bar, completed=done + share)

            place.write_day(folder, day, report)
        progress.update(bar, completed=len(days))


def _how_to_read(template: str, node_links: Path) -> str:
    prefix = "LUIGI_TRAFFIC__DATASETS__ITS__"
    # JSON strings are YAML strings, whatever the path contains.
    return f"""\
To let the dataset its read them, put these lines into conf/datasets/its.yml

url_template: {json.dumps(template)}
node_link_csv: {json.dumps(str(node_links))}
links: []

or set these environment variables

export {prefix}URL_TEMPLATE={_shell(template)}
export {prefix}NODE_LINK_CSV={_shell(str(node_links))}
export {prefix}LINKS='[]'"""


def _shell(text: str) -> str:
    import shlex

    return shlex.quote(text)
