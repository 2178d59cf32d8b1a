"""Dead letters: messages that cannot be worked, kept as they came, with the reason."""

from __future__ import annotations

from itertools import accumulate

from luigi_traffic.events.received import Message
from luigi_traffic.events.sending import Headers, send
from luigi_traffic.settings.keys import EventsSettings, ListenSettings

_PREFIX = "dead-letter-"
#: Bytes that are kept of a value, of a key, and of all headers. No announcement comes near; a
#: message may hold 1 MiB in all.
LONGEST, LONGEST_KEY, LONGEST_HEADERS = 512 << 10, 64 << 10, 128 << 10


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
        key = message.key
        if key is not None and len(key) > LONGEST_KEY:
            ours.append((_PREFIX + "key-cut", f"{len(key)} bytes".encode()))
            key = key[:LONGEST_KEY]
        send(self.events, topic, key, value, ours)


def headers(message: Message, reason: str, attempts: int, group: str) -> Headers:
    """The original headers, then ours; those of an earlier burial make room for ours.

    A name that is no UTF-8 is written with escapes: the client cannot send it as it came.
    """
    theirs = [(str(k), v or b"") for k, v in message.headers if not k.startswith(_PREFIX)]
    sizes = accumulate(len(name.encode()) + len(value) for name, value in theirs)
    kept = [header for header, size in zip(theirs, sizes, strict=True) if size <= LONGEST_HEADERS]
    added = {
        "reason": reason,
        "attempts": str(attempts),
        "group": group,
        "topic": message.topic,
        "partition": str(message.partition),
        "offset": str(message.offset),
    }
    if len(kept) < len(theirs):
        added["headers-cut"] = f"{len(theirs) - len(kept)} of {len(theirs)} left out"
    return [
        *kept,
        *(
            (_PREFIX + name, value.encode(errors="backslashreplace"))
            for name, value in added.items()
        ),
    ]
