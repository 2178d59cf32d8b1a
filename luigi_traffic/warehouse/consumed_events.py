"""Which events a consumer group has decided, and the right to work on one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

from luigi_traffic.errors import SettingsError
from luigi_traffic.recipe import canonical_json
from luigi_traffic.warehouse.connection import Warehouse

_SHARED = (
    "The members of a group share its messages: each would skip what only the other wants. Start "
    "it with the same options, or in its own group (--group NAME, or the setting listen.group); "
    "a new group reads its topics from the beginning."
)
Outcome = Literal["done", "dead-letter"]


class Busy(Exception):
    """Another member of the group is at that event."""


@dataclass(frozen=True)
class Decision:
    """One row of `meta.consumed_event`, but for its group and time."""

    event_id: str
    topic: str
    partition: int
    offset: int
    outcome: Outcome
    attempts: int


class ConsumedEvents:
    """The decisions of one consumer group. Every method raises StoreError if the server is lost."""

    def __init__(self, warehouse: Warehouse, group: str) -> None:
        self._warehouse = warehouse
        self.group = group

    def agree(self, filters: Mapping[str, Mapping[str, Any]]) -> None:
        """Want the same of each topic as all members of the group, the first of which decided.

        `filters` is topic → what is taken of it, as JSON can hold it. Raises SettingsError if the
        group wants something else of one of them; then nothing is recorded.
        """
        with self._warehouse.connect() as conn, conn.cursor() as cursor:
            for topic in sorted(filters):
                wanted = canonical_json(filters[topic])
                # Waits for another member that is at this very line.
                cursor.execute(
                    "INSERT INTO meta.consumer_filter (consumer_group, topic, filter)"
                    " VALUES (%s, %s, %s) ON CONFLICT DO NOTHING",
                    (self.group, topic, wanted),
                )
                cursor.execute(
                    "SELECT filter, recorded_at FROM meta.consumer_filter"
                    " WHERE consumer_group = %s AND topic = %s",
                    (self.group, topic),
                )
                recorded, since = cursor.fetchone() or ({}, None)
                if canonical_json(recorded) != wanted:
                    raise SettingsError(
                        f"consumer group {self.group!r} reads topic {topic} for {_told(recorded)} "
                        f"(since {since:%Y-%m-%d %H:%M}), and this listener would for "
                        f"{_told(filters[topic])}. {_SHARED}"
                    )

    @contextmanager
    def claim(self, event_id: str) -> Iterator[None]:
        """Hold the right to work on an event. Raises Busy where another has it.

        The server gives it back when this process dies.
        """

        def busy() -> None:
            raise Busy(event_id)

        name = f"event:{canonical_json([self.group, event_id])}"
        with self._warehouse.lock(name, on_wait=busy):
            yield

    def find(self, event_id: str) -> Decision | None:
        """What was decided on an event, None where nothing was."""
        with self._warehouse.connect() as conn, conn.cursor() as cursor:
            cursor.execute(
                "SELECT event_id, topic, topic_partition, topic_offset, outcome, attempts"
                " FROM meta.consumed_event WHERE consumer_group = %s AND event_id = %s",
                (self.group, event_id),
            )
            row = cursor.fetchone()
        return Decision(*row) if row else None

    def write(self, decision: Decision) -> None:
        """Record a decision; it replaces an earlier one on the same event."""
        with self._warehouse.connect() as conn, conn.cursor() as cursor:
            cursor.execute(
                "INSERT INTO meta.consumed_event (consumer_group, event_id, topic,"
                " topic_partition, topic_offset, outcome, attempts)"
                " VALUES (%s, %s, %s, %s, %s, %s, %s)"
                " ON CONFLICT (consumer_group, event_id) DO UPDATE SET topic = EXCLUDED.topic,"
                " topic_partition = EXCLUDED.topic_partition,"
                " topic_offset = EXCLUDED.topic_offset, outcome = EXCLUDED.outcome,"
                " attempts = EXCLUDED.attempts, decided_at = EXCLUDED.decided_at",
                (
                    self.group,
                    decision.event_id,
                    decision.topic,
                    decision.partition,
                    decision.offset,
                    decision.outcome,
                    decision.attempts,
                ),
            )


def _told(wanted: Mapping[str, Any]) -> str:
    """What is wanted of a topic, for people."""
    return "; ".join(
        f"{name} {', '.join(value) if isinstance(value, list) else value}"
        for name, value in sorted(wanted.items())
        if value
    )
