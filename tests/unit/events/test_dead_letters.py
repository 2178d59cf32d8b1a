"""What is kept of a message that cannot be worked."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from luigi_traffic.events import dead_letters
from luigi_traffic.events.dead_letters import (
    LONGEST,
    LONGEST_HEADERS,
    LONGEST_KEY,
    DeadLetters,
)
from luigi_traffic.events.header_names import UndecodedName
from luigi_traffic.settings.keys import EventsSettings, ListenSettings


@pytest.mark.parametrize(
    ("value", "kept", "cut"),
    [
        (b"x" * LONGEST, LONGEST, None),
        (b"x" * (3 << 20), LONGEST, b"3145728 bytes"),
        (None, 0, None),
    ],
)
def test_a_value_too_long_to_be_sent_again_is_cut(monkeypatch, value, kept, cut) -> None:
    sent = []
    monkeypatch.setattr(dead_letters, "send", lambda *what: sent.append(what))
    message = SimpleNamespace(topic="t", partition=1, offset=7, key=None, value=value, headers=[])
    DeadLetters(EventsSettings(), ListenSettings(), "g").send(message, "poison", 0)
    ((_, topic, _, content, headers),) = sent
    assert (topic, len(content)) == ("t.dead-letter", kept)
    assert dict(headers).get("dead-letter-cut") == cut
    assert dict(headers)["dead-letter-offset"] == b"7"


def buried(monkeypatch, **message) -> tuple:
    """Key, value and headers of the letter."""
    sent = []
    monkeypatch.setattr(dead_letters, "send", lambda *what: sent.append(what))
    whole = {"topic": "t", "partition": 1, "offset": 7, "key": b"k", "value": b"v", "headers": []}
    DeadLetters(EventsSettings(), ListenSettings(), "g").send(
        SimpleNamespace(**whole | message), "poison \ud800", 0
    )
    return sent[0][2:]


def test_bytes_that_no_text_can_hold_are_buried_too(monkeypatch) -> None:
    names = [(UndecodedName("caf\\xe9"), b"\xff"), ("null", None)]
    key, value, headers = buried(monkeypatch, key=b"\xff", value=b"\xfe", headers=names)
    assert (key, value) == (b"\xff", b"\xfe")
    assert headers[:2] == [("caf\\xe9", b"\xff"), ("null", b"")]
    assert type(headers[0][0]) is str
    assert dict(headers)["dead-letter-reason"] == b"poison \\ud800"


@pytest.mark.parametrize(
    ("message", "note", "said"),
    [
        ({"key": b"k" * (1 << 20)}, "key-cut", b"1048576 bytes"),
        ({"headers": [("a", b"x"), ("b", b"x" * (1 << 20)), ("c", b"x")]}, "headers-cut",
         b"2 of 3 left out"),
    ],
)  # fmt: skip
def test_no_part_of_a_letter_makes_it_too_large_to_be_sent(
    monkeypatch, message, note, said
) -> None:
    key, value, headers = buried(monkeypatch, value=b"x" * (3 << 20), **message)
    assert dict(headers)[f"dead-letter-{note}"] == said
    assert len(key) <= LONGEST_KEY
    assert sum(len(n) + len(v) for n, v in headers) < LONGEST_HEADERS + 4096
    assert len(key) + len(value) + LONGEST_HEADERS < 900_000
