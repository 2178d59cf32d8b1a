"""What a message of Kafka asks for: the day of a dataset, or nothing that can be understood."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from datetime import date as Date
from typing import Any, Protocol

from luigi_traffic.errors import DataError
from luigi_traffic.events.announcement import TYPE, event_id
from luigi_traffic.events.header_names import UndecodedName
from luigi_traffic.events.kafka import CONTENT_TYPE


class Message(Protocol):
    """A record as kafka-python hands it out, as far as we look at it."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes | None]]


class Unreadable(DataError):
    """The message is no announcement; its text is the reason."""


@dataclass(frozen=True)
class DayWanted:
    """The announcement of one day's raw partition."""

    event_id: str
    dataset: str
    date: Date

    def __str__(self) -> str:
        return f"{self.dataset} {self.date} (event {self.event_id})"


def understand(message: Message, datasets: Collection[str]) -> DayWanted:
    """The day that the message announces; `datasets` are the names that plugins provide.

    Raises Unreadable for anything but a CloudEvent in structured mode of our type whose id is
    the one that its content makes: by the id a repeat is dropped, so an id that belongs to another
    day, or to none, would drop a day unseen.
    """
    event = _event(message)
    for name, expected in (("specversion", "1.0"), ("type", TYPE)):
        if event.get(name) != expected:
            raise Unreadable(f"{name} is {_short(event.get(name))}, expected {expected!r}")
    data = event.get("data")
    if not isinstance(data, dict):
        raise Unreadable(f"data is {_short(data)}, expected an object")
    dataset = data.get("dataset")
    if not isinstance(dataset, str) or dataset not in datasets:
        known = ", ".join(sorted(datasets))
        raise Unreadable(f"data.dataset is {_short(dataset)}; plugins provide {known}")
    day, partition_id = _date(data.get("date")), data.get("partition_id")
    # Printable: JSON may spell half a surrogate pair, which no hash takes.
    if not isinstance(partition_id, str) or not partition_id or not partition_id.isprintable():
        raise Unreadable(f"data.partition_id is {_short(partition_id)}, expected the id of raw")
    made = event_id(dataset, day.isoformat(), partition_id)
    if event.get("id") != made:
        raise Unreadable(
            f"id is {_short(event.get('id'))}, but data.dataset, data.date and data.partition_id "
            f"make {made!r}: one of them was changed, or another program created the event"
        )
    return DayWanted(made, dataset, day)


def _event(message: Message) -> dict[str, Any]:
    for name, _ in message.headers:
        if isinstance(name, UndecodedName):
            raise Unreadable(f"the name of a header is not UTF-8: {_short(str(name))}")
    declared = dict(message.headers).get("content-type")
    if declared is not None and not declared.lower().startswith(CONTENT_TYPE.encode()):
        raise Unreadable(f"content-type is {_short(declared)}, expected {CONTENT_TYPE!r}")
    if message.value is None:
        raise Unreadable("the message has no value")
    try:
        event = json.loads(message.value)
    except (ValueError, RecursionError) as error:  # UnicodeDecodeError is a ValueError
        raise Unreadable(f"the value is not JSON: {error}") from error
    if not isinstance(event, dict):
        raise Unreadable("the value is not a JSON object")
    return event


def _date(value: Any) -> Date:
    # fromisoformat takes 20240110 and 2024-W02-3 too, which the command line does not.
    if isinstance(value, str) and len(value) == len("2024-01-10"):
        try:
            day = Date.fromisoformat(value)
        except ValueError:
            day = None
        if day is not None and day.isoformat() == value:
            return day
    raise Unreadable(f"data.date is {_short(value)}, expected a date like 2024-01-10")


def _short(value: Any) -> str:
    """Foreign text, cut, and safe to show: repr escapes what would end a line."""
    return "missing" if value is None else repr(value)[:80]
