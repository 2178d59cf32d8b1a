"""What is kept of a message that cannot be worked."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from luigi_traffic.events import dead_letters
from luigi_traffic.events.dead_letters import LONGEST, DeadLetters
from luigi_traffic.settings import EventsSettings, ListenSettings


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
