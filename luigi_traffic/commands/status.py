"""`luigi-traffic status`: which days are done at which stage, and why not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from luigi_traffic.api.settled import last_settled_day
from luigi_traffic.api.stages import LAKE_STAGES, STAGES, made_from
from luigi_traffic.commands.live import state
from luigi_traffic.commands.output import Row
from luigi_traffic.commands.status_models import model_rows
from luigi_traffic.commands.trained_model import Trained
from luigi_traffic.commands.warehouse import is_new
from luigi_traffic.errors import SettingsError
from luigi_traffic.project import Project
from luigi_traffic.targets.chain import DayChain
from luigi_traffic.targets.lake import LakePartition
from luigi_traffic.targets.published import of_gold
from luigi_traffic.targets.warehouse import GoldPartition, ledger_view
from luigi_traffic.warehouse.attempts import RUNNING

if TYPE_CHECKING:
    from luigi_traffic.warehouse.attempts import Attempt
    from luigi_traffic.warehouse.ledger import LedgerRow

#: Columns of the table.
SHOWN = (*STAGES, "forecast")
DEFAULT_DAYS = 14
#: Keys of a manifest's quality that hold a note in words.
_NOTES = ("empty", "missing_links", "gaps", "lost")
DONE, ABSENT, STALE, MISSING = "done", "absent", "stale", "missing"
#: Why a stage of a day is missing that no attempt failed at.
NEVER_TRIED = "no run has tried it"
REMOVED = "it was made and is gone: damaged and marked so, or removed"


@dataclass(frozen=True)
class Range:
    """The days asked for; None: as `days_of` chooses."""

    days: int | None = None
    first: date | None = None
    last: date | None = None

    def __post_init__(self) -> None:
        if self.days is not None and self.first is not None and self.last is not None:
            raise SettingsError("use at most two of --days, --from and --to")
        if self.days is not None and self.days < 1:
            raise SettingsError(f"--days {self.days}: expected 1 or more")
        if self.first and self.last and self.first > self.last:
            raise SettingsError(f"--from {self.first} is after --to {self.last}")


def rows(project: Project, dataset: str | None, wanted: Range) -> list[Row]:
    """Rows of `kind` "partition" (a dataset, day and stage), then of `kind` "model", then "live".

    partition: state is done, absent (the source has nothing), stale (another recipe or id
    is committed than today's code, settings and inputs call for) or missing; `complete` is
    what the task's own `complete()` says; `reason` why not; `attempt` the number of the last
    attempt, if it did not end well, and whether it is `running`; rows, seconds, committed_at;
    `coverage`, the share of the expected values, of silver if its dataset says what it expects.

    Without `dataset`: all that have anything. One listing a stage, whatever the days.
    """
    if dataset:
        project.plugins.dataset(dataset)  # an unknown one is told with the nearest name
    if is_new(project):
        return []
    found: list[Row] = []
    with project.catalog.snapshot():
        ledger_view(project).forget()
        for name in [dataset] if dataset else _with_anything(project):
            found += _DatasetStatus(project, name).rows(wanted)
    return found


def not_complete(rows: Iterable[Row]) -> str | None:
    """How many stages of days up to gold are not complete, and the first; None if all are."""
    looked_at = [r for r in rows if r["kind"] == "partition" and r["stage"] in STAGES]
    if not looked_at:
        return "nothing has run yet, so no stage of any day is complete"
    found = [r for r in looked_at if not r["complete"]]
    if not found:
        return None
    days, first = {(r["dataset"], r["day"]) for r in found}, found[0]
    return (
        f"{len(found)} stages of {len(days)} days are not complete. The first: {first['stage']} of "
        f"{first['dataset']} {first['day']}, {first['state']}: {first['reason']}"
    )


def _with_anything(project: Project) -> list[str]:
    known = sorted(project.plugins.datasets)
    return [n for n in known if project.catalog.days("raw", n)]


class _DatasetStatus:
    """One dataset, from one listing and one ledger query a stage."""

    def __init__(self, project: Project, dataset: str) -> None:
        from luigi_traffic.warehouse import ledger, published

        self.project = project
        self.dataset = dataset
        self.attempts: Mapping[tuple[str, str], Attempt] = {}
        with project.warehouse.connect() as connection:
            self.gold = ledger.current(connection, "gold", dataset)
            self.forecasts = ledger.current(connection, "forecast", dataset)
            self.models = ledger.current(connection, "model", dataset)
            self.published = published.parts(connection, dataset)
            self.live = state.rows(connection, dataset)

    def rows(self, wanted: Range) -> list[Row]:
        from luigi_traffic.warehouse import attempts

        days = self._days(wanted)
        self._read_ahead(days)
        with self.project.warehouse.connect() as connection:
            self.attempts = attempts.last(connection, self.dataset, days)
        found = [row for day in days for row in self._day(day)]
        if not days:
            return found + self.live
        trained = [Trained(self.project, row) for row in self.models.values()]
        trained = [t for t in trained if days[0] <= t.last_day <= days[-1]]
        return found + model_rows(trained) + self.live

    def _read_ahead(self, days: list[date]) -> None:
        """The manifests of all that is done: one by one they would take seconds from a far S3."""
        targets = (
            LakePartition(self.project, stage, self.dataset, day)
            for day in days
            for stage in LAKE_STAGES
        )
        self.project.catalog.manifests(entry for target in targets if (entry := target.entry()))

    def _known(self) -> list[date]:
        catalog = self.project.catalog
        days = {day for stage in LAKE_STAGES for day in catalog.days(stage, self.dataset)}
        return sorted(days | {date.fromisoformat(part) for part in self.gold})

    def _days(self, wanted: Range) -> list[date]:
        """The days to show, oldest first.

        They end with the newest that is over and has settled, or, where nothing is there of the
        days before it, with the newest day of which there is anything.
        """
        known = self._known()
        last, first = wanted.last, wanted.first
        span = timedelta(days=(wanted.days or DEFAULT_DAYS) - 1)
        if last is None and first is not None and wanted.days:
            last = first + span
        if last is None:
            last = self._last(known, first or None, span)
        if first is None:
            first = last - span
            if wanted.days is None and known:  # no empty lines before the first run
                first = min(max(first, known[0]), last)
        if first > last:
            return []
        return [first + timedelta(days=n) for n in range((last - first).days + 1)]

    def _last(self, known: list[date], first: date | None, span: timedelta) -> date:
        yesterday = last_settled_day(self.project.plugins.dataset(self.dataset))
        begin = first or yesterday - span
        if not known or any(begin <= day <= yesterday for day in known[-1:]):
            return yesterday
        return max(known[-1], first) if first else known[-1]

    def _day(self, day: date) -> Iterable[Row]:
        chain = DayChain(self.project, self.dataset, day)
        absent, reason = self._absence(chain)
        for stage in LAKE_STAGES:
            yield self._lake(chain, stage, absent, reason)
        yield self._gold(chain, absent, reason)
        yield from self._forecasts(day)

    def _row(self, stage: str, day: date, state: str, complete: bool, **more: Any) -> Row:
        empty = {"reason": None, "partition_id": None, "rows": None, "seconds": None}
        row = {"kind": "partition", "dataset": self.dataset, "day": day, "stage": stage}
        none = {"committed_at": None, "coverage": None, "attempt": None, "running": False}
        return row | {"state": state, "complete": complete} | empty | none | more

    def _absence(self, chain: DayChain) -> tuple[bool, str | None]:
        """Whether the source has nothing for that day by the newest record, and its words."""
        records = chain.absences()
        if not records or chain.raw():
            return False, None
        record = records[-1]
        said = self.project.catalog.manifest(record).details["reason"]
        if chain.absent():
            return True, f"left out: {said}"
        policy = self.project.settings.missing_days.policy
        after = (
            "missing_days.policy is fail"
            if policy == "fail"
            else "the next run asks the source for it again"
        )
        return True, f"{said} (seen {record.at:%Y-%m-%d %H:%M} UTC; {after})"

    def _lake(self, chain: DayChain, stage: str, absent: bool, reason: str | None) -> Row:
        target = LakePartition(self.project, stage, self.dataset, chain.day)
        entry = target.entry()
        if entry:
            manifest = self.project.catalog.manifest(entry)
            return self._row(
                stage, chain.day, DONE, True, partition_id=entry.partition_id,
                rows=None if stage == "announce" else manifest.rows_out,
                seconds=manifest.seconds or None, committed_at=manifest.committed_at,
                reason=_noted(manifest.quality),
                coverage=manifest.quality.get("coverage", {}).get("share"),
            )  # fmt: skip
        others = self.project.catalog.day(stage, self.dataset, chain.day).commits
        return self._open(chain, stage, target.exists(), bool(others), absent, reason)

    def _gold(self, chain: DayChain, absent: bool, reason: str | None) -> Row:
        target = GoldPartition(self.project, self.dataset, chain.day)
        complete = target.exists()
        live = self.gold.get(chain.day.isoformat())
        if complete and live and live.partition_id == chain.id("gold"):
            note = None if live.rows else "empty"
            return self._row("gold", chain.day, DONE, True, **_figures(live), reason=note)
        return self._open(chain, "gold", complete, live is not None, absent, reason)

    def _open(
        self, chain: DayChain, stage: str, complete: bool, other: bool, absent: bool,
        reason: str | None,
    ) -> Row:  # fmt: skip
        """The row of a partition that is not there as it is called for."""
        if absent:
            return self._row(stage, chain.day, ABSENT, complete, reason=reason)
        failed = self._failed(stage, chain.day)
        more = {"attempt": failed.id, "running": failed.outcome == RUNNING} if failed else {}
        if not other:
            why = failed.said if failed else self._not_tried(stage, chain.day)
            return self._row(stage, chain.day, MISSING, complete, reason=why, **more)
        wanted = chain.id(stage)
        why = (
            f"it was committed with another recipe or input; expected is {wanted}"
            if wanted
            else (
                "raw of the current recipe is missing, or its address has changed and must be asked"
            )
        )
        if failed:
            why += f"; {failed.said}"
        return self._row(stage, chain.day, STALE, complete, reason=why, partition_id=wanted, **more)

    def _failed(self, stage: str, day: date) -> Attempt | None:
        """The last attempt, if it did not end well or has not ended."""
        tried = self.attempts.get((stage, day.isoformat()))
        return tried if tried and tried.outcome != DONE else None

    def _not_tried(self, stage: str, day: date) -> str:
        """Why a stage of a day is missing of which no attempt has failed."""
        if (stage, day.isoformat()) in self.attempts:
            return REMOVED
        for before in made_from(stage):
            if failed := self._failed(before, day):
                return f"{before} {failed.outcome}"
        return NEVER_TRIED

    def _forecasts(self, day: date) -> Iterable[Row]:
        """One row a version that has forecast that day, or one that says that none has."""
        parts_of_day = [p for p in self.forecasts if p.partition("/")[0] == day.isoformat()]
        for part in parts_of_day:
            live = self.forecasts[part]
            gold = {one.part: one.id for one in live.inputs if one.stage == "gold"}
            why = None if of_gold(self.project, self.dataset, gold) else "its gold has changed"
            shown = part in self.published
            yield self._row(
                "forecast", day, STALE if why else DONE, why is None,
                reason=why or (None if shown else "not published"),
                **_figures(live), model=part.partition("/")[2],
            )  # fmt: skip
        if not parts_of_day:
            failed = self._failed("forecast", day)
            why = failed.said if failed else "no model has made a forecast from it"
            yield self._row(
                "forecast", day, MISSING, False, reason=why, attempt=failed and failed.id
            )


def _noted(quality: Mapping[str, Any]) -> str | None:
    """What the stage has noted of a partition that is done: an empty day, what lacks."""
    return "; ".join(quality[name] for name in _NOTES if name in quality) or None


def _figures(row: LedgerRow) -> dict[str, Any]:
    return {
        "partition_id": row.partition_id,
        "rows": row.rows,
        "seconds": row.details.get("seconds"),
        "committed_at": row.committed_at,
    }
