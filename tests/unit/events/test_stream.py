from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from kafka import TopicPartition
from kafka.errors import (
    CommitFailedError,
    CorruptRecordError,
    KafkaConnectionError,
    TopicAuthorizationFailedError,
)

from luigi_traffic.errors import DataError, SettingsError
from luigi_traffic.events import stream as module
from luigi_traffic.events.stream import Stream
from luigi_traffic.settings.keys import EventsSettings

HERE, THERE = TopicPartition("t", 0), TopicPartition("t", 1)


class Consumer:
    """Kafka's consumer as far as `Stream` uses it: `polls` are the answers to come."""

    def __init__(self) -> None:
        self.mine = {HERE}
        self.pausing: set[TopicPartition] = set()
        self.polls: list[Any] = []
        self.sought: list[tuple] = []
        self.committed: list[dict] = []
        self.refuses: Exception | None = None

    def partitions_for_topic(self, topic: str) -> set[int]:
        return {0, 1}

    def subscribe(self, topics: list[str]) -> None: ...

    def assignment(self) -> set[TopicPartition]:
        return self.mine

    def paused(self) -> set[TopicPartition]:
        return self.pausing

    def pause(self, *partitions: TopicPartition) -> None:
        self.pausing |= set(partitions)

    def resume(self, *partitions: TopicPartition) -> None:
        self.pausing = self.pausing - set(partitions)

    def seek(self, partition: TopicPartition, offset: int) -> None:
        self.sought.append((partition, offset))

    def poll(self, timeout_ms: int, max_records: int) -> dict:
        assert max_records == 1
        answer = self.polls.pop(0) if self.polls else {}
        if isinstance(answer, Exception):
            raise answer
        if callable(answer):
            return answer()
        return {p: r for p, r in answer.items() if p not in self.pausing}

    def commit(self, offsets: dict, timeout_ms: int) -> None:
        if self.refuses:
            raise self.refuses
        self.committed.append({p: o.offset for p, o in offsets.items()})

    def group_metadata(self) -> Any:
        return SimpleNamespace(generation_id=1)


def record(partition: TopicPartition, offset: int) -> Any:
    return SimpleNamespace(topic=partition.topic, partition=partition.partition, offset=offset)


@pytest.fixture
def consumer(monkeypatch: pytest.MonkeyPatch) -> Consumer:
    made = Consumer()
    monkeypatch.setattr(module, "connect", lambda *_, **__: made)
    return made


@pytest.fixture
def stream(consumer: Consumer) -> Stream:
    return Stream(EventsSettings(), ["t"], "g")


def test_tending_delivers_nothing_and_loses_nothing(stream, consumer):
    def rebalance() -> dict:
        consumer.mine = {HERE, THERE}  # not paused: the partition is new
        return {THERE: [record(THERE, 40)]}

    consumer.polls = [{HERE: [record(HERE, 5)]}, rebalance]
    stream.tend(0.0)
    stream.tend(0.0)
    assert consumer.sought == [(THERE, 40)]
    consumer.polls = [{THERE: [record(THERE, 40)]}]
    assert stream.next(0.0).offset == 40


def test_a_commit_is_one_past_the_message_and_only_in_a_partition_of_ours(stream, consumer):
    assert stream.commit(record(HERE, 5))
    assert not stream.commit(record(THERE, 5))
    assert consumer.committed == [{HERE: 6}]


def test_a_commit_that_fails_is_told_and_not_fatal(stream, consumer):
    consumer.refuses = CommitFailedError("rebalanced")
    assert not stream.commit(record(HERE, 5))


def test_a_broker_that_restarts_is_waited_for(stream, consumer):
    consumer.polls = [KafkaConnectionError("gone"), {HERE: [record(HERE, 5)]}]
    assert stream.next(0.0) is None
    assert stream.next(0.0).offset == 5


def test_what_trying_again_does_not_mend_is_raised(stream, consumer):
    consumer.polls = [TopicAuthorizationFailedError("t")]
    with pytest.raises(SettingsError, match="ACL"):
        stream.next(0.0)


def test_a_batch_that_is_damaged_is_told_with_its_place_and_not_stepped_over(stream, consumer):
    consumer.polls = [CorruptRecordError("failed crc check")]
    with pytest.raises(DataError, match=r"one of t/0 is damaged: .*crc.* offset of group 'g'"):
        stream.next(0.0)
    assert consumer.sought == []
