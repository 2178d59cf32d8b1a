"""raw: a day from its source into the lake, as it came or in pieces of lines."""

from __future__ import annotations

import time
from enum import StrEnum

from luigi_traffic.api import clock
from luigi_traffic.api.dataset import RawDay
from luigi_traffic.api.scope import Scope, ScopeOf
from luigi_traffic.api.settled import refuse_unsettled
from luigi_traffic.crashpoints import CrashPoint, crash_point
from luigi_traffic.errors import DataError, SourceAbsent, TrafficError
from luigi_traffic.ingest.day_writer import Keep
from luigi_traffic.ingest.download import Ingested, ingest
from luigi_traffic.lake.entries import Entry
from luigi_traffic.lake.manifest import Manifest
from luigi_traffic.recipe import Input
from luigi_traffic.targets.lake import LakePartition
from luigi_traffic.targets.stage_input import SourceInput
from luigi_traffic.tasks.base import DayStage


class Asked(StrEnum):
    """What came of asking a source for a day again."""

    NEVER = "never asked for"
    UNCHANGED = "unchanged"
    SAME = "asked, same bytes"
    CHANGED = "changed"
    ABSENT = "still absent"
    GONE = "gone from the source, kept here"


class IngestRaw(DayStage):
    """Download, verify and commit the raw partition of one day."""

    stage = "raw"

    def output(self) -> LakePartition:
        """The raw partition."""
        return LakePartition(self.project, "raw", self.dataset, self.date)

    def given(self) -> SourceInput:
        """The source, and what turns its bytes into text."""
        lineage = self.chain.lineage
        return SourceInput(
            self.date, lineage.dataset_for("raw"), lineage.source, lineage.address, lineage.raw,
            self._scope_of(),
        )  # fmt: skip

    def make(self, given: SourceInput) -> str:  # noqa: D102
        return self._ask(given)[1]

    def ask_again(self) -> Asked:
        """Ask the source whether a day that was asked for has changed, and fetch it if it has.

        Raises `TransientError` or `SourceError` if it cannot be asked.
        """
        with self.project.warehouse.lock(self.lock_name):
            self.project.catalog.begin_work()
            live, given = self.chain.live(), self.given()
            if live is None and not self.chain.absences():
                return Asked.NEVER
            try:
                if live is not None and self._says_the_same(given, live):
                    return Asked.UNCHANGED
                return self._ask(given)[0]
            except SourceAbsent:
                return Asked.GONE if live else Asked.ABSENT

    def _says_the_same(self, given: SourceInput, live: Entry) -> bool:
        """Whether the source says of the day what it said when it was asked at this address."""
        catalog = self.project.catalog
        entries = catalog.day("raw", self.dataset, self.date)
        marks = [m for m in entries.compared(live) if m.address == given.address]
        if marks:
            details = catalog.mark(max(marks, key=lambda m: m.key))
        else:
            details = catalog.manifest(live).details
            if details["address"] != given.address:
                return False
        before = [archive.get("said") for archive in details["archives"]]
        now = given.source.look(given.day)
        return now is not None and all(before) and before == [dict(one) for one in now]

    def _ask(self, given: SourceInput) -> tuple[Asked, str]:
        """Fetch the day, compare it with the live generation, commit it if it is another one."""
        started = time.monotonic()
        catalog, before = self.project.catalog, self.chain.live()
        generation = before.generation + 1 if before else self.next_generation(given.recipe)
        refuse_unsettled(given.dataset, given.day)
        try:
            day = ingest(
                given.dataset,
                given.day,
                catalog,
                self.project.settings.ingest,
                self.project.home / "tmp",
                self._progress,
                Keep(self.project.settings.engine == "duckdb", given.scope_of),
            )
        except SourceAbsent as e:
            return Asked.GONE if before else Asked.ABSENT, self._absent(given, e, before)
        if not day.lines:
            catalog.discard(day.attempt)
            raise DataError(f"{self.label}: the source sent a file without any data row")
        crash_point(CrashPoint.RAW_WRITTEN)
        made = self._manifest(given, day, generation, time.monotonic() - started)
        if before and catalog.manifest(before).partition_id == made.partition_id:
            if self.chain.raw() is None or not self._says_the_same(given, before):
                catalog.record_same(before, given.address, {"archives": day.archives})
            catalog.discard(day.attempt)
            return Asked.SAME, f"the same {day.lines:,} rows as before"
        self.commit(made, day.attempt)
        crash_point(CrashPoint.RAW_COMMITTED)
        changed = f", generation {generation}: the source has changed" if before else ""
        said = f"{day.lines:,} rows, {day.text_bytes / 1e6:,.1f} MB of text{changed}"
        return Asked.CHANGED, said

    def _scope_of(self) -> ScopeOf | None:
        """How bronze, as it is set now, finds the lines of some links."""
        lineage = self.chain.lineage
        links = lineage.bronze.terms.get("scope_links")
        if not links:
            return None

        def scope(header: str | None, first_line: str) -> Scope | None:
            day = RawDay(self.date, (), header, first_line, 0)
            try:
                cell = lineage.dataset_for("bronze").link_cell(day)
            except TrafficError:
                return None  # raw keeps the day; bronze asks again, and reports it
            return Scope(links, cell) if cell else None

        return scope

    def _progress(self, done: int, size: int | None, what: str) -> None:
        known = f" of {size / 1e6:,.0f} MB" if size else " MB"
        self.tell(f"{what}: {done / 1e6:,.0f}{known}", 100 * done / size if size else None)

    @staticmethod
    def _manifest(given: SourceInput, day: Ingested, generation: int, seconds: float) -> Manifest:
        return Manifest.start(
            given.recipe,
            given.day,
            given.recipe.partition_id([given.day.isoformat(), day.content_hash]),
            generation=generation,
            inputs=[
                Input("source", a["origin"] or a["name"], f"sha256:{a['sha256']}")
                for a in day.archives
            ],
            prefix=day.attempt.prefix,
            files=[{"key": f.key, "size": f.size, "checksum": f.checksum} for f in day.files],
            rows_in=day.lines,
            rows_out=day.lines,
            checksum=f"sha256:{day.content_hash}",
            seconds=round(seconds, 3),
            details={
                "address": given.address,
                "archives": day.archives,
                "header": day.header,
                "first_line": day.first_line[:4096],
                "text_bytes": day.text_bytes,
                "as_came": day.as_came,
                "scoped": day.scoped,
            },
        )

    def _absent(self, given: SourceInput, reason: SourceAbsent, before: Entry | None) -> str:
        """Record that there is nothing, then let the setting decide."""
        self.project.catalog.record_absence(
            given.recipe, given.day, given.address, str(reason), clock.now()
        )
        kept = "; the data from another address is kept" if before else ""
        if self.project.settings.missing_days.policy == "fail":
            raise SourceAbsent(
                f"{reason}\n"
                f"  The day is recorded as absent{kept}. To leave out such days, set "
                "missing_days.policy to skip (LUIGI_TRAFFIC__MISSING_DAYS__POLICY=skip)."
            )
        return f"absent, {'not asked for again yet' if before else 'left out'}: {reason}{kept}"
