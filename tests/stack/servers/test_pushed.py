"""A source that pushes: sensors write to Kafka, and a day of it runs to silver."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from confluent_kafka import Producer
from homes import REPOSITORY, LocalHome
from kafka_user import EVENTS, KafkaUser

DAY = "2024-05-01"
SEOUL = ZoneInfo("Asia/Seoul")
LINKS = ("울산 1", "울산 2", 'x,"y"')


def push(user: KafkaUser, topic: str, first: datetime, count: int, damaged: int = 0) -> None:
    """An observation of each link every 5 minutes from `first` on, two of them a 10-minute step."""
    producer = Producer(user.options)
    for number in range(count):
        at = first + timedelta(minutes=5 * number)
        stamp = int(at.replace(tzinfo=SEOUL).timestamp() * 1000)
        for place, link in enumerate(LINKS):
            row = {"at": at.isoformat(), "link": link, "speed": 40 + 10 * place + number % 2}
            producer.produce(
                topic, key=link, value=json.dumps(row, ensure_ascii=False), timestamp=stamp
            )
    stamp = int(first.replace(tzinfo=SEOUL).timestamp() * 1000)
    for _ in range(damaged):
        producer.produce(topic, value=b"no\njson", timestamp=stamp)
    assert producer.flush(30) == 0


@pytest.mark.timeout(300)
def test_a_pushed_day_is_what_lies_in_the_topic_of_that_day(tmp_path: Path) -> None:
    user = KafkaUser()
    topic = f"{user.name}.pushed"
    user.create(topic)
    midnight = datetime.fromisoformat(DAY)
    push(user, topic, midnight - timedelta(hours=1), 12)  # the day before, up to its last step
    push(user, topic, midnight, 24, damaged=2)
    push(user, topic, midnight + timedelta(days=1), 6)
    servers = user.environment[f"{EVENTS}SERVERS"]
    home = LocalHome(
        tmp_path / "home",
        {
            "LUIGI_TRAFFIC__PLUGINS__PATH": f"[{REPOSITORY / 'tests' / 'plugin_folder'}]",
            "LUIGI_TRAFFIC__DATASETS__PUSHED__SERVERS": servers,
            "LUIGI_TRAFFIC__DATASETS__PUSHED__TOPIC": topic,
            "LUIGI_TRAFFIC__SPARK__DRIVER_MEMORY": "1g",
        },
    )
    run = ("luigi", "--module", "luigi_traffic.run", "Silver", "--dataset", "pushed",
           "--local-scheduler", "--date")  # fmt: skip
    try:
        code, output = home.run(*run, DAY)
        assert code == 0, output
        (raw,), (bronze,), (silver,) = (home.manifests(s) for s in ("raw", "bronze", "silver"))
        assert raw["rows_out"] == 24 * len(LINKS) + 2
        assert bronze["rejected"] == {"bad row": 2}
        assert silver["rows_out"] == 12 * len(LINKS)
        speeds = {(r["link_id"], r["speed"], r["n_obs"]) for r in rows(home, silver)}
        assert speeds == {(link, 40.5 + 10 * place, 2) for place, link in enumerate(LINKS)}

        code, output = home.run(*run, "2024-05-03")
        assert code == 30, output
        assert f"topic {topic} has no message of 2024-05-03" in output
    finally:
        home.server.destroy()


def rows(home: LocalHome, manifest: dict) -> list[dict]:
    import io

    import pyarrow.parquet as pq

    return [
        row
        for file in manifest["files"]
        for row in pq.read_table(io.BytesIO(home.read(file["key"]))).to_pylist()
    ]
