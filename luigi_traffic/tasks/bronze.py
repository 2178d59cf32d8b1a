"""bronze: every source row, typed, as Parquet; bad rows flagged with their reason."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from luigi_traffic.api.dataset import RawDay
from luigi_traffic.crashpoints import CrashPoint, crash_point
from luigi_traffic.errors import DataError
from luigi_traffic.targets.lake import LakePartition
from luigi_traffic.targets.stage_input import StageInput
from luigi_traffic.tasks.base import DayStage
from luigi_traffic.tasks.raw import IngestRaw

if TYPE_CHECKING:
    from luigi_traffic.compute.engine import Engine, Schema
    from luigi_traffic.compute.quality import BronzeCounts

logger = logging.getLogger("luigi_traffic")


class Bronze(DayStage):
    """Parse the raw partition of one day."""

    stage = "bronze"

    def requires(self) -> IngestRaw:
        """The raw partition."""
        return IngestRaw(self.date, dataset=self.dataset)

    def output(self) -> LakePartition:
        """The bronze partition."""
        return LakePartition(self.project, "bronze", self.dataset, self.date)

    def make(self, given: StageInput) -> str:  # noqa: D102
        with self.engine.in_force():
            return self._made(given, self.engine)

    def _made(self, given: StageInput, engine: Engine) -> str:
        from luigi_traffic.compute import quality, schemas

        self.tell("parsing")
        raw, dataset, catalog = given.upstream, given.dataset, self.project.catalog
        generation = self.next_generation(given.recipe, given.partition_id)
        day = RawDay(
            day=given.day,
            paths=tuple(engine.address(catalog.store, file["key"]) for file in raw.files),
            header=raw.details["header"],
            first_line=raw.details["first_line"],
            lines=raw.rows_out,
        )
        frame = schemas.checked_bronze(dataset.bronze(engine.session(), day))
        schema = engine.schema(frame)
        attempt = catalog.attempt("bronze", dataset.name, day.day, dataset.settings.lake_prefix)
        wanted = quality.bronze_aggregates(dataset.reject_reasons)
        written = engine.write(frame, catalog.store, attempt, wanted)
        counts = quality.bronze_counts(written.values, dataset.reject_reasons)
        try:
            quality.judge_bronze(counts, day.lines, dataset.settings.max_rejected_share)
        except DataError as e:
            catalog.discard(attempt)
            raise DataError(f"{self.label}: {e}") from None
        crash_point(CrashPoint.BRONZE_WRITTEN)
        notes = self._notes(counts, given, written.files, schema)
        self.commit(
            given.manifest(
                generation,
                attempt,
                files=written.files,
                rows_in=counts.rows,
                rows_out=counts.rows - counts.rows_rejected,
                rows_rejected=counts.rows_rejected,
                rejected=counts.rejected,
                checksum=written.checksum,
                schema=schema,
                quality={"rejected_examples": counts.examples} | notes,
                seconds=given.seconds,
            ),
            attempt,
        )
        crash_point(CrashPoint.BRONZE_COMMITTED)
        return f"{counts.rows:,} rows, {counts.rows_rejected:,} of them rejected"

    def _notes(
        self,
        counts: BronzeCounts,
        given: StageInput,
        files: Sequence[Mapping[str, Any]],
        schema: Schema,
    ) -> dict[str, str]:
        """What a reader of the partition should know, told in the log as well."""
        from luigi_traffic.compute import losses, quality

        notes: dict[str, str] = {}
        if counts.rows == counts.rows_rejected:
            notes["empty"] = quality.empty_reason(counts.rejected)
        elif counts.rows_bad:
            written = self.engine.read(self.project.store, files, schema)
            if lost := losses.lost_whole(written, schema, given.day, given.dataset.interval):
                notes["lost"] = lost
        for note in notes.values():
            logger.warning("%s: %s", self.label, note)
        return notes
