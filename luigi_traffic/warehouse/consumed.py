"""Which events a consumer group has decided, and the right to work on one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from luigi_traffic.recipe import canonical_json
from luigi_traffic.warehouse.connection import Warehouse

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
