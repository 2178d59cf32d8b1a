from __future__ import annotations

import os
import time
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from luigi_traffic.lake.catalog import Catalog
from luigi_traffic.lake.entries import Entry
from luigi_traffic.lake.local import LocalStore
from luigi_traffic.lake.manifest import Manifest
from luigi_traffic.recipe import Recipe

DAY = date(2012, 3, 28)
RECIPE = Recipe("silver", "tiny", {"x": "1"})
RAW = Recipe("raw", "tiny", {"x": "1"})
ID = "a" * 32


class Counting(LocalStore):
    """Counts its listings; may lose the answer of a create."""

    lists = 0
    lose_the_answer = False

    def list(self, prefix: str):
        self.lists += 1
        return super().list(prefix)

    def create(self, key: str, data: bytes) -> bool:
        won = super().create(key, data)
        return won and not self.lose_the_answer


@pytest.fixture
def store(tmp_path: Path) -> Counting:
    return Counting(tmp_path)


@pytest.fixture
def catalog(store: Counting) -> Catalog:
    """Of a process that works."""
    made = Catalog(store)
    made.begin_work()
    return made


def manifest(catalog: Catalog, partition_id: str = ID, recipe: Recipe = RECIPE, **more) -> Manifest:
    prefix = catalog.attempt(recipe.stage, "tiny", DAY).prefix
    return Manifest.start(recipe, DAY, partition_id, inputs=[], **{"prefix": prefix, **more})


def live(catalog: Catalog, partition_id: str = ID, day: date = DAY) -> Entry | None:
    return catalog.live("silver", "tiny", day, RECIPE.hash, partition_id)


def live_raw(catalog: Catalog) -> str | None:
    found = catalog.live("raw", "tiny", DAY, RAW.hash)
    return catalog.manifest(found).partition_id if found else None


def test_what_is_committed_is_found(catalog: Catalog) -> None:
    assert live(catalog) is None
    made = manifest(catalog, rows_in=7)
    assert catalog.commit(made)
    entry = live(catalog)
    assert entry is not None
    assert (entry.day, entry.partition_id, entry.recipe_hash) == (DAY, ID, RECIPE.hash)
    read = catalog.manifest(entry)
    assert replace(read, committed_at="") == made
    assert catalog.manifests([entry, entry]) == [read, read]
    assert live(catalog, "b" * 32) is None
    assert live(catalog, day=date(2012, 3, 29)) is None
    assert catalog.live("silver", "tiny", DAY, "another", ID) is None
    assert catalog.live("silver", "other", DAY, RECIPE.hash, ID) is None


def test_the_second_commit_of_an_id_loses(catalog: Catalog, store: Counting) -> None:
    first = manifest(catalog)
    assert catalog.commit(first)
    assert not Catalog(store).commit(manifest(catalog))
    found = live(catalog)
    assert found is not None
    assert catalog.manifest(found).prefix == first.prefix


def test_a_lost_answer_is_read_back(store: Counting, catalog: Catalog) -> None:
    store.lose_the_answer = True
    assert catalog.commit(manifest(catalog))  # ours, though the store said "taken"
    assert not catalog.commit(manifest(catalog))  # somebody else's


def test_a_commit_by_somebody_else_is_seen(store: Counting, catalog: Catalog) -> None:
    assert live(catalog) is None
    assert Catalog(store).commit(manifest(catalog))
    assert live(catalog) is not None


def test_one_listing_answers_for_all_days(store: Counting, catalog: Catalog) -> None:
    for n in range(1, 29):
        made = replace(manifest(catalog), day=date(2012, 2, n).isoformat())
        assert Catalog(store).commit(made)
    store.lists = 0
    assert all(live(catalog, day=date(2012, 2, n)) for n in range(1, 29))
    assert store.lists == 1
    assert live(catalog) is None  # who works asks again for what is not there, …
    assert store.lists == 2
    store.lists = 0
    with catalog.snapshot():  # … but not in a snapshot, which begins with a fresh listing
        assert live(catalog) is None
        assert live(catalog, day=date(2012, 2, 1)) is not None
    assert store.lists == 1
    assert not catalog.planning


def test_who_plans_asks_once_also_for_what_is_not_there(store: Counting) -> None:
    planner = Catalog(store)
    assert not any(live(planner, day=DAY + timedelta(days=n)) for n in range(1095))
    assert store.lists == 1


def test_a_snapshot_sees_what_was_committed_before_it(store: Counting, catalog: Catalog) -> None:
    assert live(catalog) is None
    Catalog(store).commit(manifest(catalog))
    with catalog.snapshot():
        assert live(catalog) is not None


def test_of_two_contents_the_one_that_made_the_generation_counts(
    store: Counting, catalog: Catalog
) -> None:
    first, second = (manifest(catalog, c * 32, RAW) for c in "ab")
    assert catalog.commit(first)
    assert not catalog.commit(second)
    assert live_raw(Catalog(store)) == "a" * 32
    assert catalog.commit(replace(second, generation=2))
    for then in (time.time() - 60, time.time() + 60):  # a copy of the lake changes times
        os.utime(store.root / first.key, (then, then))
        assert live_raw(Catalog(store)) == "b" * 32


def test_what_is_void_is_made_again_as_the_next_generation(
    store: Counting, catalog: Catalog
) -> None:
    def number() -> int:
        return catalog.next_generation("silver", "tiny", DAY, RECIPE.hash, ID)

    assert number() == 1
    assert catalog.commit(manifest(catalog))
    assert number() == 1  # so that a second commit loses
    found = live(catalog)
    assert found is not None
    catalog.void(found, "a file is gone")
    assert live(catalog) is None
    assert live(Catalog(store)) is None
    catalog.void(found, "said twice")
    assert number() == 2
    again = manifest(catalog, generation=2)
    assert catalog.commit(again)
    assert not catalog.commit(manifest(catalog, generation=2))
    found = live(Catalog(store))
    assert found is not None
    assert catalog.manifest(found).prefix == again.prefix


def test_absence_is_a_record_and_no_partition(catalog: Catalog) -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    for n in range(2):
        catalog.record_absence(RAW, DAY, "ab", f"reason {n}", at + timedelta(hours=n))
    assert live_raw(catalog) is None
    records = catalog.day("raw", "tiny", DAY).absences(RAW.hash, "ab")
    assert [catalog.manifest(r).details["reason"] for r in records] == ["reason 0", "reason 1"]
    assert catalog.day("raw", "tiny", DAY).absences(RAW.hash, "cd") == []


def test_the_same_bytes_elsewhere_are_a_mark(catalog: Catalog, store: Counting) -> None:
    assert catalog.commit(manifest(catalog, recipe=RAW))
    found = catalog.live("raw", "tiny", DAY, RAW.hash)
    assert found is not None
    catalog.record_same(found, "ab", {"archives": []})
    fresh = Catalog(store)
    assert [e.address for e in fresh.day("raw", "tiny", DAY).compared(found)] == ["ab"]
    assert live_raw(fresh) == ID
