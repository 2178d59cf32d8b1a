"""bronze: every source row, typed, as Parquet; bad rows flagged with their reason."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
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
from luigi_traffic.tasks.raw_day import archives_as_text, day_of_scope, whole_day

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
        scratch = self.project.home / "tmp"
        with self.engine.in_force(), archives_as_text(self.engine, scratch) as as_text:
            return self._made(given, self.engine, as_text)

    def _made(self, given: StageInput, engine: Engine, as_text: Callable[[RawDay], RawDay]) -> str:
        from luigi_traffic.compute import quality, schemas

        self.tell("parsing")
        raw, dataset, catalog = given.upstream, given.dataset, self.project.catalog
        generation = self.next_generation(given.recipe, given.partition_id)
        day, scope = whole_day(raw, engine, catalog.store), None
        to_read = day
        if links := given.recipe.terms.get("scope_links"):
            scope = Scope(links, _link_cell(given, day))
            to_read = day_of_scope(day, scope, raw, engine, catalog.store)
        frame = schemas.checked_bronze(dataset.bronze(engine.session(), as_text(to_read)))
        schema = engine.schema(frame)
        attempt = catalog.attempt("bronze", dataset.name, day.day, dataset.settings.lake_prefix)
        wanted = quality.bronze_aggregates(dataset.reject_reasons)
        written = engine.write(frame, catalog.store, attempt, wanted)
        outside = scope.outside if scope else Outside()
        counts = quality.bronze_counts(written.values, dataset.reject_reasons, outside)
        try:
            quality.judge_bronze(
                counts,
                day.lines,
                dataset.settings.max_rejected_share,
                scope=scope,
                known_links=lambda: quality.link_range(_links(engine, as_text(day), scope)),
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
        left = f"; {outside.lines:,} lines are outside the scope" if scope else ""
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


def _links(engine: Engine, day: RawDay, scope: Scope | None) -> DataFrame:
    """The links of all lines of a day, found as its scope finds them."""
    assert scope
    cell = scope.cell
    lines = F.lines(engine.session(), day)
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
