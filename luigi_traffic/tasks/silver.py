"""silver: clean observations, one a link and interval, of the links the filter keeps."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from luigi_traffic.crashpoints import CrashPoint, crash_point
from luigi_traffic.errors import DataError
from luigi_traffic.targets.lake import LakePartition
from luigi_traffic.targets.stage_input import StageInput
from luigi_traffic.tasks.base import DayStage
from luigi_traffic.tasks.bronze import Bronze

if TYPE_CHECKING:
    from luigi_traffic.spark.quality import SilverCounts

logger = logging.getLogger("luigi_traffic")


class Silver(DayStage):
    """Clean the bronze partition of one day."""

    stage = "silver"

    def requires(self) -> Bronze:
        """The bronze partition."""
        return Bronze(self.date, dataset=self.dataset)

    def output(self) -> LakePartition:
        """The silver partition."""
        return LakePartition(self.project, "silver", self.dataset, self.date)

    def make(self, given: StageInput) -> str:  # noqa: D102
        from luigi_traffic.spark import quality, schemas
        from luigi_traffic.spark.session import session

        self.tell("cleaning")
        bronze, dataset, catalog = given.upstream, given.dataset, self.project.catalog
        generation = self.next_generation(given.recipe, given.partition_id)
        rows = schemas.read_partition(session(), catalog.store, bronze)
        good = rows.where("reject_reason IS NULL").drop("reject_reason", "raw_line")
        kept, before = quality.observe_silver_input(good, dataset.settings.links)
        frame = schemas.canonical_silver(dataset.silver(kept), dataset)
        checks = dataset.checks()
        observed, after = quality.observe_silver(frame, given.day, dataset.interval, checks)
        attempt = catalog.attempt("silver", dataset.name, given.day, dataset.settings.lake_prefix)
        files = schemas.write_partition(observed, catalog.store, attempt)
        try:
            counts = quality.judge_silver(
                before,
                after,
                bronze.rows_out,
                checks,
                links=dataset.settings.links,
                min_rows=dataset.settings.min_rows,
                known_links=lambda: quality.link_range(good),
            )
        except DataError as e:
            catalog.discard(attempt)
            raise DataError(f"{self.label}: {e}") from None
        crash_point(CrashPoint.SILVER_WRITTEN)
        self.commit(
            given.manifest(
                generation,
                attempt,
                files=files,
                rows_in=counts.rows_in,
                rows_out=counts.rows_out,
                rows_rejected=counts.merged + counts.outside,
                rejected={
                    "averaged into another row": counts.merged,
                    "outside the link filter": counts.outside,
                },
                checksum=counts.checksum,
                schema=schemas.schema_of(frame),
                quality={"checks": counts.checks, "first": counts.first, "last": counts.last}
                | self._notes(counts, given),
                seconds=given.seconds,
            ),
            attempt,
        )
        crash_point(CrashPoint.SILVER_COMMITTED)
        return f"{counts.rows_out:,} rows"

    def _notes(self, counts: SilverCounts, given: StageInput) -> dict[str, Any]:
        """What a reader of the partition should know, told in the log as well."""
        from luigi_traffic.spark import quality

        notes: dict[str, Any] = {}
        if not counts.rows_out:
            notes["empty"] = quality.empty_reason(given.upstream.rejected)
        if counts.missing_links:
            notes["missing_links"] = quality.missing_links(
                counts.missing_links, given.dataset.settings.links
            )
        for note in notes.values():
            logger.warning("%s: %s", self.label, note)
        return notes
