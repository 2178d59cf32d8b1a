"""`luigi-traffic listen` on a real broker: each announced day once, whatever happens meanwhile.

The warehouse is an embedded PostgreSQL, the runs are `IngestRaw`: what is tested is the listening.
"""

from __future__ import annotations

import io
import json
import random
import signal
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from homes import LocalHome
from http_server import Answer, HttpServer, Request, http_server
from kafka import KafkaProducer
from kafka_user import EVENTS, KafkaUser, Watched, wait_until
from own_broker import OwnBroker
from small import SMALL

from luigi_traffic.events.announcement import TYPE as EVENT_TYPE
from luigi_traffic.events.announcement import Announcement, event_id
from luigi_traffic.events.kafka import headers

WEEK = [f"2024-01-{day:02d}" for day in range(8, 15)]
LISTEN = ("luigi-traffic", "listen", "--task", "IngestRaw")
LOCAL = ("--", "--local-scheduler")


def announced(dataset: str, day: str) -> tuple[bytes, bytes, list]:
    """Key, value and headers of a day's announcement."""
    event = {
        "specversion": "1.0", "id": event_id(dataset, day, "p"), "source": "/test",
        "type": EVENT_TYPE, "subject": day, "time": "2024-02-01T00:00:00+00:00",
        "datacontenttype": "application/json",
        "data": {"dataset": dataset, "date": day, "partition_id": "p"},
    }  # fmt: skip
    message = Announcement("", f"{dataset}/{day}", event)
    return message.key.encode(), message.to_json(), headers(event)


@pytest.fixture
def user() -> KafkaUser:
    return KafkaUser()


@pytest.fixture
def home(tmp_path: Path, user: KafkaUser) -> Iterator[LocalHome]:
    made = LocalHome(tmp_path / "home", SMALL | user.settings)
    yield made
    made.server.destroy()


class Listeners:
    """Listeners of one home; none outlives the test."""

    def __init__(self, home: LocalHome) -> None:
        self.home = home
        self.started: list[Watched] = []

    def start(self, *words: str, arguments: tuple[str, ...] = LOCAL, **more: str) -> Watched:
        made = Watched(self.home.start(*LISTEN, *words, *arguments, **more))
        self.started.append(made)
        return made

    def decisions(self) -> list[tuple]:
        return self.home.sql(
            "SELECT event_id, outcome, attempts FROM meta.consumed_event ORDER BY event_id"
        )


@pytest.fixture
def listeners(home: LocalHome) -> Iterator[Listeners]:
    made = Listeners(home)
    yield made
    for listener in made.started:
        end_with_children(listener, signal.SIGKILL)


def end_with_children(listener: Watched, number: int) -> None:
    """As a machine that loses power: the run does not outlive its listener."""
    if listener.process.poll() is None:
        processes = psutil.Process(listener.process.pid).children(recursive=True)
        # The embedded database is the home's, and started by whoever needs it first.
        runs = [p for p in processes if "luigi" in " ".join(p.cmdline())]
        listener.process.send_signal(number)
        for process in runs:
            process.send_signal(number)
        listener.process.wait(30)


class Source:
    """A server with a day of the ITS, that keeps its clients waiting until `open` is set."""

    web: HttpServer

    def __init__(self) -> None:
        self.open = threading.Event()

    def answer(self, request: Request) -> Answer:
        self.open.wait(240)
        day = request.path.strip("/").partition(".")[0]
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            header = "CREATDE,CREATHM,LINKID,ROADINSTTCD,PASNGSPED,PASNGTIME\n"
            archive.writestr(f"{day}.csv", f"{header}{day},0000,1920161400,5,40.5,30\n")
        return Answer(buffer.getvalue())

    @property
    def asked(self) -> list[str]:
        return self.web.paths


@contextmanager
def its_source(home: LocalHome) -> Iterator[Source]:
    """A source from which the runs of `home` fetch the days of the ITS."""
    made = Source()
    with http_server(made.answer) as made.web:
        home.environment["LUIGI_TRAFFIC__DATASETS__ITS__URL_TEMPLATE"] = (
            f"{made.web.url}/{{date}}.zip"
        )
        try:
            yield made
        finally:
            made.open.set()


@pytest.fixture
def source(home: LocalHome) -> Iterator[Source]:
    with its_source(home) as made:
        yield made


def test_a_week_twice_and_shuffled_to_two_listeners_is_worked_once(
    user: KafkaUser, home: LocalHome, listeners: Listeners
) -> None:
    topic = user.topic("its_sim")
    user.create(topic)
    # Any partition, not that of the key: so that both listeners get the same event.
    deliveries = [announced("its_sim", day) for day in WEEK] * 2
    random.Random(3).shuffle(deliveries)
    for n, message in enumerate(deliveries):
        user.write(topic, message, partition=n % 3)
    pair = [listeners.start("--dataset", "its_sim", "--until-idle", "8") for _ in range(2)]
    assert [listener.end(240) for listener in pair] == [0, 0]

    outputs = [listener.output for listener in pair]
    assert all(" run 1 of 3" in output for output in outputs), "one listener had nothing to do"
    together = "".join(outputs)
    assert together.count(": run 1 of 3") == len(WEEK)
    assert together.count("1 IngestRaw(") == len(WEEK)
    # Kafka may deliver a message again when the second listener joins.
    assert together.count("was handled before (done): dropped") >= len(WEEK)
    ids = sorted(event_id("its_sim", day, "p") for day in WEEK)
    assert listeners.decisions() == [(one, "done", 1) for one in ids]
    assert [m["day"] for m in home.manifests("raw")] == WEEK
    assert user.committed(topic) == 2 * len(WEEK)


def test_what_cannot_be_worked_is_a_dead_letter_and_blocks_nothing(
    user: KafkaUser, home: LocalHome, listeners: Listeners
) -> None:
    topic = user.topic("its_sim")
    user.create(topic, partitions=1)
    key, value, its_headers = announced("its_sim", "2024-01-01")  # before the source begins
    poison = [
        (b"k", b"not JSON", [("x", b"1")]),
        (None, None, []),
        (b"k", value.replace(b"its_sim", b"atlantis"), its_headers),
        (key, value, its_headers),
        (b"k", value.replace(b"2024-01-01", b"2024-01-10"), its_headers),  # under the id of another
    ]
    user.write(topic, *poison, announced("its_sim", "2024-01-10"))
    home.environment["LUIGI_TRAFFIC__DATASETS__ITS_SIM__START"] = "2024-01-05"
    listener = listeners.start("--dataset", "its_sim", "--until-idle", "3",
                               LUIGI_TRAFFIC__LISTEN__ATTEMPTS="2")  # fmt: skip
    assert listener.end() == 0, listener.output

    # Keys spread them over partitions: in the order of their place in the topic.
    dead = sorted(
        user.read(f"{topic}.dead-letter"),
        key=lambda message: int(dict(message.headers())["dead-letter-offset"]),
    )
    assert [(m.key(), m.value()) for m in dead] == [
        (k, b"" if k is None else v) for k, v, _ in poison
    ]
    reasons = [dict(m.headers())["dead-letter-reason"].decode() for m in dead]
    assert "not JSON" in reasons[0]
    assert "no value" in reasons[1]
    assert "'atlantis'" in reasons[2]
    assert "2 runs failed" in reasons[3] and "exit status" in reasons[3]
    assert event_id("its_sim", "2024-01-10", "p") in reasons[4]
    for message, (_, _, original) in zip(dead, poison, strict=True):
        assert set(original) <= set(message.headers())
        assert dict(message.headers())["dead-letter-topic"].decode() == topic
    for reason in reasons:
        assert reason in listener.output
    assert {row[1:] for row in listeners.decisions()} == {("dead-letter", 2), ("done", 1)}
    assert [m["day"] for m in home.manifests("raw") if m["files"]] == ["2024-01-10"]
    assert user.committed(topic) == 6


class Latin1(str):
    """A header's name that a careless producer sends as these bytes."""

    __slots__ = ()

    def encode(self, *_: object) -> bytes:
        return b"caf\xe9"


def test_a_header_that_is_no_text_costs_its_own_message_alone(
    user: KafkaUser, home: LocalHome, listeners: Listeners
) -> None:
    topic = user.topic("its_sim")
    user.create(topic, partitions=1)
    (key, value, its_headers), (_, next_value, next_headers) = (
        announced("its_sim", day) for day in WEEK[:2]
    )
    # One batch: what follows in it is behind a record that kafka-python itself cannot read.
    producer = KafkaProducer(
        bootstrap_servers=json.loads(user.environment[f"{EVENTS}SERVERS"]), linger_ms=2000,
        compression_type="gzip",
    )  # fmt: skip
    producer.send(topic, value, b"\xff", headers=[*its_headers, (Latin1("x"), b"\xfe")])
    producer.send(topic, next_value, key, headers=next_headers)
    producer.send(topic, None, b"a tombstone")
    producer.close()
    listener = listeners.start("--dataset", "its_sim", "--until-idle", "3")
    assert listener.end() == 0, listener.output

    first, second = user.read(f"{topic}.dead-letter")
    letters = {int(dict(m.headers())["dead-letter-offset"]): m for m in (first, second)}
    assert (letters[0].key(), letters[0].value()) == (b"\xff", value)
    assert ("caf\\xe9", b"\xfe") in letters[0].headers()
    assert b"is not UTF-8" in dict(letters[0].headers())["dead-letter-reason"]
    assert (letters[2].key(), letters[2].value()) == (b"a tombstone", None)
    assert [m["day"] for m in home.manifests("raw")] == [WEEK[1]]
    assert user.committed(topic) == 3


def test_a_member_that_would_leave_out_what_the_others_want_is_refused(
    user: KafkaUser, home: LocalHome, listeners: Listeners
) -> None:
    topic = user.topic("its_sim")
    user.write_new(topic, announced("its_sim", WEEK[0]))
    first = listeners.start("--dataset", "its_sim")
    first.wait_for(": done (")
    later = ("--dataset", "its_sim", "--from", WEEK[1], "--until-idle", "1")
    refused = listeners.start(*later)
    assert refused.end(60) == 1
    assert (
        f"consumer group {user.name!r} reads topic {topic} for datasets its_sim" in refused.output
    )
    # It never joined: the first one has all partitions, and gets what the other would pass over.
    user.write(topic, announced("its_sim", "2024-01-07"))
    wait_until(lambda: user.committed(topic) == 2, first.output)
    assert [m["day"] for m in home.manifests("raw")] == ["2024-01-07", WEEK[0]]
    assert first.output.count("this member's share of the group's work") == 1
    of_its_own = listeners.start(*later, "--group", f"{user.name}-2")
    assert of_its_own.end(60) == 0, of_its_own.output
    assert of_its_own.output.count("is not wanted here: left out") == 2


def test_a_dead_letter_that_is_sent_again_is_worked_again(
    user: KafkaUser, home: LocalHome, listeners: Listeners
) -> None:
    topic = user.topic("its_sim")
    user.write_new(topic, announced("its_sim", "2024-01-01"))
    once = ("--dataset", "its_sim", "--until-idle", "3")
    late = {"LUIGI_TRAFFIC__DATASETS__ITS_SIM__START": "2024-01-05"}
    failed = listeners.start(*once, LUIGI_TRAFFIC__LISTEN__ATTEMPTS="1", **late)
    assert failed.end() == 0, failed.output
    assert [row[1:] for row in listeners.decisions()] == [("dead-letter", 1)]
    user.write(topic, *user.read(f"{topic}.dead-letter"))
    assert listeners.start(*once).end() == 0
    assert [row[1:] for row in listeners.decisions()] == [("done", 1)]


def test_sigterm_stops_the_run_and_leaves_the_event_for_the_next_start(
    user: KafkaUser, home: LocalHome, listeners: Listeners, source: Source
) -> None:
    topic = user.topic("its")
    user.write_new(topic, announced("its", "2024-01-10"))
    first = listeners.start("--dataset", "its")
    wait_until(lambda: source.asked, "the run asks the source")
    (run,) = [p for p in psutil.Process(first.process.pid).children() if "luigi" in p.cmdline()]
    first.process.send_signal(signal.SIGTERM)
    assert first.end(60) == 0, first.output
    assert "leaving the group" in first.output
    assert not run.is_running()
    assert user.committed(topic) == 0
    assert listeners.decisions() == []

    source.open.set()
    second = listeners.start("--dataset", "its", "--until-idle", "3")
    assert second.end() == 0, second.output
    assert [row[1:] for row in listeners.decisions()] == [("done", 1)]
    assert user.committed(topic) == 1


def test_kill_9_of_a_listener_in_the_middle_hands_the_event_to_the_other(
    user: KafkaUser, home: LocalHome, listeners: Listeners, source: Source
) -> None:
    topic = user.topic("its")
    user.write_new(topic, announced("its", "2024-01-10"))
    first = listeners.start("--dataset", "its")
    wait_until(lambda: source.asked, "the run asks the source")
    second = listeners.start("--dataset", "its", "--until-idle", "20")
    second.wait_for("this member's share of the group's work")
    end_with_children(first, signal.SIGKILL)
    assert first.process.returncode == -signal.SIGKILL
    assert listeners.decisions() == []
    source.open.set()
    assert second.end(120) == 0, second.output
    assert [row[1:] for row in listeners.decisions()] == [("done", 1)]
    assert [m["day"] for m in home.manifests("raw")] == ["2024-01-10"]
    assert user.committed(topic) == 1


def test_a_rebalance_in_the_middle_of_a_run_does_not_double_it(
    user: KafkaUser, home: LocalHome, listeners: Listeners, source: Source
) -> None:
    """The second listener takes the partition over while the first still works on its event."""
    topic = user.topic("its")
    user.create(topic, partitions=2)
    for partition in range(2):
        user.write(topic, announced("its", "2024-01-10"), partition=partition)
    first = listeners.start("--dataset", "its", "--until-idle", "5")
    wait_until(lambda: source.asked, "the run asks the source")
    second = listeners.start("--dataset", "its", "--until-idle", "5")
    second.wait_for("another member is working on it, waiting")
    source.open.set()
    assert [first.end(), second.end()] == [0, 0], first.output + second.output
    assert source.asked == ["/20240110.zip"]
    assert (first.output + second.output).count(": run 1 of 3") == 1
    assert [row[1:] for row in listeners.decisions()] == [("done", 1)]
    assert user.committed(topic) == 2


def test_a_broker_that_is_killed_and_comes_back_costs_nothing(tmp_path: Path) -> None:
    broker = OwnBroker(tmp_path / "broker")
    user = KafkaUser({"LUIGI_TRAFFIC__EVENTS__KIND": "kafka",
                      "LUIGI_TRAFFIC__EVENTS__SERVERS": json.dumps([broker.address])})  # fmt: skip
    home = LocalHome(tmp_path / "home", SMALL | user.settings)
    listeners = Listeners(home)
    try:
        with its_source(home) as source:
            broker.start()
            topic = user.topic("its")
            user.write_new(topic, *(announced("its", day) for day in WEEK[:2]))
            listener = listeners.start("--dataset", "its")
            wait_until(lambda: source.asked, "the run asks the source")
            broker.kill()
            source.open.set()  # the run ends while there is no broker to commit to
            listener.wait_for(": done (")
            listener.wait_for("Kafka client: ")
            broker.start()
            listener.wait_for(f"its {WEEK[1]}", 120)
            user.write(topic, announced("its", WEEK[2]))
            wait_until(lambda: user.committed(topic) == 3, listener.output)
            listener.process.send_signal(signal.SIGTERM)
            assert listener.end(60) == 0, listener.output
            assert [row[1:] for row in listeners.decisions()] == [("done", 1)] * 3
            assert source.asked == [f"/{day.replace('-', '')}.zip" for day in WEEK[:3]]
    finally:
        for started in listeners.started:
            end_with_children(started, signal.SIGKILL)
        home.server.destroy()
        broker.kill()


def test_users_and_passwords(tmp_path: Path) -> None:
    """The right password works, a wrong one is told at once, and neither is shown."""
    broker = OwnBroker(tmp_path / "broker")
    secret = "Geheim-4711"
    plain = KafkaUser({"LUIGI_TRAFFIC__EVENTS__KIND": "kafka",
                       "LUIGI_TRAFFIC__EVENTS__SERVERS": json.dumps([broker.address])})  # fmt: skip
    sasl = plain.settings | {
        "LUIGI_TRAFFIC__EVENTS__SERVERS": json.dumps([broker.sasl_address]),
        "LUIGI_TRAFFIC__EVENTS__SECURITY_PROTOCOL": "SASL_PLAINTEXT",
        "LUIGI_TRAFFIC__EVENTS__USER": "ann",
        "LUIGI_TRAFFIC__EVENTS__PASSWORD": secret,
    }
    home = LocalHome(tmp_path / "home", SMALL | sasl)
    announce = ("luigi", "--module", "luigi_traffic.run", "AnnounceRaw", "--dataset", "its_sim",
                "--date", "2024-01-10", "--local-scheduler")  # fmt: skip
    try:
        broker.start()
        broker.add_user("ann", secret)
        wrong = "Falsch-4711"
        status, output = home.run(*announce, LUIGI_TRAFFIC__EVENTS__PASSWORD=wrong)
        assert status != 0
        assert "LUIGI_TRAFFIC__EVENTS__PASSWORD" in output and "'ann'" in output
        assert wrong not in output
        assert home.manifests("announce") == []
        told = home.run(*LISTEN, "--dataset", "its_sim", LUIGI_TRAFFIC__EVENTS__PASSWORD=wrong)
        assert told[0] == 1 and "LUIGI_TRAFFIC__EVENTS__PASSWORD" in told[1], told[1]
        assert wrong not in told[1]

        status, output = home.run(*announce)
        assert status == 0, output
        listened = home.run(*LISTEN, "--dataset", "its_sim", "--until-idle", "2", *LOCAL)
        assert listened[0] == 0 and ": done (" in listened[1], listened[1]
        (message,) = plain.read(plain.topic("its_sim"))
        shown = output + listened[1] + json.dumps(home.manifests("announce"))
        assert secret not in shown + repr((message.value(), message.headers()))
    finally:
        home.server.destroy()
        broker.kill()
