"""silver: clean observations, one a link and interval, of the links the filter keeps."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import time
from typing import TYPE_CHECKING, Any

from luigi_traffic.api.expected import expected_slots
from luigi_traffic.crashpoints import CrashPoint, crash_point
from luigi_traffic.errors import DataError, SettingsError
from luigi_traffic.targets.lake import LakePartition
from luigi_traffic.targets.stage_input import StageInput
from luigi_traffic.tasks.base import DayStage
from luigi_traffic.tasks.bronze import Bronze

if TYPE_CHECKING:
    from luigi_traffic.compute.coverage import Coverage
    from luigi_traffic.compute.engine import Engine, Schema
    from luigi_traffic.compute.quality import SilverCounts
    from luigi_traffic.lake.store import ObjectStore

logger = logging.getLogger("luigi_traffic")


class Silver(DayStage):
    """Clean the bronze partition of one day."""

    stage = "silver"
    computes = True

    def requires(self) -> Bronze:
        """The bronze partition."""
        return Bronze(self.date, dataset=self.dataset)

    def output(self) -> LakePartition:
        """The silver partition."""
        return LakePartition(self.project, "silver", self.dataset, self.date)

    def make(self, given: StageInput) -> str:  # noqa: D102
        with self.engine.in_force():
            return self._made(given, self.engine)

    def _made(self, given: StageInput, engine: Engine) -> str:
        from luigi_traffic.compute import quality, schemas

        self.tell("cleaning")
        bronze, dataset, catalog = given.upstream, given.dataset, self.project.catalog
        expected = _expected(given)
        generation = self.next_generation(given.recipe, given.partition_id)
        rows = engine.read(catalog.store, bronze.files, bronze.schema)
        good = rows.where("reject_reason IS NULL").drop("reject_reason", "raw_line")
        links = dataset.settings.links
        marked = engine.marked(good, links, quality.KEPT) if links else good
        counted, read = engine.counted(marked, quality.input_aggregates(links))
        kept = counted.where(quality.KEPT).drop(quality.KEPT) if links else counted
        frame = schemas.canonical_silver(dataset.silver(kept), dataset)
        schema = engine.schema(frame)
        checks = dataset.checks()
        attempt = catalog.attempt("silver", dataset.name, given.day, dataset.settings.lake_prefix)
        wanted = quality.silver_aggregates(frame.columns, given.day, dataset.interval, checks)
        written = engine.write(frame, catalog.store, attempt, wanted)
        try:
            counts = quality.judge_silver(
                read(),
                written.values,
                bronze.rows_out,
                checks,
                links=links,
                min_rows=dataset.settings.min_rows,
                known_links=lambda: quality.link_range(good),
            )
            covered = _coverage(given, expected, engine, catalog.store, written.files, schema)
        except DataError as e:
            catalog.discard(attempt)
            raise DataError(f"{self.label}: {e}") from None
        crash_point(CrashPoint.SILVER_WRITTEN)
        self.commit(
            given.manifest(
                generation,
                attempt,
                files=written.files,
                rows_in=counts.rows_in,
                rows_out=counts.rows_out,
                rows_rejected=counts.merged + counts.outside,
                rejected={
                    "averaged into another row": counts.merged,
                    quality.OUTSIDE: counts.outside,
                },
                checksum=written.checksum,
                schema=schema,
                quality={"checks": counts.checks, "first": counts.first, "last": counts.last}
                | self._notes(counts, covered, given),
                seconds=given.seconds,
            ),
            attempt,
        )
        crash_point(CrashPoint.SILVER_COMMITTED)
        share = f", coverage {covered.percent}" if covered else ""
        return f"{counts.rows_out:,} rows{share}"

    def _notes(
        self, counts: SilverCounts, covered: Coverage | None, given: StageInput
    ) -> dict[str, Any]:
        """What a reader of the partition should know; what is in words is in the log as well."""
        from luigi_traffic.compute import quality

        notes: dict[str, Any] = {}
        if not counts.rows_out:
            notes["empty"] = quality.empty_reason(given.upstream.rejected)
        if counts.missing_links:
            notes["missing_links"] = quality.missing_links(
                counts.missing_links, given.dataset.settings.links
            )
        if covered and covered.gaps and counts.rows_out:
            notes["gaps"] = covered.gaps
        for note in notes.values():
            logger.warning("%s: %s", self.label, note)
        return notes | ({"coverage": covered.as_json()} if covered else {})


def _expected(given: StageInput) -> tuple[time, ...] | None:
    """The expected wall times of the day, None if the dataset does not say.

    Raises `SettingsError` if nothing is expected and the settings ask for a share of it.
    """
    dataset = given.dataset
    slots = expected_slots(dataset, given.day)
    if slots is None and dataset.settings.min_coverage:
        raise SettingsError(
            f"{_coverage_key(given)} is set, but the dataset does not say which intervals it "
            "expects. Add `expected` to its table (a dataset in YAML) or the method "
            "expected_slots (a plugin), or remove the setting"
        )
    return slots


def _coverage(
    given: StageInput,
    expected: Sequence[time] | None,
    engine: Engine,
    store: ObjectStore,
    files: Sequence[Mapping[str, Any]],
    schema: Schema,
) -> Coverage | None:
    """How much of the day is there in the files of silver; None if nothing is expected of it.

    Raises `DataError` if it is less than `min_coverage`.
    """
    from luigi_traffic.compute.coverage import coverage

    if not expected:
        return None
    dataset = given.dataset
    written = engine.read(store, files, schema)
    found = coverage(engine, written, expected, dataset.settings.links, dataset.interval)
    found.judge(dataset.settings.min_coverage, _coverage_key(given))
    return found


def _coverage_key(given: StageInput) -> str:
    return f"datasets.{given.dataset.name}.min_coverage"
