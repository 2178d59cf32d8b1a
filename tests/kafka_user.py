"""Another Kafka client (librdkafka), and commands whose output is watched while they run."""

from __future__ import annotations

import json
import os
import subprocess
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from confluent_kafka import Consumer, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

EVENTS = "LUIGI_TRAFFIC__EVENTS__"


def events_environment() -> dict[str, str]:
    """The broker's settings as the environment gives them; it is a failure if it gives none."""
    given = {k: v for k, v in os.environ.items() if k.startswith(EVENTS)}
    if f"{EVENTS}SERVERS" not in given:
        pytest.fail(f"{EVENTS}SERVERS is not set: these tests need a Kafka broker (make stack)")
    return given | {f"{EVENTS}KIND": "kafka"}


def wait_until(
    holds: Callable[[], object], what: str | Callable[[], str], seconds: float = 90
) -> None:
    """`what` is said if it does not come: a function, if it says more by then."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            pytest.fail(f"waited {seconds} s in vain: {what if isinstance(what, str) else what()}")
        time.sleep(0.2)


@dataclass
class KafkaUser:
    """Reads and writes topics past the framework."""

    environment: dict[str, str] = field(default_factory=events_environment)
    #: Part of all names of one test.
    name: str = field(default_factory=lambda: f"t{uuid.uuid4().hex[:10]}")

    @property
    def options(self) -> dict[str, Any]:
        given = {k.removeprefix(EVENTS).lower(): v for k, v in self.environment.items()}
        found: dict[str, object] = {"bootstrap.servers": ",".join(json.loads(given["servers"]))}
        if protocol := given.get("security_protocol"):
            found["security.protocol"] = protocol
        if given.get("ca_file"):
            found["ssl.ca.location"] = given["ca_file"]
        if given.get("user"):
            found["sasl.username"] = given["user"]
            found["sasl.password"] = given["password"]
            found["sasl.mechanism"] = given.get("sasl_mechanism", "SCRAM-SHA-512")
        return found

    def topic(self, dataset: str) -> str:
        return f"{self.name}.{dataset}.raw"

    @property
    def settings(self) -> dict[str, str]:
        """Environment of a command: topics and group of this test alone."""
        return self.environment | {
            f"{EVENTS}TOPIC": f"{self.name}.{{dataset}}.raw",
            "LUIGI_TRAFFIC__LISTEN__GROUP": self.name,
            "LUIGI_TRAFFIC__LISTEN__BACKOFF_SECONDS": "0.5",
        }

    def create(self, topic: str, partitions: int = 3) -> None:
        admin = AdminClient(self.options)
        for future in admin.create_topics([NewTopic(topic, partitions)]).values():
            future.result(30)
        wait_until(lambda: self.partitions(topic) == partitions, f"topic {topic} is there")

    def write_new(self, topic: str, *messages: tuple[Any, ...]) -> None:
        """Into a topic of one partition that this creates."""
        self.create(topic, partitions=1)
        self.write(topic, *messages)

    def partitions(self, topic: str) -> int:
        found = AdminClient(self.options).list_topics(topic, timeout=20).topics[topic]
        return 0 if found.error else len(found.partitions)

    def write(self, topic: str, *messages: Message | tuple[Any, ...], partition: int = -1) -> None:
        """Messages as they were read, or tuples of key, value and headers."""
        producer = Producer(self.options)
        failed: list[object] = []
        for message in messages:
            key, value, headers = (
                message
                if isinstance(message, tuple)
                else (message.key(), message.value(), message.headers())
            )
            producer.produce(
                topic, key=key, value=value, headers=headers, partition=partition,
                on_delivery=lambda error, _: failed.append(error) if error else None,
            )  # fmt: skip
        assert producer.flush(30) == 0
        assert not failed

    def read(self, topic: str) -> list[Message]:
        """All messages of a topic, [] where there is none."""
        consumer = Consumer(
            self.options
            | {
                "group.id": f"{self.name}-reader",
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
            }
        )
        try:
            found: list[Message] = []
            for partition in range(self.partitions(topic)):
                at = TopicPartition(topic, partition, 0)
                _, end = consumer.get_watermark_offsets(at, timeout=20)
                consumer.assign([at])
                taken: list[Message] = []
                # A transaction marker would be an offset without a message: nobody here uses them.
                while len(taken) < end:
                    message = consumer.poll(20)
                    assert message is not None and message.error() is None, message
                    taken.append(message)
                found += taken
            return found
        finally:
            consumer.close()

    def committed(self, topic: str) -> int:
        """Sum of the offsets that the group of this test has committed."""
        consumer = Consumer(self.options | {"group.id": self.name})
        try:
            asked = [TopicPartition(topic, n) for n in range(self.partitions(topic))]
            return sum(max(0, p.offset) for p in consumer.committed(asked, timeout=20))
        finally:
            consumer.close()


class Watched:
    """A process with its output so far."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.lines: list[str] = []
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            self.lines.append(line)

    @property
    def output(self) -> str:
        return "".join(self.lines)

    def wait_for(self, text: str, seconds: float = 90) -> None:
        def seen() -> bool:
            if self.process.poll() is not None and text not in self.output:
                self._thread.join(10)
                assert text in self.output, f"ended without {text!r}:\n{self.output}"
            return text in self.output

        wait_until(seen, lambda: f"{text!r} in\n{self.output}", seconds)

    def end(self, seconds: float = 120) -> int:
        """Wait for the end; the exit status."""
        try:
            status = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            pytest.fail(f"still runs after {seconds} s:\n{self.output}")
        self._thread.join(10)
        return status
