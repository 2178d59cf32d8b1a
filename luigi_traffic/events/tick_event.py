"""The event of a live tick: a CloudEvent 1.0 in JSON, as that of a raw partition.

The id is made from the dataset, the measure and the time that the tick was due at: a tick that is
sent twice is the same event.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from luigi_traffic.events.announcement import Announcement
from luigi_traffic.recipe import short_hash

if TYPE_CHECKING:
    from luigi_traffic.warehouse.ticks import Tick

TYPE = "io.luigi-traffic.live.tick.v1"


def tick_event(tick: Tick, topic: str) -> Announcement:
    """What has changed with that tick."""
    due = tick.due_at.isoformat()
    return Announcement(
        topic=topic,
        key=f"{tick.dataset}/live",
        event={
            "specversion": "1.0",
            "id": short_hash(
                TYPE, tick.dataset, tick.target, str(tick.due_at.timestamp()), length=32
            ),
            "source": f"/luigi_traffic/{tick.dataset}",
            "type": TYPE,
            "subject": due,
            "time": (tick.forecast_at or tick.rows_at or tick.due_at).isoformat(),
            "datacontenttype": "application/json",
            "data": {
                "dataset": tick.dataset,
                "target": tick.target,
                "due_at": due,
                "rows": tick.rows,
                "newest": tick.newest.isoformat() if tick.newest else None,
                "issued_at": tick.issued_at.isoformat() if tick.issued_at else None,
                "version": tick.version,
                "feed": tick.feed,
            },
        },
    )
