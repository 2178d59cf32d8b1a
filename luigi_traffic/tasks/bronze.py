"""bronze: every source row, typed, as Parquet; bad rows flagged with their reason."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from luigi_traffic.api import functions as F
from luigi_traffic.api.dataset import RawDay
from luigi_traffic.api.scope import LinkCell, Outside, Scope
from luigi_traffic.crashpoints import CrashPoint, crash_point
from luigi_traffic.errors import DataError, SettingsError
from luigi_traffic.targets.lake import LakePartition
from luigi_traffic.targets.stage_input import StageInput
from luigi_traffic.tasks.base import DayStage
from luigi_traffic.tasks.raw import IngestRaw

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from luigi_traffic.compute.engine import Engine, Schema
    from luigi_traffic.compute.quality import BronzeCounts

logger = logging.getLogger("luigi_traffic")


class Bronze(DayStage):
    """Parse the raw partition of one day."""

    stage = "bronze"
    computes = True

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
        if links := given.recipe.terms.get("scope_links"):
            day = replace(day, scope=Scope(links, _link_cell(given, day)))
        frame = schemas.checked_bronze(dataset.bronze(engine.session(), day))
        schema = engine.schema(frame)
        attempt = catalog.attempt("bronze", dataset.name, day.day, dataset.settings.lake_prefix)
        wanted = quality.bronze_aggregates(dataset.reject_reasons)
        written = engine.write(frame, catalog.store, attempt, wanted)
        outside = day.scope.outside if day.scope else Outside()
        counts = quality.bronze_counts(written.values, dataset.reject_reasons, outside)
        try:
            quality.judge_bronze(
                counts,
                day.lines,
                dataset.settings.max_rejected_share,
                scope=day.scope,
                known_links=lambda: quality.link_range(_links(engine, day)),
            )
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
                rows_in=counts.rows + outside.lines,
                rows_out=counts.rows_good,
                rows_rejected=counts.rows_rejected + outside.lines,
                rejected=counts.rejected | quality.left_out(outside),
                checksum=written.checksum,
                schema=schema,
                quality={"rejected_examples": counts.examples} | notes,
                seconds=given.seconds,
            ),
            attempt,
        )
        crash_point(CrashPoint.BRONZE_COMMITTED)
        left = f"; {outside.lines:,} lines are outside the scope" if day.scope else ""
        return f"{counts.rows:,} rows, {counts.rows_rejected:,} of them rejected{left}"

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
        if not counts.rows_good:
            notes["empty"] = quality.empty_reason(counts.rejected)
        elif counts.rows_bad:
            written = self.engine.read(self.project.store, files, schema)
            if lost := losses.lost_whole(written, schema, given.day, given.dataset.interval):
                notes["lost"] = lost
        for note in notes.values():
            logger.warning("%s: %s", self.label, note)
        return notes


def _links(engine: Engine, day: RawDay) -> DataFrame:
    """The links of all lines of a day that has a scope."""
    assert day.scope
    cell = day.scope.cell
    lines = F.lines(engine.session(), replace(day, scope=None))
    return lines.select(F.cell(F.cells("line", cell.delimiter), cell.number).alias("link_id"))


def _link_cell(given: StageInput, day: RawDay) -> LinkCell:
    """Where a line has its link id."""
    cell = given.dataset.link_cell(day)
    if cell is None:
        raise SettingsError(
            f"datasets.{given.dataset.name}.scope is links, but the dataset does not say where a "
            "line has its link id (the method link_cell of a plugin). Set it to all"
        )
    return cell
