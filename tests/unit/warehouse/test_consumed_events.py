from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from luigi_traffic.errors import SettingsError
from luigi_traffic.warehouse.connection import Warehouse
from luigi_traffic.warehouse.consumed_events import Busy, ConsumedEvents, Decision

MADE = Decision("e1", "t", 2, 7, "dead-letter", 3)


@pytest.fixture
def events(warehouse: Warehouse) -> ConsumedEvents:
    with warehouse.connect() as conn, conn.cursor() as cursor:
        cursor.execute("TRUNCATE meta.consumed_event, meta.consumer_filter")
    return ConsumedEvents(warehouse, "g")


def test_a_decision_comes_back_and_the_newest_counts(events: ConsumedEvents) -> None:
    assert events.find("e1") is None
    events.write(MADE)
    assert events.find("e1") == MADE
    again = replace(MADE, partition=0, offset=99, outcome="done", attempts=1)
    events.write(again)
    assert events.find("e1") == again
    assert events.find("e2") is None


def test_groups_decide_for_themselves(events: ConsumedEvents, warehouse: Warehouse) -> None:
    events.write(MADE)
    other = ConsumedEvents(warehouse, "another")
    assert other.find("e1") is None
    with events.claim("e1"), other.claim("e1"):
        pass


def test_one_member_at_a_time_has_an_event(events: ConsumedEvents, warehouse: Warehouse) -> None:
    other = ConsumedEvents(warehouse, "g")
    with events.claim("e1"):
        with other.claim("e2"):
            pass
        with pytest.raises(Busy), other.claim("e1"):
            pytest.fail("two have it")
    with other.claim("e1"):
        pass


ITS: dict[str, Any] = {"datasets": ["its"], "task": "Gold", "from": None, "arguments": []}
LATER = ITS | {"from": "2024-05-01"}


def test_members_that_want_the_same_agree(events: ConsumedEvents) -> None:
    events.agree({"t": ITS, "u": ITS})
    events.agree({"u": dict(reversed(ITS.items())), "t": ITS})


@pytest.mark.parametrize(
    "other",
    [LATER, ITS | {"datasets": ["its", "sim"]}, ITS | {"task": "Train"},
     ITS | {"arguments": ["--model stid"]}],
    ids=str,
)  # fmt: skip
def test_a_member_that_wants_something_else_of_a_topic_is_refused(
    events: ConsumedEvents, warehouse: Warehouse, other: dict[str, Any]
) -> None:
    events.agree({"t": ITS})
    with pytest.raises(SettingsError) as refused:
        events.agree({"a": other, "t": other})
    told = str(refused.value)
    assert "consumer group 'g' reads topic t for datasets its; task Gold (since 20" in told
    assert "--group NAME" in told and "listen.group" in told
    events.agree({"a": ITS})  # what is refused has recorded nothing
    ConsumedEvents(warehouse, "another").agree({"t": other})
    events.agree({"u": other})  # a topic of its own


def test_of_two_that_come_at_once_one_decides(events: ConsumedEvents, warehouse: Warehouse) -> None:
    def come(number: int) -> bool:
        wanted = [ITS, LATER][number % 2]
        try:
            ConsumedEvents(warehouse, "g").agree({"t": wanted, "u": wanted})
        except SettingsError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        agreed = list(pool.map(come, range(40)))
    assert agreed in ([True, False] * 20, [False, True] * 20)
