"""raw: a day from its source into the lake, as it came, in pieces that Spark reads in parallel."""

from __future__ import annotations

import time

from luigi_traffic import clock
from luigi_traffic.crashpoints import CrashPoint, crash_point
from luigi_traffic.errors import DataError, SourceAbsent
from luigi_traffic.ingest.download import Ingested, ingest
from luigi_traffic.lake.entries import Entry
from luigi_traffic.lake.manifest import Manifest
from luigi_traffic.layers import home
from luigi_traffic.parts import parts
from luigi_traffic.settled import refuse_unsettled
from luigi_traffic.targets.lake import LakePartition
from luigi_traffic.tasks.base import DayStage


class IngestRaw(DayStage):
    """Download, verify and commit the raw partition of one day."""

    stage = "raw"

    def output(self) -> LakePartition:
        """The raw partition."""
        return LakePartition("raw", self.dataset, self.date)

    def work(self) -> str:  # noqa: D102
        started = time.monotonic()
        catalog, recipe = parts().catalog, self.chain.lineage.raw
        before = self.chain.live()
        generation = before.generation + 1 if before else self.next_generation(recipe)
        refuse_unsettled(self.chain.lineage.dataset, self.date)
        try:
            day = ingest(
                self.chain.lineage.dataset,
                self.date,
                catalog,
                parts().settings.ingest,
                home() / "tmp",
                self._progress,
            )
        except SourceAbsent as e:
            return self._absent(e, before)
        if not day.lines:
            raise DataError(f"{self.label}: the source sent a file without a single data row")
        crash_point(CrashPoint.RAW_WRITTEN)
        made = self._manifest(day, generation, time.monotonic() - started)
        if before and catalog.manifest(before).partition_id == made.partition_id:
            if self.chain.raw() is None:
                catalog.record_same(before, self.chain.lineage.address, {"archives": day.archives})
            catalog.discard(day.attempt)
            return f"the same {day.lines:,} rows as before"
        self.commit(made, day.attempt)
        crash_point(CrashPoint.RAW_COMMITTED)
        changed = f", generation {generation}: the source has changed" if before else ""
        return f"{day.lines:,} rows, {day.text_bytes / 1e6:,.1f} MB of text{changed}"

    def _progress(self, done: int, size: int | None, what: str) -> None:
        known = f" of {size / 1e6:,.0f} MB" if size else " MB"
        self.tell(f"{what}: {done / 1e6:,.0f}{known}", 100 * done / size if size else None)

    def _manifest(self, day: Ingested, generation: int, seconds: float) -> Manifest:
        recipe = self.chain.lineage.raw
        return Manifest.start(
            recipe,
            self.date,
            recipe.partition_id([self.date.isoformat(), day.content_hash]),
            generation=generation,
            inputs=[
                {"stage": "source", "part": a["origin"] or a["name"], "id": f"sha256:{a['sha256']}"}
                for a in day.archives
            ],
            prefix=day.attempt.prefix,
            files=[{"key": f.key, "size": f.size, "checksum": f.checksum} for f in day.files],
            rows_in=day.lines,
            rows_out=day.lines,
            checksum=f"sha256:{day.content_hash}",
            seconds=round(seconds, 3),
            details={
                "address": self.chain.lineage.address,
                "archives": day.archives,
                "header": day.header,
                "first_line": day.first_line[:4096],
                "text_bytes": day.text_bytes,
            },
        )

    def _absent(self, reason: SourceAbsent, before: Entry | None) -> str:
        """Record that there is nothing, then let the setting decide."""
        lineage = self.chain.lineage
        parts().catalog.record_absence(
            lineage.raw, self.date, lineage.address, str(reason), clock.now()
        )
        kept = "; what another address had is kept" if before else ""
        if parts().settings.missing_days.policy == "fail":
            raise SourceAbsent(
                f"{reason}\n  The day is recorded as absent{kept}. To leave such days out set "
                "missing_days.policy to skip (LUIGI_TRAFFIC__MISSING_DAYS__POLICY=skip)."
            )
        return f"absent, {'not asked for again yet' if before else 'left out'}: {reason}{kept}"
