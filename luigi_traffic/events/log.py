"""What the pipeline needs of an event log."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from luigi_traffic.events.announcement import Announcement


class EventLog(ABC):
    """Where announcements go. At-least-once: an event may appear twice, with the same id."""

    @abstractmethod
    def publish(self, announcement: Announcement) -> dict[str, Any]:
        """Append durably; the answer says where it lies (topic, partition, offset)."""
