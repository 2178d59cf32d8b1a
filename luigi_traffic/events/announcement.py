"""The announcement of a raw partition: a CloudEvent 1.0 in JSON.

Specification: CloudEvents 1.0.2, JSON event format. The id is made from the partition id,
so that the same partition announced twice is the same event: consumers drop the repeat.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from luigi_traffic.lake.manifest import Manifest
from luigi_traffic.recipe import short_hash

if TYPE_CHECKING:
    from luigi_traffic.api.dataset import Dataset
    from luigi_traffic.settings.keys import EventsSettings

TYPE = "io.luigi-traffic.raw.committed.v1"


@dataclass(frozen=True)
class Announcement:
    """One event with the key that orders it: `dataset/date`."""

    topic: str
    key: str
    event: dict[str, Any]

    @property
    def id(self) -> str:
        """The event's id, 32 hex digits."""
        return str(self.event["id"])

    def to_json(self) -> bytes:
        """One line of JSON."""
        return json.dumps(self.event, ensure_ascii=False, sort_keys=True).encode()


def event_id(dataset: str, day: str, partition_id: str) -> str:
    """The id of the announcement of that raw partition."""
    return short_hash(TYPE, dataset, day, partition_id, length=32)


def topic_of(dataset: Dataset, events: EventsSettings) -> str:
    """The topic of a dataset's announcements: its own, or the one of all."""
    return (dataset.settings.topic or events.topic).format(dataset=dataset.name)


def announce(manifest: Manifest, manifest_url: str, topic: str) -> Announcement:
    """The announcement of a committed raw partition."""
    return Announcement(
        topic=topic,
        key=f"{manifest.dataset}/{manifest.day}",
        event={
            "specversion": "1.0",
            "id": event_id(manifest.dataset, manifest.day, manifest.partition_id),
            "source": f"/luigi_traffic/{manifest.dataset}",
            "type": TYPE,
            "subject": manifest.day,
            "time": manifest.committed_at,
            "datacontenttype": "application/json",
            "data": {
                "dataset": manifest.dataset,
                "date": manifest.day,
                "partition_id": manifest.partition_id,
                "manifest": manifest_url,
                "rows": manifest.rows_out,
                "files": len(manifest.files),
            },
        },
    )
