"""The index: one read instead of a request a day, and never another answer."""

from __future__ import annotations

import os
import signal
from datetime import date
from pathlib import Path

import pytest

from luigi_traffic.lake.catalog import Catalog
from luigi_traffic.lake.index import Index
from luigi_traffic.lake.local import LocalStore
from luigi_traffic.lake.manifest import Manifest
from luigi_traffic.recipe import Recipe
from luigi_traffic.testing.lake_suite import fork

RECIPE = Recipe("raw", "tiny", {})
DAYS = [date(2012, 3, n) for n in range(1, 29)]


class Counting(LocalStore):
    """Counts what it reads."""

    reads = 0

    def read(self, key: str) -> bytes:
        self.reads += 1
        return super().read(key)


@pytest.fixture
def store(tmp_path: Path) -> Counting:
    return Counting(tmp_path / "lake")


@pytest.fixture
def index(tmp_path: Path) -> Index:
    return Index(tmp_path / "index.sqlite", "the lake")


def fill(store: LocalStore, index: Index | None = None) -> None:
    catalog = Catalog(store, index)
    for day in DAYS:
        made = Manifest.start(RECIPE, day, f"{day.day:032x}", inputs=[], rows_out=day.day)
        assert catalog.commit(made)


def ids(store: LocalStore, index: Index | None) -> dict[date, str]:
    catalog = Catalog(store, index)
    live = {day: catalog.live("raw", "tiny", day, RECIPE.hash) for day in DAYS}
    return {day: catalog.manifest(e).partition_id for day, e in live.items() if e}


def test_what_was_read_once_is_not_read_again(store: Counting, index: Index) -> None:
    fill(store)
    store.reads = 0
    wanted = {day: f"{day.day:032x}" for day in DAYS}
    assert ids(store, index) == wanted
    assert store.reads == len(DAYS)
    assert ids(store, index) == wanted
    assert store.reads == len(DAYS)


def test_a_commit_of_our_own_needs_no_reading(store: Counting, index: Index) -> None:
    fill(store, index)
    assert len(ids(store, index)) == len(DAYS)
    assert store.reads == 0


def test_another_object_under_an_old_key_is_read_anew(store: Counting, index: Index) -> None:
    fill(store, index)
    made = Manifest.start(RECIPE, DAYS[0], "e" * 32, inputs=[], rows_out=1)
    path = store.root / made.key
    path.unlink()
    os.utime(path.parent, (1, 1))
    assert store.create(made.key, made.to_json())
    assert ids(store, index)[DAYS[0]] == "e" * 32
    assert store.reads == 1


def test_other_lakes_are_other_indexes(store: Counting, tmp_path: Path, index: Index) -> None:
    fill(store, index)
    assert Index(tmp_path / "index.sqlite", "another").read("raw", "tiny") == {}
    assert index.read("silver", "tiny") == index.read("raw", "other") == {}


@pytest.mark.parametrize("content", [b"no database", b"SQLite format 3\0" + b"x" * 5000, b""])
def test_a_damaged_index_is_made_anew(store: Counting, tmp_path: Path, content: bytes) -> None:
    fill(store)
    (tmp_path / "index.sqlite").write_bytes(content)
    index = Index(tmp_path / "index.sqlite", "the lake")
    assert len(ids(store, index)) == len(DAYS)
    store.reads = 0
    assert len(ids(store, index)) == len(DAYS)
    assert store.reads == 0


def test_a_killed_writer_costs_at_most_the_cache(store: Counting, index: Index) -> None:
    """Many processes write at once, and all are killed; what is left is right."""

    def forever(number: int) -> None:
        while True:
            ids(store, index)
            catalog = Catalog(store, index)
            catalog.commit(Manifest.start(RECIPE, DAYS[0], f"{number:032x}", inputs=[]))

    fill(store)
    children = [fork.Process(target=forever, args=(n,)) for n in range(3)]
    for child in children:
        child.start()
    children[0].join(1.5)
    for child in children:
        os.kill(child.pid or 0, signal.SIGKILL)
        child.join(10)
        assert child.exitcode == -signal.SIGKILL
    assert ids(store, index) == {day: f"{day.day:032x}" for day in DAYS}
