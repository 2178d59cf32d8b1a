"""The messages of some topics, shared among the members of a consumer group."""

from __future__ import annotations

import logging
import time
from typing import cast

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import CorruptRecordError, KafkaError
from kafka.structs import OffsetAndMetadata

from luigi_traffic.errors import DataError
from luigi_traffic.events import header_names
from luigi_traffic.events.kafka_client import PATIENCE_S, connect, trouble
from luigi_traffic.events.received import Message
from luigi_traffic.settings.keys import EventsSettings

logger = logging.getLogger("luigi_traffic")

#: A member that died is missed after that; the broker's default is 45 s.
SESSION_S = 15
_COMMIT_S = 30


class Stream:
    """One member of a group. Nothing is committed but by `commit`; one thread only.

    Kafka takes a member that does not poll for dead and gives its partitions away. So who
    works on a message for long calls `tend` meanwhile: it polls and delivers nothing.
    """

    def __init__(self, settings: EventsSettings, topics: list[str], group: str) -> None:
        """Joins the group at the first `next`. Raises StoreError, SettingsError."""
        self.settings = settings
        self._group = group
        header_names.tolerate()
        self._consumer = connect(
            KafkaConsumer,
            settings,
            group_id=group,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            allow_auto_create_topics=False,
            # Partitions that somebody adds to a topic are found within this time.
            metadata_max_age_ms=60_000,
            session_timeout_ms=SESSION_S * 1000,
        )
        try:
            for topic in topics:  # known when we join, they need no second round of the group
                self._consumer.partitions_for_topic(topic)
        except KafkaError as error:
            self._consumer.close(autocommit=False)
            raise trouble(settings, "asking for the topics", error) from error
        self._consumer.subscribe(topics)
        self._had: set[TopicPartition] | None = None

    def next(self, timeout: float) -> Message | None:
        """The next message, None where none came in `timeout` seconds.

        Raises StoreError, SettingsError for what kafka-python does not mend by itself.
        """
        self._consumer.resume(*self._consumer.paused())
        for records in self._poll(timeout).values():
            return records[0]
        return None

    def tend(self, timeout: float) -> None:
        """Stay a member of the group for `timeout` seconds, and leave all messages where they are.

        Raises like `next`.
        """
        deadline = time.monotonic() + timeout
        while True:
            self._consumer.pause(*self._consumer.assignment())
            for partition, records in self._poll(max(0.0, deadline - time.monotonic())).items():
                # A rebalance in this very poll gave us a partition that is not paused yet.
                self._consumer.seek(partition, records[0].offset)
            if time.monotonic() >= deadline:
                return

    def commit(self, message: Message) -> bool:
        """Commit that this message and all before it in its partition are decided.

        False where the partition is not ours any more, or the broker does not take it: the
        message will come again, to us or to another member.
        """
        partition = TopicPartition(message.topic, message.partition)
        if partition not in self._consumer.assignment():
            return False
        try:
            self._consumer.commit(
                {partition: OffsetAndMetadata(message.offset + 1, "", -1)},
                timeout_ms=_COMMIT_S * 1000,
            )
        except KafkaError as error:
            logger.warning("%s: the offset was not committed: %s", place(message), error)
            return False
        return True

    def caught_up(self) -> bool:
        """Whether we are in the group and nothing is left in our partitions.

        Asks the brokers. Raises StoreError if none answers for a minute.
        """
        if self._consumer.group_metadata().generation_id < 0:
            return False
        mine = sorted(self._consumer.assignment())
        try:
            ends = self._consumer.end_offsets(mine, timeout_ms=int(PATIENCE_S * 1000))
            return all(self._consumer.position(p, timeout_ms=1000) == ends[p] for p in mine)
        except KafkaError as error:
            raise trouble(self.settings, "asking for the end of the topics", error) from error

    def close(self) -> None:
        """Leave the group, so that the others need not wait until we are missed."""
        self._consumer.close(autocommit=False, timeout_ms=10_000)

    def _poll(self, timeout: float) -> dict[TopicPartition, list[Message]]:
        try:
            found = self._consumer.poll(timeout_ms=int(timeout * 1000), max_records=1)
        except CorruptRecordError as error:
            raise DataError(self._damaged(error)) from error
        except KafkaError as error:
            if not error.retriable:
                raise trouble(self.settings, "reading", error) from error
            logger.warning("Kafka: reading failed, trying again: %s", error)
            found = {}
        self._tell()
        return cast("dict[TopicPartition, list[Message]]", found)

    def _damaged(self, error: KafkaError) -> str:
        """Not stepped over: where the broker's disk is damaged, an announcement may lie there."""
        spots = ", ".join(f"{p.topic}/{p.partition}" for p in sorted(self._consumer.assignment()))
        return (
            f"the next message in one of {spots} is damaged: {error}. Inspect it with Kafka's own "
            f"tools, and set the offset of group {self._group!r} past it."
        )

    def _tell(self) -> None:
        """A line where the group gave us other partitions."""
        have = set(self._consumer.assignment())
        joined = self._consumer.group_metadata().generation_id >= 0
        if joined and have != self._had:
            shares = ", ".join(f"{p.topic}/{p.partition}" for p in sorted(have)) or "no partition"
            logger.info("this member's share of the group's work: %s", shares)
            self._had = have


def place(message: Message) -> str:
    """Where a message lies, for a log: topic/partition@offset."""
    return f"{message.topic}/{message.partition}@{message.offset}"
