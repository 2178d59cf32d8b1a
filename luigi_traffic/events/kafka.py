"""The event log of the stack profile: Apache Kafka.

A message is a CloudEvent in structured content mode, as the "Kafka Protocol Binding for
CloudEvents", version 1.0.2, has it: the value is the event in the JSON event format, the header
`content-type` says so (3.3.1), and the attributes are repeated as headers `ce_…` (3.3.3, 3.2.3)
for those who route without parsing the value. The key is the announcement's (3.1).
"""

from __future__ import annotations

from typing import Any

from luigi_traffic.events.announcement import Announcement
from luigi_traffic.events.log import EventLog
from luigi_traffic.events.sending import Headers, send
from luigi_traffic.settings.keys import EventsSettings

#: In structured mode the header says how the whole event is written down.
CONTENT_TYPE = "application/cloudevents+json"
#: In binary mode `content-type` stands for the second, and the value for the first.
_NOT_AS_HEADER = ("data", "datacontenttype")


class KafkaLog(EventLog):
    """Each announcement is a message of its topic; a topic that is missing is created."""

    def __init__(self, settings: EventsSettings) -> None:
        self.settings = settings

    def publish(self, announcement: Announcement) -> dict[str, Any]:
        """Send it and wait for the brokers' answer: log, topic, partition, offset.

        Raises StoreError, and SettingsError where trying again cannot help.
        """
        at = send(
            self.settings,
            announcement.topic,
            announcement.key.encode(),
            announcement.to_json(),
            headers(announcement.event),
        )
        return {"log": "kafka", **at}


def headers(event: dict[str, Any]) -> Headers:
    """The headers of an event in structured mode."""
    attributes = {k: v for k, v in event.items() if k not in _NOT_AS_HEADER}
    return [
        ("content-type", f"{CONTENT_TYPE}; charset=UTF-8".encode()),
        *((f"ce_{name}", str(value).encode()) for name, value in attributes.items()),
    ]
