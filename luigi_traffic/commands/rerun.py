"""`luigi-traffic rerun`: make a stage of a day again, though it is done."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from luigi_traffic.api.stages import STAGES, made_from
from luigi_traffic.commands import backfill, invalidate, status
from luigi_traffic.commands.output import Row, short, table, text
from luigi_traffic.errors import DataError, did_you_mean
from luigi_traffic.processes.luigi_run import LuigiRun
from luigi_traffic.project import Project

if TYPE_CHECKING:
    from rich.console import Console

REASON = "made again by luigi-traffic rerun"


@dataclass(frozen=True)
class Request:
    """What to make again: a stage of a day, with `downstream` all that is made of it up to gold."""

    stage: str
    dataset: str
    day: date
    downstream: bool = False

    def __post_init__(self) -> None:
        if self.stage not in STAGES:
            raise DataError(
                f"{self.stage!r} is not a stage of a day.{did_you_mean(self.stage, STAGES)} To "
                "make a forecast or a model again: luigi-traffic invalidate --help"
            )

    @property
    def stages(self) -> tuple[str, ...]:
        """Those to be made again, in their order."""
        if not self.downstream:
            return (self.stage,)
        return tuple(stage for stage in STAGES if self.stage in made_from(stage))


def rows(project: Project, request: Request) -> list[Row]:
    """A row for each stage that is there and would be made again, as `status` has it.

    Raises `DataError` if nothing of the stage itself is committed: then any run makes it.
    """
    project.plugins.dataset(request.dataset)
    wanted = status.Range(first=request.day, last=request.day)
    found = [
        row
        for row in status.rows(project, request.dataset, wanted)
        if row["kind"] == "partition" and row["stage"] in request.stages
        and row["state"] in (status.DONE, status.STALE)
    ]  # fmt: skip
    if request.stage not in {row["stage"] for row in found}:
        raise DataError(
            f"{request.stage} of {request.dataset} {request.day} is not there, so there is nothing "
            f"to make again. Make it: luigi-traffic backfill --dataset {request.dataset} "
            f"--from {request.day} --to {request.day}"
        )
    return found


def run(
    project: Project,
    request: Request,
    found: Sequence[Row],
    luigi_arguments: Sequence[str] = (),
    start: Callable[[list[str]], LuigiRun] = LuigiRun,
) -> bool:
    """Let what was found count as missing, the last stage first, and make it; whether it is done.

    Readers see what was there until it is replaced. What a run that fails leaves is missing, and
    the next run makes it.
    """
    day = request.day
    for row in reversed(found):
        invalidate.invalidate(project, row["stage"], request.dataset, day.isoformat(), REASON)
    look = backfill.look(project, request.dataset, day, day, request.stages[-1])
    runs = backfill.Backfill(look, luigi_arguments=luigi_arguments, run=start)
    left, ended = runs.work(look())
    return ended and not left.to_do


def draw(rows: Sequence[Row], console: Console, *, dry_run: bool) -> None:
    """A table of what is made again, and what is not."""
    first = rows[0]
    title = f"{first['dataset']} {first['day']}, {'to be made' if dry_run else 'made'} again"
    figures = ("rows", "seconds")
    shown = table("stage", "state", *figures, "partition", right=figures, title=title)
    for row in rows:
        seconds = "" if row["seconds"] is None else f"{row['seconds']:.1f}"
        count = "" if row["rows"] is None else short(row["rows"])
        cells = (row["stage"], row["state"], count, seconds, (row["partition_id"] or "")[:12])
        shown.add_row(*(text(cell) for cell in cells))
    console.print(shown)
    console.print(
        text(
            "Models and forecasts stay as they are: luigi-traffic lineage --made-from "
            f"{first['day']} --dataset {first['dataset']}"
        )
    )
