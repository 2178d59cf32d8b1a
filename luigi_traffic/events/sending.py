"""Sending one message to Kafka and knowing where it lies."""

from __future__ import annotations

import time
from typing import Any

from kafka import KafkaAdminClient, KafkaProducer
from kafka.errors import (
    KafkaError,
    TopicAlreadyExistsError,
    UnknownTopicOrPartitionError,
    for_code,
)

from luigi_traffic.events.kafka_client import PATIENCE_S, connect, trouble
from luigi_traffic.settings.keys import EventsSettings

Headers = list[tuple[str, bytes]]
_PAUSE_S = 0.5


def send(
    settings: EventsSettings, topic: str, key: bytes | None, value: bytes | None, headers: Headers
) -> dict[str, Any]:
    """Send it, wait until all in-sync replicas have it: {"topic", "partition", "offset"}.

    Creates the topic where it is missing. The producer is idempotent: its own retries do not
    make a second message. One is opened for each message (it takes some hundredths of a
    second, and we send a message a day), so none is ever left open or taken across a fork.
    Raises StoreError if no broker takes it within about a minute, SettingsError.
    """
    ensure_topics(settings, [topic])
    producer = connect(
        KafkaProducer,
        settings,
        acks="all",
        enable_idempotence=True,
        allow_auto_create_topics=False,
        request_timeout_ms=15_000,
        delivery_timeout_ms=int(PATIENCE_S * 1000),
        max_block_ms=int(PATIENCE_S * 1000),
    )
    try:
        future = producer.send(topic, key=key, value=value, headers=headers)
        # A little longer than the producer itself tries, so that the error is its own.
        at = future.get(timeout=PATIENCE_S + 5)
    except KafkaError as error:
        raise trouble(settings, f"sending to topic {topic!r}", error) from error
    finally:
        producer.close(timeout=5)
    return {"topic": at.topic, "partition": at.partition, "offset": at.offset}


def ensure_topics(settings: EventsSettings, topics: list[str]) -> None:
    """Create what is missing, with the partitions and replication of the settings.

    A topic that is there is left as it is. Raises StoreError, SettingsError.
    """
    deadline = time.monotonic() + PATIENCE_S
    admin = connect(KafkaAdminClient, settings, request_timeout_ms=15_000)
    try:
        for topic in topics:
            while not _there(admin, settings, topic, last=time.monotonic() > deadline):
                time.sleep(_PAUSE_S)
    finally:
        admin.close()


def _there(admin: Any, settings: EventsSettings, topic: str, last: bool) -> bool:
    """Whether the topic is there now; False where trying again may help, and is not the last."""
    try:
        (found,) = admin.describe_topics([topic])
        if found["error_code"] == UnknownTopicOrPartitionError.errno:
            shape = {
                "num_partitions": settings.partitions,
                "replication_factor": settings.replication,
            }
            admin.create_topics({topic: shape}, wait_for_metadata=True)
        elif found["error_code"]:
            raise for_code(found["error_code"])
        return True
    except TopicAlreadyExistsError:  # another creator was first: look again
        return False
    except KafkaError as error:
        if error.retriable and not last:
            return False
        raise trouble(settings, f"creating topic {topic!r}", error) from error
