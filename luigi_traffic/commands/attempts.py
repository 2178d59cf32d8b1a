"""`luigi-traffic attempts`: every try of a stage, how it ended, and what it said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import TYPE_CHECKING

from luigi_traffic.commands.invalidate import KNOWN
from luigi_traffic.commands.output import Row, short, table, text
from luigi_traffic.commands.warehouse import existing_reader
from luigi_traffic.errors import DataError, SettingsError, did_you_mean
from luigi_traffic.project import Project
from luigi_traffic.warehouse import attempts
from luigi_traffic.warehouse.attempts import DONE, OUTCOMES

if TYPE_CHECKING:
    from rich.console import Console

_STYLES = {DONE: "green", attempts.RUNNING: "cyan"}


@dataclass(frozen=True)
class Wanted:
    """Which attempts: None is any. `failed`: those that are not done and not at work."""

    dataset: str | None = None
    stage: str | None = None
    first: date | None = None
    last: date | None = None
    failed: bool = False
    limit: int = 20


def rows(project: Project, wanted: Wanted) -> list[Row]:
    """A row an attempt, the newest first, with the columns of `meta.attempts`, and `seconds`.

    Raises `SettingsError` for a range that is none, `DataError` for a stage that is none, and
    `PluginError` for an unknown dataset.
    """
    if wanted.stage is not None and wanted.stage not in KNOWN:
        raise DataError(f"there is no stage {wanted.stage!r}.{did_you_mean(wanted.stage, KNOWN)}")
    if wanted.dataset:
        project.plugins.dataset(wanted.dataset)
    if wanted.first and wanted.last and wanted.first > wanted.last:
        raise SettingsError(f"--from {wanted.first} is after --to {wanted.last}")
    outcomes = [attempts.FAILED, attempts.STOPPED, attempts.LOST] if wanted.failed else OUTCOMES
    with existing_reader(project).connect() as connection:
        found = attempts.find(
            connection, wanted.dataset, wanted.stage, wanted.first, wanted.last, outcomes,
            wanted.limit,
        )  # fmt: skip
    return [asdict(one) | {"seconds": one.seconds} for one in found]


def draw(rows: Sequence[Row], console: Console) -> None:
    """A table, and below it what those said that are not done."""
    if not rows:
        console.print("There is no such attempt.")
        return
    figures = ("no.", "seconds", "rows")
    shown = table("no.", "stage", "dataset", "day", "began (UTC)", "outcome", "seconds", "rows",
                  "host, process", right=figures)  # fmt: skip
    for row in rows:
        outcome = row["outcome"]
        shown.add_row(
            text(row["id"]), text(row["stage"]), text(row["dataset"]), text(row["part"]),
            text(f"{row['began_at']:%Y-%m-%d %H:%M:%S}"),
            text(outcome, _STYLES.get(outcome, "red")),
            text("" if row["seconds"] is None else f"{row['seconds']:.1f}"),
            text("" if row["rows"] is None else short(row["rows"])),
            text(f"{row['host']}, {row['pid']}"),
        )  # fmt: skip
    console.print(shown)
    for row in rows:
        if row["outcome"] not in (DONE, attempts.RUNNING):
            said = row["message"] or attempts.SILENT
            console.print(text(f"{row['id']} {row['stage']} {row['part']}: {said}"), soft_wrap=True)
