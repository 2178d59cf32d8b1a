"""A dataset that is pushed: sensors write to a Kafka topic, a day is what lies in it of that day.

A message is one observation, JSON with `at` (wall time), `link` and `speed`, its Kafka timestamp
the time of the observation. A test plugin, and an example of a source that is no file.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from kafka import KafkaConsumer
from kafka.errors import KafkaError
from kafka.structs import TopicPartition

import luigi_traffic as lt
from luigi_traffic import functions as F

luigi_traffic_api = 2
_ZONE = "Asia/Seoul"
#: A partition is read no further than this without news; the day is then tried again.
_SILENCE_S = 30.0


class Topic(lt.Source):
    """The messages of a day, partition by partition, in the order of their offsets."""

    def __init__(self, servers: Sequence[str], topic: str) -> None:
        self.servers, self.topic = list(servers), topic

    def recipe(self) -> dict[str, Any]:
        return {"kind": "kafka", "topic": self.topic}

    @contextmanager
    def open(self, day: date) -> Iterator[Iterator[lt.Stream]]:
        midnight = datetime.combine(day, datetime.min.time(), ZoneInfo(_ZONE))
        begin, end = (
            int(moment.timestamp() * 1000) for moment in (midnight, midnight + timedelta(days=1))
        )
        if time.time() * 1000 < end:
            raise lt.SourceAbsent(f"{day} is not over in {_ZONE}: more of it may be pushed")
        try:
            consumer = KafkaConsumer(bootstrap_servers=self.servers, enable_auto_commit=False)
        except KafkaError as e:
            raise lt.TransientError(f"no broker at {', '.join(self.servers)}: {e}") from e
        try:
            spans = self._spans(consumer, begin, end)
            if not any(last > first for first, last in spans.values()):
                raise lt.SourceAbsent(f"topic {self.topic} has no message of {day}")
            yield (
                lt.Stream(
                    f"{self.topic}-{spot.partition}.jsonl",
                    self._lines(consumer, spot, first, last),
                    origin=f"kafka:{self.topic}/{spot.partition}/{first}-{last}",
                )
                for spot, (first, last) in spans.items()
                if last > first
            )
        finally:
            consumer.close()

    def _spans(
        self, consumer: KafkaConsumer, begin: int, end: int
    ) -> dict[TopicPartition, tuple[int, int]]:
        """Offsets of each partition: the first of the day, and the first after it."""
        numbers = sorted(consumer.partitions_for_topic(self.topic) or ())
        spots = [TopicPartition(self.topic, number) for number in numbers]
        if not spots:
            raise lt.SourceAbsent(f"there is no topic {self.topic}")
        ends = consumer.end_offsets(spots)
        edges = []
        for moment in (begin, end):
            found = consumer.offsets_for_times(dict.fromkeys(spots, moment))
            edges.append({s: found[s].offset if found[s] else ends[s] for s in spots})
        return {spot: (edges[0][spot], edges[1][spot]) for spot in spots}

    def _lines(
        self, consumer: KafkaConsumer, spot: TopicPartition, first: int, last: int
    ) -> Iterator[bytes]:
        consumer.assign([spot])
        consumer.seek(spot, first)
        heard = time.monotonic()
        while consumer.position(spot) < last:
            batch = consumer.poll(timeout_ms=1000).get(spot, [])
            if batch:
                heard = time.monotonic()
            elif time.monotonic() - heard > _SILENCE_S:
                raise lt.TransientError(f"{self.topic}/{spot.partition} fell silent before {last}")
            yield b"".join(m.value.replace(b"\n", b" ") + b"\n" for m in batch if m.offset < last)


class PushedSettings(lt.DatasetSettings):
    servers: list[str] = lt.setting([], stage=None, description="host:port of brokers")
    topic: str = lt.setting("", stage="raw", description="topic that sensors write to")


class Pushed(lt.Dataset):
    name, version = "pushed", "1"
    interval = timedelta(minutes=10)
    timezone, measures = _ZONE, {"speed": "km/h"}
    reject_reasons = ("bad row", "other day")
    Settings = PushedSettings

    def source(self) -> lt.Source:
        return Topic(self.settings.servers, self.settings.topic)

    def bronze(self, spark: Any, raw: lt.RawDay) -> Any:
        row = F.json_members("line", ("at", "link", "speed"))
        rows = F.lines(spark, raw).select(
            F.wall_time(row["at"]).alias("timestamp"), row["link"].alias("link_id"),
            F.number(row["speed"]).alias("speed"), F.col("line").alias("raw_line"),
        )  # fmt: skip
        whole = F.col("timestamp").isNotNull() & F.col("link_id").isNotNull() & (F.col("speed") > 0)
        reason = F.when(~F.coalesce(whole, F.lit(False)), "bad row").when(
            ~F.in_day("timestamp", raw.day), "other day"
        )
        return rows.withColumn("reject_reason", reason)

    def silver(self, bronze: Any) -> Any:
        start = F.interval_start("timestamp", self.interval)
        return bronze.groupBy(start.alias("timestamp"), "link_id").agg(
            F.exact_mean(F.col("speed")).alias("speed"), F.count(F.lit(1)).alias("n_obs")
        )


@lt.hookimpl
def luigi_traffic_datasets() -> list[type[lt.Dataset]]:
    return [Pushed]
