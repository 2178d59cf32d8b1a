"""What a backfill would do: which stages of which days, and why, from one look at the home."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date as Date
from datetime import timedelta
from itertools import groupby
from statistics import median

from luigi_traffic.api.settled import last_settled_day
from luigi_traffic.api.stages import STAGES, made_from
from luigi_traffic.commands import status
from luigi_traffic.commands.output import Row
from luigi_traffic.errors import SettingsError
from luigi_traffic.project import Project

TOO_YOUNG = "too young"
#: Of what is missing though it was tried: `luigi-traffic attempts` has the messages.
TRIED = "the last attempt failed"
#: Of what is made of a raw that is fetched again.
_IF_OTHER = "made again if the source has changed the day"


@dataclass(frozen=True)
class Cell:
    """A stage of a day that is not as it is called for.

    state   missing, stale or absent, as `luigi-traffic status` has it, or too young: the day is
            not over and settled, and nothing is asked for
    reason  why, if there is more to say
    """

    day: Date
    stage: str
    state: str
    reason: str | None = None


@dataclass(frozen=True)
class Plan:
    """The days of a range, oldest first, and what a run would make.

    seconds  what a stage of a day has taken, the median of the days that are done; stages of which
             no day is done are left out
    """

    dataset: str
    upto: str
    days: list[Date]
    cells: list[Cell]
    seconds: Mapping[str, float] = field(default_factory=dict)

    @property
    def to_do(self) -> list[Cell]:
        """What a run works on."""
        return [cell for cell in self.cells if cell.state != TOO_YOUNG]

    @property
    def open_days(self) -> list[Date]:
        """The days of `to_do`, oldest first."""
        return sorted({cell.day for cell in self.to_do})

    def estimate(self) -> timedelta | None:
        """How long one worker would take; None if a stage has never been done."""
        stages = [cell.stage for cell in self.to_do]
        if not set(stages) <= self.seconds.keys():
            return None
        return timedelta(seconds=sum(self.seconds[stage] for stage in stages))


def plan(project: Project, dataset: str | None, first: Date, last: Date | None, upto: str) -> Plan:
    """Look at each day of the range once: one listing and one query a stage.

    Without `last`: up to the newest day that may be asked for. Raises `SettingsError` for a range
    that is none and an unknown stage, `TrafficError` for an unknown dataset.
    """
    if upto not in STAGES:
        raise SettingsError(
            f"--upto {upto}: expected one of {', '.join(STAGES)}. To forecast or score days, run "
            "Luigi's RangeDaily --of Forecast or --of Evaluate"
        )
    plugin = project.plugins.dataset(dataset or project.settings.pipeline.dataset)
    newest = last_settled_day(plugin)
    end = last or newest
    if first > end:
        until = f"--to {end}" if last else f"{end}, the newest day that may be asked for"
        raise SettingsError(f"--from {first} is after {until}")
    days = [first + timedelta(days=n) for n in range((end - first).days + 1)]
    found = status.rows(project, plugin.name, status.Range(first=first, last=end))
    rows = [row for row in found if row["kind"] == "partition"]
    of_day = {day: list(group) for day, group in groupby(rows, key=lambda row: row["day"])}
    cells = []
    for day in days:
        if day > newest:
            cells.append(Cell(day, upto, TOO_YOUNG))
        else:
            cells += _open(day, of_day.get(day, ()), upto)
    return Plan(plugin.name, upto, days, cells, _seconds(rows))


def _open(day: Date, rows: Iterable[Row], upto: str) -> list[Cell]:
    """What Luigi would run: it looks at what a stage is made from only if the stage is open."""
    of_stage = {row["stage"]: row for row in rows}
    wanted: set[str] = set()
    for end in (upto,) if upto == "raw" else (upto, "announce"):
        for stage in made_from(end):
            if stage in of_stage and of_stage[stage]["complete"]:
                break
            wanted.add(stage)
    found = []
    for stage in (stage for stage in STAGES if stage in wanted):
        row = of_stage.get(stage, {"state": status.MISSING, "reason": None, "attempt": None})
        reason = row["reason"] and str(row["reason"]).partition("; expected is")[0]
        if row["state"] == status.MISSING:  # each message would be a line of its own
            reason = TRIED if row["attempt"] else None
        if "raw" in wanted and stage != "raw" and row["state"] == status.STALE:
            reason = _IF_OTHER
        found.append(Cell(day, stage, row["state"], reason))
    return found


def _seconds(rows: Iterable[Row]) -> dict[str, float]:
    taken: dict[str, list[float]] = {"announce": [0.0]}  # an event, no work
    for row in rows:
        if row["state"] == status.DONE and row["seconds"]:
            taken.setdefault(row["stage"], []).append(row["seconds"])
    return {stage: median(values) for stage, values in taken.items()}
