"""Announcements on a real broker, as another client reads them."""

from __future__ import annotations

import json
import multiprocessing
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from homes import LocalHome
from kafka_user import EVENTS, KafkaUser
from small import SMALL

from luigi_traffic.errors import SettingsError, StoreError
from luigi_traffic.events.announcement import Announcement
from luigi_traffic.events.kafka import KafkaLog
from luigi_traffic.settings.keys import EventsSettings

DAYS = ("2024-01-10", "2024-01-11", "2024-01-12")


@pytest.fixture
def user() -> KafkaUser:
    return KafkaUser()


def settings(user: KafkaUser, **more: object) -> EventsSettings:
    given = {k.removeprefix(EVENTS).lower(): v for k, v in user.environment.items()}
    given["servers"] = json.loads(given["servers"])
    return EventsSettings.model_validate(given | more)


def announcement(topic: str, event_id: str = "1" * 32) -> Announcement:
    event = {
        "specversion": "1.0", "id": event_id, "source": "/luigi_traffic/x", "type": "t",
        "datacontenttype": "application/json", "data": {"dataset": "울산"},
    }  # fmt: skip
    return Announcement(topic, "x/2024-01-10", event)


def test_one_well_formed_event_a_day_with_the_id_that_the_journal_has(
    user: KafkaUser, tmp_path: Path
) -> None:
    arguments = (
        "luigi", "--module", "luigi_traffic.run", "RangeDaily", "--of", "AnnounceRaw",
        "--of-params", '{"dataset": "its_sim"}', "--start", DAYS[0], "--stop", "2024-01-13",
        "--local-scheduler",
    )  # fmt: skip
    homes = [
        LocalHome(tmp_path / "journal", SMALL | {f"{EVENTS}TOPIC": f"{user.name}.{{dataset}}.raw"}),
        LocalHome(tmp_path / "kafka", SMALL | user.settings),
    ]
    try:
        for home in homes:
            status, output = home.run(*arguments)
            assert status == 0, output
            receipts = {m["day"]: m["details"] for m in home.manifests("announce")}
        topic = user.topic("its_sim")
        journal = (homes[0].path / "events" / f"{topic}.jsonl").read_text(encoding="utf-8")
    finally:
        for home in homes:
            home.server.destroy()
    expected = {line["key"]: line["event"] for line in map(json.loads, journal.splitlines())}

    messages = user.read(topic)
    assert len(messages) == len(DAYS)
    assert user.partitions(topic) == 3
    for message in messages:
        headers = dict(message.headers())
        event = json.loads(message.value())
        key = message.key().decode()
        assert headers["content-type"] == b"application/cloudevents+json; charset=UTF-8"
        assert event["specversion"] == "1.0"
        for name in ("specversion", "id", "source", "type", "subject", "time"):
            assert headers[f"ce_{name}"].decode() == event[name]
        assert (event["id"], event["type"]) == (expected[key]["id"], expected[key]["type"])
        assert event["data"]["partition_id"] == expected[key]["data"]["partition_id"]
        assert event["subject"] == event["data"]["date"] == key.partition("/")[2]
        at = {"topic": topic, "partition": message.partition(), "offset": message.offset()}
        assert receipts[event["subject"]]["receipt"] == {"log": "kafka", **at}
    assert {json.loads(m.value())["subject"] for m in messages} == set(DAYS)


def test_a_topic_is_created_as_configured_and_an_existing_one_left_as_it_is(
    user: KafkaUser,
) -> None:
    log = KafkaLog(settings(user, partitions=5))
    user.create(user.topic("there"), partitions=2)
    for dataset, partitions in (("new", 5), ("there", 2)):
        topic = user.topic(dataset)
        receipt = log.publish(announcement(topic))
        assert receipt == {"log": "kafka", "topic": topic, "partition": receipt["partition"],
                           "offset": 0}  # fmt: skip
        assert user.partitions(topic) == partitions
        (message,) = user.read(topic)
        assert json.loads(message.value())["data"]["dataset"] == "울산"


def test_two_creators_at_once(user: KafkaUser) -> None:
    topic = user.topic("new")
    together = 4
    with ThreadPoolExecutor(together) as pool:
        logs = [KafkaLog(settings(user)) for _ in range(together)]
        receipts = list(pool.map(lambda log: log.publish(announcement(topic)), logs))
    assert len(receipts) == together
    assert {r["partition"] for r in receipts} == {receipts[0]["partition"]}  # one key, one place
    assert sorted(r["offset"] for r in receipts) == list(range(together))
    assert user.partitions(topic) == 3


def _publish(log: KafkaLog, topic: str) -> None:
    log.publish(announcement(topic))


def test_a_log_works_on_both_sides_of_a_fork(user: KafkaUser) -> None:
    """Luigi forks its workers, with what their parent has opened."""
    topic = user.topic("forked")
    log = KafkaLog(settings(user))
    log.publish(announcement(topic))
    fork = multiprocessing.get_context("fork")
    children = [fork.Process(target=_publish, args=(log, topic)) for _ in range(2)]
    for child in children:
        child.start()
    log.publish(announcement(topic))
    for child in children:
        child.join(60)
        assert child.exitcode == 0
    assert len(user.read(topic)) == 4


def test_more_replicas_than_brokers_is_an_error_of_the_settings(user: KafkaUser) -> None:
    log = KafkaLog(settings(user, replication=99))
    with pytest.raises(SettingsError, match=r"events\.replication"):
        log.publish(announcement(user.topic("new")))


def test_a_name_that_no_topic_can_have_is_an_error_of_the_settings(user: KafkaUser) -> None:
    with pytest.raises(SettingsError, match=r"events\.topic"):
        KafkaLog(settings(user)).publish(announcement("two words"))


def test_no_broker_is_named_with_what_to_do(
    user: KafkaUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("luigi_traffic.events.kafka_client.PATIENCE_S", 0.1)
    nobody = settings(user, servers=["127.0.0.1:1"])
    with pytest.raises(StoreError, match=r"127\.0\.0\.1:1.*events\.servers"):
        KafkaLog(nobody).publish(announcement(user.topic("x")))
