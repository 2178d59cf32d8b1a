"""Commands that keep a home sound: what is damaged, changed or left over, and backups."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from luigi_traffic.cli.groups import Dataset, FirstDay, Json, LastDay, app, day, warehouse_app


@app.command()
def gc(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="only say what would go")] = False,
    older_than: Annotated[str, typer.Option(help="untouched for that long: 12h, 1d, 2w")] = "1d",
    as_json: Json = False,
) -> None:
    """Remove what attempts that nobody committed have left behind.

    Choose an age above the longest run: what a live one is writing is not committed either.

    \b
    luigi-traffic gc --dry-run
    luigi-traffic gc --older-than 1w
    """
    from luigi_traffic.commands import garbage
    from luigi_traffic.commands.duration import duration
    from luigi_traffic.commands.output import show

    rows = garbage.rows(duration(older_than, "--older-than", zero=True), dry_run)
    show(rows, as_json, partial(garbage.draw, dry_run=dry_run))


@app.command()
def recheck(
    dataset: Dataset = None,
    first: FirstDay = None,
    last: LastDay = None,
    as_json: Json = False,
) -> None:
    """Has the source changed days that were fetched already? Changed ones are fetched again.

    The source is asked what it says of a day (HEAD, or the size and time of a file); only if that
    differs, the day is read. Exit code 1: a day could not be asked for.

    \b
    luigi-traffic recheck --dataset its
    luigi-traffic recheck --dataset its --from 2024-05-01 --to 2024-05-31
    """
    from luigi_traffic.commands import recheck
    from luigi_traffic.commands.output import show

    found = recheck.rows(dataset, day(first), day(last))
    show(found, as_json, recheck.draw)
    if any(row["outcome"] == recheck.FAILED for row in found):
        raise typer.Exit(1)


@app.command()
def verify(
    dataset: Dataset = None,
    deep: Annotated[
        bool, typer.Option("--deep", help="also compare the hashes of all files, rows and models")
    ] = False,
    mark: Annotated[
        bool,
        typer.Option("--mark", help="let what is damaged count as missing: the next run makes it"),
    ] = False,
    as_json: Json = False,
) -> None:
    """Is everything there as it was committed? Exit code 1: something is damaged, and named.

    \b
    luigi-traffic verify                  sizes of files, numbers of rows, presence of models
    luigi-traffic verify --deep           every byte and row, which takes time
    luigi-traffic verify --mark           and have it made anew by the next run
    """
    from luigi_traffic.commands import verify
    from luigi_traffic.commands.output import show

    found = verify.verify(dataset, deep=deep, mark=mark)
    show(found.rows, as_json, lambda _, console: verify.draw(found, console))
    if found.rows:
        raise typer.Exit(1)


@app.command()
def invalidate(
    stage: Annotated[
        str, typer.Argument(help="raw, announce, bronze, silver, gold, forecast or model")
    ],
    dataset: Annotated[str, typer.Argument(help="name of the dataset")],
    part: Annotated[
        str,
        typer.Argument(help="a day; of a forecast day/model; of a model its partition id"),
    ],
    reason: Annotated[str, typer.Option(help="kept beside the mark")] = "invalidated by hand",
    as_json: Json = False,
) -> None:
    """Let a partition count as missing, so that the next run that needs it makes it anew.

    Nothing is removed. To have a day fetched again from its source, invalidate its raw.

    \b
    luigi-traffic invalidate raw its 2024-05-31
    luigi-traffic invalidate forecast its 2024-05-31/stid
    """
    from luigi_traffic.commands import invalidate
    from luigi_traffic.commands.output import show

    row = invalidate.invalidate(stage, dataset, part, reason)
    show([row], as_json, lambda rows, console: invalidate.draw(rows[0], console))


@warehouse_app.command("dump")
def warehouse_dump(file: Annotated[Path, typer.Argument(help="new file")]) -> None:
    """Write all that the embedded warehouse holds to a file, also while pipelines run.

    \b
    luigi-traffic warehouse dump warehouse.dump
    """
    from luigi_traffic.commands import warehouse_dump as dumps

    typer.echo(dumps.dump(file))


@warehouse_app.command("restore")
def warehouse_restore(
    file: Annotated[Path, typer.Argument(help="what `warehouse dump` has written")],
) -> None:
    """Fill an empty embedded warehouse from a dump, also from one of an older PostgreSQL.

    \b
    luigi-traffic warehouse restore warehouse.dump
    """
    from luigi_traffic.commands import warehouse_dump as dumps

    typer.echo(dumps.restore(file))
