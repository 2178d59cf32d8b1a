"""Commands that keep a home sound: what is damaged, changed or left over, and backups."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from luigi_traffic.cli.groups import Dataset, FirstDay, Json, LastDay, app, day, warehouse_app
from luigi_traffic.project import current


@app.command()
def gc(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only show what would be removed")
    ] = False,
    older_than: Annotated[
        str,
        typer.Option(
            help="Remove only what was untouched for this long, for example 12h, 1d or 2w"
        ),
    ] = "1d",
    as_json: Json = False,
) -> None:
    """Remove what uncommitted attempts have left behind.

    Choose an age greater than the longest run: what a running one writes is not committed yet.

    \b
    luigi-traffic gc --dry-run
    luigi-traffic gc --older-than 1w
    """
    from luigi_traffic.commands import garbage
    from luigi_traffic.commands.duration import duration
    from luigi_traffic.commands.output import show

    rows = garbage.rows(current(), duration(older_than, "--older-than", zero=True), dry_run)
    show(rows, as_json, partial(garbage.draw, dry_run=dry_run))


@app.command()
def recheck(
    dataset: Dataset = None,
    first: FirstDay = None,
    last: LastDay = None,
    as_json: Json = False,
) -> None:
    """Fetch again the days that the source has changed since they were fetched.

    The source is first asked about a day (HEAD, or the size and time of a file); the day is read
    only if the answer differs. Exit code 1 if the source could not be asked for a day.

    \b
    luigi-traffic recheck --dataset its
    luigi-traffic recheck --dataset its --from 2024-05-01 --to 2024-05-31
    """
    from luigi_traffic.commands import recheck
    from luigi_traffic.commands.output import show

    found = recheck.rows(current(), dataset, day(first), day(last))
    show(found, as_json, recheck.draw)
    if any(row["outcome"] == recheck.FAILED for row in found):
        raise typer.Exit(1)


@app.command()
def backfill(
    first: Annotated[
        datetime,
        typer.Option("--from", formats=["%Y-%m-%d"], metavar="YYYY-MM-DD", help="First day"),
    ],
    last: LastDay = None,
    dataset: Dataset = None,
    upto: Annotated[
        str, typer.Option(help="The last stage to make: raw, announce, bronze, silver or gold")
    ] = "gold",
    order: Annotated[str, typer.Option(help="Days to begin with: oldest or newest")] = "oldest",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only show what would be made, and why")
    ] = False,
    parallel: Annotated[int, typer.Option(help="Number of days that are made at once")] = 1,
    max_failures: Annotated[
        int | None, typer.Option(help="Stop if more days than this have failed (default: never)")
    ] = None,
    as_json: Json = False,
    luigi_arguments: Annotated[
        list[str] | None, typer.Argument(metavar="[-- ARGUMENTS]", help="Arguments passed to Luigi")
    ] = None,
) -> None:
    """Make the days of a range that are missing or stale.

    It runs Luigi for a month of days at a time. Run it again to go on with what is left. Exit code
    1 if something of the range is still open at the end.

    \b
    luigi-traffic backfill --dataset its --from 2023-01-01 --to 2023-12-31 --dry-run
    luigi-traffic backfill --dataset its --from 2023-01-01 -- --local-scheduler
    """
    from luigi_traffic.commands import backfill
    from luigi_traffic.commands.output import show

    look = backfill.look(current(), dataset, first.date(), day(last), upto)
    runs = backfill.Backfill(look, order, parallel, max_failures, luigi_arguments or ())
    known = look()
    ended = True
    if not dry_run and known.to_do:
        known, ended = runs.work(known)
    draw = partial(backfill.draw, known, done=not dry_run)
    show(backfill.rows(known), as_json, lambda _, console: draw(console))
    if not dry_run and (known.to_do or not ended):
        raise typer.Exit(1)


@app.command()
def rerun(
    stage: Annotated[str, typer.Argument(help="raw, announce, bronze, silver or gold")],
    date: Annotated[
        datetime, typer.Option("--date", formats=["%Y-%m-%d"], metavar="YYYY-MM-DD", help="Day")
    ],
    dataset: Dataset = None,
    downstream: Annotated[
        bool, typer.Option("--downstream", help="Also all that is made of it, up to gold")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only show what would be made again")
    ] = False,
    as_json: Json = False,
    luigi_arguments: Annotated[
        list[str] | None, typer.Argument(metavar="[-- ARGUMENTS]", help="Arguments passed to Luigi")
    ] = None,
) -> None:
    """Make a stage of a day again, though it is done. Exit code 1 if it is not done at the end.

    \b
    luigi-traffic rerun bronze --dataset its --date 2024-05-31 --downstream --dry-run
    luigi-traffic rerun raw --dataset its --date 2024-05-31 -- --local-scheduler
    """
    from luigi_traffic.commands import rerun
    from luigi_traffic.commands.output import show

    project = current()
    name = dataset or project.settings.pipeline.dataset
    request = rerun.Request(stage, name, date.date(), downstream)
    rows = rerun.rows(project, request)
    done = dry_run or rerun.run(project, request, rows, luigi_arguments or ())
    show(rows, as_json, partial(rerun.draw, dry_run=dry_run))
    if not done:
        raise typer.Exit(1)


@app.command()
def verify(
    dataset: Dataset = None,
    deep: Annotated[
        bool, typer.Option("--deep", help="Also compare the hashes of all files, rows and models")
    ] = False,
    mark: Annotated[
        bool,
        typer.Option(
            "--mark",
            help="Mark damaged partitions as missing, so that the next run makes them again",
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Check that everything is as it was committed. Exit code 1 if something is damaged.

    \b
    luigi-traffic verify                  sizes of files, numbers of rows, presence of models
    luigi-traffic verify --deep           every byte and row, which takes time
    luigi-traffic verify --mark           and let the next run make it again
    """
    from luigi_traffic.commands import verify
    from luigi_traffic.commands.output import show

    found = verify.verify(current(), dataset, deep=deep, mark=mark)
    show(found.rows, as_json, lambda _, console: verify.draw(found, console))
    if found.rows:
        raise typer.Exit(1)


@app.command()
def invalidate(
    stage: Annotated[
        str,
        typer.Argument(
            help="Stage: raw, announce, bronze, silver, gold, forecast, evaluation, drift, "
            "insight, retraining or model"
        ),
    ],
    dataset: Annotated[str, typer.Argument(help="Name of the dataset")],
    part: Annotated[
        str,
        typer.Argument(
            help="A day; for a forecast, day/model:version; for an evaluation or a drift, "
            "day/measure; for a model, its partition id"
        ),
    ],
    reason: Annotated[
        str, typer.Option(help="Reason, which is kept with the mark")
    ] = "invalidated by hand",
    as_json: Json = False,
) -> None:
    """Mark a partition as missing, so that the next run that needs it makes it again.

    Nothing is removed. To have a day fetched again from its source, invalidate its raw partition.

    \b
    luigi-traffic invalidate raw its 2024-05-31
    luigi-traffic invalidate forecast its 2024-05-31/stid:7
    """
    from luigi_traffic.commands import invalidate
    from luigi_traffic.commands.output import show

    row = invalidate.invalidate(current(), stage, dataset, part, reason)
    show([row], as_json, lambda rows, console: invalidate.draw(rows[0], console))


@app.command()
def promote(
    dataset: Annotated[str, typer.Argument(help="Name of the dataset")],
    version: Annotated[str, typer.Argument(help="Version of its model, as `status` shows it")],
    target: Annotated[
        str, typer.Option(help="Measure that it forecasts; empty: the dataset's own")
    ] = "",
    reason: Annotated[
        str, typer.Option(help="Reason, which is kept with the version in MLflow")
    ] = "no reason given",
    as_json: Json = False,
) -> None:
    """Let a version of a model forecast from now on, also one that did not become champion itself.

    New models are compared with it. `luigi-traffic rollback` takes it back.

    \b
    luigi-traffic promote its 7
    luigi-traffic promote its 6 --reason "version 7 is wrong on bridges"
    """
    from luigi_traffic.commands import promote
    from luigi_traffic.commands.output import show

    row = promote.promote(current(), dataset, version, target, reason)
    show([row], as_json, lambda rows, console: promote.draw(rows[0], console))


@app.command()
def rollback(
    dataset: Annotated[str, typer.Argument(help="Name of the dataset")],
    target: Annotated[
        str, typer.Option(help="Measure that it forecasts; empty: the dataset's own")
    ] = "",
    reason: Annotated[
        str, typer.Option(help="Reason, which is kept in the history of the champions")
    ] = "no reason given",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only show which version would be champion")
    ] = False,
    as_json: Json = False,
) -> None:
    """Let the version forecast that was champion before the present one.

    Run again, it goes further back, to the champion before that one.

    \b
    luigi-traffic rollback its --dry-run
    luigi-traffic rollback its --reason "version 7 is wrong on bridges"
    """
    from luigi_traffic.commands import rollback
    from luigi_traffic.commands.output import show

    row = rollback.rollback(current(), dataset, target, reason, dry_run)
    show([row], as_json, lambda rows, console: rollback.draw(rows[0], console))


@warehouse_app.command("dump")
def warehouse_dump(
    file: Annotated[Path, typer.Argument(help="File to write, which must not exist yet")],
) -> None:
    """Write everything in the embedded warehouse to a file, also while pipelines run.

    \b
    luigi-traffic warehouse dump warehouse.dump
    """
    from luigi_traffic.commands import warehouse_dump as dumps

    typer.echo(dumps.dump(current(), file))


@warehouse_app.command("restore")
def warehouse_restore(
    file: Annotated[Path, typer.Argument(help="File written by `warehouse dump`")],
) -> None:
    """Fill an empty embedded warehouse from a dump, also if it is of an older PostgreSQL.

    \b
    luigi-traffic warehouse restore warehouse.dump
    """
    from luigi_traffic.commands import warehouse_dump as dumps

    typer.echo(dumps.restore(current(), file))
