"""announce: one event for each raw partition, at least once, with an id made from its content."""

from __future__ import annotations

from luigi_traffic.crashpoints import CrashPoint, crash_point
from luigi_traffic.events.announcement import announce
from luigi_traffic.targets.lake import LakePartition
from luigi_traffic.targets.stage_input import StageInput
from luigi_traffic.tasks.base import DayStage
from luigi_traffic.tasks.raw import IngestRaw


class AnnounceRaw(DayStage):
    """Publish the announcement of one day's raw partition and keep the receipt."""

    stage = "announce"

    def requires(self) -> IngestRaw:
        """The raw partition."""
        return IngestRaw(self.date, dataset=self.dataset)

    def output(self) -> LakePartition:
        """The receipt: a manifest without data files."""
        return LakePartition(self.project, "announce", self.dataset, self.date)

    def make(self, given: StageInput) -> str:  # noqa: D102
        raw, recipe = given.upstream, given.recipe
        generation = self.next_generation(recipe, given.partition_id)
        event = announce(raw, self.project.store.spark_url(raw.key), recipe.terms["topic"])
        receipt = self.project.events.publish(event)
        crash_point(CrashPoint.ANNOUNCE_PUBLISHED)
        details = {"event_id": event.id, "key": event.key, "receipt": receipt}
        self.commit(given.manifest(generation, details=details))
        crash_point(CrashPoint.ANNOUNCE_COMMITTED)
        return f"event {event.id} in {receipt['topic']} at {receipt['offset']}"
