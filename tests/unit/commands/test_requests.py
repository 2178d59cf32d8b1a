"""Promise 2: what is asked of the lake and the warehouse does not grow with the days."""

from __future__ import annotations

import pytest
from fabricated import Asked, counted, fabricate, scenarios
from process_state import forget

#: raw, announce, bronze, silver; with what gc and lineage look through besides.
MOST_LISTS = 8
MOST_SQL = 30


@pytest.fixture
def change(monkeypatch: pytest.MonkeyPatch):
    def set_all(**environment: str | None) -> None:
        for name, value in environment.items():
            if value is None:
                monkeypatch.delenv(name)
            else:
                monkeypatch.setenv(name, value)
        forget()

    return set_all


def asked(count: int, change) -> dict[str, Asked]:
    found: list[Asked] = []
    made = scenarios(count, change)
    made["lineage"]()  # reads every manifest once, into the index
    for work in made.values():
        with counted(found):
            work()
    return dict(zip(made, found, strict=True))


def test_questions_do_not_grow_with_the_days(empty, change) -> None:
    fabricate(10)
    first = asked(10, change)
    fabricate(40)
    many = asked(40, change)
    for name, few in first.items():
        more = many[name]
        assert (more.lists, more.sql) == (few.lists, few.sql), name
        assert more.lists <= MOST_LISTS, name
        assert more.sql <= MOST_SQL, name
        assert more.reads == 0, name  # the index has them all
