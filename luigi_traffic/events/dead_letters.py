"""Dead letters: messages that cannot be worked, kept as they came, with the reason."""

from __future__ import annotations

from luigi_traffic.events.received import Message
from luigi_traffic.events.sending import Headers, send
from luigi_traffic.settings import EventsSettings, ListenSettings

_PREFIX = "dead-letter-"
#: Bytes of a value that are kept. No announcement comes near; a message may hold 1 MiB in all.
LONGEST = 512 << 10


class DeadLetters:
    """The dead-letter topics of a consumer group's topics; created where missing."""

    def __init__(self, events: EventsSettings, listen: ListenSettings, group: str) -> None:
        self.events = events
        self.listen = listen
        self.group = group

    def send(self, message: Message, reason: str, attempts: int) -> None:
        """A copy of key, value and headers, with headers `dead-letter-…` for why and whence.

        Raises StoreError, SettingsError.
        """
        topic = self.listen.dead_letter.format(topic=message.topic)
        ours = headers(message, reason, attempts, self.group)
        # Kafka's producer takes no message that has neither: an empty value it does.
        value = b"" if message.key is None and message.value is None else message.value
        if value is not None and len(value) > LONGEST:
            # It came compressed; the producer's limit is on what it unpacks to.
            ours.append((_PREFIX + "cut", f"{len(value)} bytes".encode()))
            value = value[:LONGEST]
        send(self.events, topic, message.key, value, ours)


def headers(message: Message, reason: str, attempts: int, group: str) -> Headers:
    """The original headers, then ours; those of an earlier burial make room for ours."""
    kept = [(k, v or b"") for k, v in message.headers if not k.startswith(_PREFIX)]
    added = {
        "reason": reason,
        "attempts": str(attempts),
        "group": group,
        "topic": message.topic,
        "partition": str(message.partition),
        "offset": str(message.offset),
    }
    return [*kept, *((_PREFIX + name, value.encode()) for name, value in added.items())]
