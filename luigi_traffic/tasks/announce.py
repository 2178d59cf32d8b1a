"""announce: one event for each raw partition, at least once, with an id made from its content."""

from __future__ import annotations

from luigi_traffic.crashpoints import CrashPoint, crash_point
from luigi_traffic.events.announcement import announce
from luigi_traffic.lake.manifest import Manifest
from luigi_traffic.parts import parts
from luigi_traffic.targets.lake import LakePartition
from luigi_traffic.tasks.base import DayStage
from luigi_traffic.tasks.raw import IngestRaw


class AnnounceRaw(DayStage):
    """Publish the announcement of one day's raw partition and keep the log's answer."""

    stage = "announce"

    def requires(self) -> IngestRaw:
        """The raw partition."""
        return IngestRaw(self.date, dataset=self.dataset)

    def output(self) -> LakePartition:
        """The receipt: a manifest without data files."""
        return LakePartition("announce", self.dataset, self.date)

    def work(self) -> str:  # noqa: D102
        raw = self.input().manifest()
        recipe = self.chain.lineage.announce
        partition_id = recipe.partition_id([raw.partition_id])
        generation = self.next_generation(recipe, partition_id)
        event = announce(raw, parts().store.spark_url(raw.key), recipe.terms["topic"])
        receipt = parts().events.publish(event)
        crash_point(CrashPoint.ANNOUNCE_PUBLISHED)
        inputs = [{"stage": "raw", "part": raw.day, "id": raw.partition_id}]
        details = {"event_id": event.id, "key": event.key, "receipt": receipt}
        self.commit(
            Manifest.start(
                recipe, self.date, partition_id, generation=generation, inputs=inputs,
                details=details,
            )
        )  # fmt: skip
        crash_point(CrashPoint.ANNOUNCE_COMMITTED)
        return f"event {event.id} in {receipt['topic']} at {receipt['offset']}"
