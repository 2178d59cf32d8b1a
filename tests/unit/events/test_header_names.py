"""Records as they lie in Kafka, read by kafka-python's own parts."""

from __future__ import annotations

from typing import Any

import pytest
from kafka import TopicPartition
from kafka.consumer.fetcher import Fetcher
from kafka.errors import CorruptRecordError
from kafka.record import MemoryRecords, MemoryRecordsBuilder
from kafka.record.default_records import DefaultRecordBatch

from luigi_traffic.events import header_names
from luigi_traffic.events.header_names import UndecodedName

GZIP = 1


class Latin1(str):
    """A name that a careless producer sends as these bytes."""

    __slots__ = ()

    def encode(self, *_: object) -> bytes:
        return b"caf\xe9"


def delivered(*headers: list[tuple[str, bytes | None]], compression: int = 0) -> list[Any]:
    """What a consumer makes of a batch that has a record for each list of headers."""
    builder = MemoryRecordsBuilder(2, compression, 1 << 20, offset=100)
    for number, given in enumerate(headers):
        builder.append(number, b"k%d" % number, b"v%d" % number, headers=given)
    builder.close()
    batch = MemoryRecords(builder.buffer())
    return Fetcher.PartitionRecords(100, TopicPartition("t", 0), batch).take()


BAD = [(Latin1("x"), b"1"), ("content-type", b"text/plain")]


@pytest.fixture
def strict(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(DefaultRecordBatch, "_read_msg", header_names._strict)


@pytest.fixture
def tolerant(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(DefaultRecordBatch, "_read_msg", header_names._strict)
    header_names.tolerate()


@pytest.mark.usefixtures("strict")
def test_kafka_python_cannot_read_such_a_record() -> None:
    """Where this fails, it can, and `header_names` may go."""
    with pytest.raises(CorruptRecordError, match="UnicodeDecodeError"):
        delivered(BAD)


@pytest.mark.usefixtures("tolerant")
@pytest.mark.parametrize("compression", [0, GZIP])
def test_it_comes_whole_and_so_does_what_follows_it(compression: int) -> None:
    good: list[tuple[str, bytes | None]] = [("울산", b"\xff\xfe"), ("none", None)]
    found = delivered(good, BAD, good, BAD, compression=compression)
    assert [(r.offset, r.key, r.value) for r in found] == [
        (100 + n, b"k%d" % n, b"v%d" % n) for n in range(4)
    ]
    assert found[0].headers == found[2].headers == good
    for record in found[1::2]:
        assert record.headers == [("caf\\xe9", b"1"), ("content-type", b"text/plain")]
        assert [type(name) for name, _ in record.headers] == [UndecodedName, str]
        assert type(record.key) is type(record.value) is type(record.headers[0][1]) is bytes


@pytest.mark.usefixtures("tolerant")
def test_a_record_that_is_broken_otherwise_is_still_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(DefaultRecordBatch, "validate_crc", lambda *_: False)
    with pytest.raises(CorruptRecordError, match="crc"):
        delivered(BAD)
