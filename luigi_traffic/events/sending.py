"""Sending one message to Kafka and knowing where it lies."""

from __future__ import annotations

from typing import Any

from kafka import KafkaAdminClient, KafkaProducer
from kafka.errors import (
    KafkaError,
    TopicAlreadyExistsError,
    UnknownTopicOrPartitionError,
    for_code,
)
from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_fixed

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
    retry = Retrying(
        retry=retry_if_exception(_passes),
        stop=stop_after_delay(PATIENCE_S),
        wait=wait_fixed(_PAUSE_S),
        reraise=True,
    )
    admin = connect(KafkaAdminClient, settings, request_timeout_ms=15_000)
    try:
        for topic in topics:
            try:
                retry(_ensure, admin, settings, topic)
            except KafkaError as error:
                raise trouble(settings, f"creating topic {topic!r}", error) from error
    finally:
        admin.close()


def _ensure(admin: Any, settings: EventsSettings, topic: str) -> None:
    (found,) = admin.describe_topics([topic])
    if found["error_code"] == UnknownTopicOrPartitionError.errno:
        shape = {
            "num_partitions": settings.partitions,
            "replication_factor": settings.replication,
        }
        admin.create_topics({topic: shape}, wait_for_metadata=True)
    elif found["error_code"]:
        raise for_code(found["error_code"])


def _passes(error: BaseException) -> bool:
    """Whether another try may help; if another creator of the topic was first, it does."""
    return isinstance(error, KafkaError) and (
        error.retriable or isinstance(error, TopicAlreadyExistsError)
    )
