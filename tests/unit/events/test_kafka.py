from __future__ import annotations

import logging
from types import SimpleNamespace

import pytest
from kafka.errors import (
    InvalidReplicationFactorError,
    KafkaTimeoutError,
    SaslAuthenticationFailedError,
    TopicAuthorizationFailedError,
    UnsupportedCodecError,
)

from luigi_traffic.errors import SettingsError, StoreError
from luigi_traffic.events import kafka_client
from luigi_traffic.events.dead_letters import headers as dead_headers
from luigi_traffic.events.kafka import headers
from luigi_traffic.events.kafka_client import Chatter, connect, options, trouble
from luigi_traffic.settings.keys import EventsSettings

SASL = EventsSettings(
    kind="kafka",
    servers=["k1:9092", "k2:9092"],
    security_protocol="SASL_SSL",
    user="ann",
    password="geheim",  # type: ignore[arg-type]
)


class Stranger:
    """A client whose broker logs in nobody: kafka-python logs the reason, and times out."""

    def __init__(self, **_: object) -> None:
        logging.getLogger("kafka.net.manager").warning(
            "Bootstrap connection to %s failed: %s", "b-0", SaslAuthenticationFailedError("no")
        )
        raise KafkaTimeoutError("Unable to bootstrap")


class Nobody:
    def __init__(self, **_: object) -> None:
        logging.getLogger("kafka.net.manager").error("Connection failed: %s", "ECONNREFUSED")
        raise KafkaTimeoutError("Unable to bootstrap")


def test_attributes_are_headers_too_as_the_binding_has_it():
    event = {"specversion": "1.0", "id": "1", "source": "/도로", "type": "t",
             "datacontenttype": "application/json", "data": {"a": 1}}  # fmt: skip
    assert headers(event) == [
        ("content-type", b"application/cloudevents+json; charset=UTF-8"),
        ("ce_specversion", b"1.0"),
        ("ce_id", b"1"),
        ("ce_source", "/도로".encode()),
        ("ce_type", b"t"),
    ]


def test_a_dead_letter_keeps_its_headers_and_says_why():
    kept = [("a", None), ("a", b"2"), ("dead-letter-reason", b"an older one")]
    message = SimpleNamespace(topic="t", partition=2, offset=7, headers=kept)
    found = dead_headers(message, "não", 3, "g")  # type: ignore[arg-type]
    assert found[:2] == [("a", b""), ("a", b"2")]
    assert dict(found[2:]) == {
        "dead-letter-reason": "não".encode(), "dead-letter-attempts": b"3",
        "dead-letter-group": b"g", "dead-letter-topic": b"t", "dead-letter-partition": b"2",
        "dead-letter-offset": b"7",
    }  # fmt: skip
    assert len(found) == 8


def test_sasl_and_tls_come_from_the_settings(tmp_path):
    found = options(SASL)
    assert found["bootstrap_servers"] == ["k1:9092", "k2:9092"]
    assert (found["sasl_plain_username"], found["sasl_plain_password"]) == ("ann", "geheim")
    assert found["sasl_mechanism"] == "SCRAM-SHA-512"
    assert "ssl_cafile" not in found
    ca = tmp_path / "ca.pem"
    with pytest.raises(SettingsError, match=r"events\.ca_file.*ca\.pem"):
        options(SASL.model_copy(update={"ca_file": ca}))
    ca.write_text("x")
    assert options(SASL.model_copy(update={"ca_file": ca}))["ssl_cafile"] == str(ca)
    plain = options(SASL.model_copy(update={"security_protocol": "PLAINTEXT"}))
    assert not [key for key in plain if key.startswith(("sasl", "ssl"))]


def test_a_wrong_password_is_an_error_of_the_settings_that_names_the_variable():
    with pytest.raises(SettingsError) as refused:
        connect(Stranger, SASL)
    assert "LUIGI_TRAFFIC__EVENTS__PASSWORD" in str(refused.value)
    assert "'ann'" in str(refused.value)
    assert "geheim" not in str(refused.value)


def test_no_broker_is_an_error_that_says_which_and_why(monkeypatch):
    monkeypatch.setattr(kafka_client, "PATIENCE_S", 0.0)
    with pytest.raises(StoreError, match=r"k1:9092, k2:9092.*ECONNREFUSED.*events\.servers"):
        connect(Nobody, SASL)


@pytest.mark.parametrize(
    ("error", "kind", "named"),
    [
        (TopicAuthorizationFailedError("x"), SettingsError, "'ann' may not"),
        (InvalidReplicationFactorError("x"), SettingsError, r"events\.replication \(1\)"),
        (UnsupportedCodecError("snappy"), SettingsError, "python-snappy"),
        (KafkaTimeoutError("x" * 9999), StoreError, "failed: KafkaTimeoutError: xxx"),
    ],
)
def test_errors_in_our_words(error, kind, named):
    told = trouble(SASL, "sending", error)
    assert type(told) is kind
    with pytest.raises(kind, match=named):
        raise told
    assert len(str(told)) < 1500


def test_a_broker_that_is_away_is_a_line_now_and_then(caplog):
    theirs = logging.getLogger("chatty")
    theirs.addHandler(Chatter())
    for n in range(50):
        theirs.warning("no broker %d", n)
    assert [r.getMessage() for r in caplog.records if r.name == "luigi_traffic"] == [
        "Kafka client: no broker 0"
    ]
