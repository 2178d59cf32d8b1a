"""`luigi-traffic recheck`: has the source changed days that were fetched already?"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from luigi_traffic.api.settled import last_settled_day
from luigi_traffic.commands.output import Row, table, text
from luigi_traffic.commands.warehouse import is_new
from luigi_traffic.errors import SettingsError, TrafficError
from luigi_traffic.project import Project
from luigi_traffic.tasks.raw import Asked, IngestRaw

if TYPE_CHECKING:
    from rich.console import Console

FAILED = "failed"


def rows(project: Project, dataset: str | None, first: date | None, last: date | None) -> list[Row]:
    """Ask the source for each day of the range again that was asked for before: one row a day.

    dataset, day, outcome (a value of `Asked`, or "failed"), reason. A day whose bytes have
    changed is the next generation of raw, and what was made of the old one is stale.

    Without `last`: the newest day that is over and has settled; without `first`: the setting
    `ingest.recheck_days` of days. Raises `SettingsError` for a range that is none. The tasks that
    ask are Luigi's: `project` has to be the one of this process.
    """
    name = project.plugins.dataset(dataset or project.settings.pipeline.dataset).name
    to = last or last_settled_day(project.plugins.dataset(name))
    begin = first or to - timedelta(days=project.settings.ingest.recheck_days - 1)
    if first and begin > to:
        raise SettingsError(f"--from {begin} is after --to {to}")
    if is_new(project):
        return []
    days = [begin + timedelta(days=n) for n in range((to - begin).days + 1)]
    found = [_ask(name, day) for day in days]
    return [row for row in found if row["outcome"] != Asked.NEVER]


def _ask(dataset: str, day: date) -> Row:
    task: Any = IngestRaw
    row: Row = {"dataset": dataset, "day": day, "outcome": FAILED, "reason": None}
    try:
        return row | {"outcome": task(day, dataset=dataset).ask_again().value}
    except TrafficError as e:  # the other days are asked all the same; the exit code says it
        return row | {"reason": str(e)}


def draw(rows: Sequence[Row], console: Console) -> None:
    """A table, and what to do if something has changed."""
    if not rows:
        console.print("no day of that range was fetched before")
        return
    shown = table("day", "outcome", "reason")
    for row in rows:
        shown.add_row(*(text(row[name]) for name in ("day", "outcome", "reason")))
    console.print(shown)
    changed = [row for row in rows if row["outcome"] == Asked.CHANGED]
    if changed:
        console.print(
            f"{len(changed)} changed: what was made from them is stale, and the next run that "
            "needs it makes it again"
        )
