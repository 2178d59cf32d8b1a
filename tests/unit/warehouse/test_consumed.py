from __future__ import annotations

from dataclasses import replace

import pytest

from luigi_traffic.warehouse.connection import Warehouse
from luigi_traffic.warehouse.consumed import Busy, ConsumedEvents, Decision

MADE = Decision("e1", "t", 2, 7, "dead-letter", 3)


@pytest.fixture
def events(warehouse: Warehouse) -> ConsumedEvents:
    with warehouse.connect() as conn, conn.cursor() as cursor:
        cursor.execute("TRUNCATE meta.consumed_event")
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
