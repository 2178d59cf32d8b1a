from __future__ import annotations

import os
import time
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from luigi_traffic.lake.catalog import Catalog
from luigi_traffic.lake.local import LocalStore
from luigi_traffic.lake.manifest import ABSENT, Manifest
from luigi_traffic.recipe import Recipe

DAY = date(2012, 3, 28)
RECIPE = Recipe("raw", "tiny", {"source": "x"})


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
    return Catalog(store)


def manifest(catalog: Catalog, partition_id: str = "a" * 32, **more) -> Manifest:
    prefix = catalog.attempt("raw", "tiny", DAY).prefix
    return Manifest.start(RECIPE, DAY, partition_id, inputs=[], **{"prefix": prefix, **more})


def find(catalog: Catalog, partition_id: str | None = None, day: date = DAY):
    return catalog.find("raw", "tiny", day, RECIPE.hash, partition_id)


def test_what_is_committed_is_found(catalog: Catalog) -> None:
    assert find(catalog) is None
    made = manifest(catalog, rows_in=7)
    assert catalog.commit(made)
    entry = find(catalog)
    assert entry is not None
    assert (entry.day, entry.partition_id, entry.recipe_hash) == (DAY, "a" * 32, RECIPE.hash)
    read = catalog.manifest(entry)
    assert replace(read, committed_at="") == made
    assert find(catalog, "b" * 32) is None
    assert find(catalog, day=date(2012, 3, 29)) is None
    assert catalog.find("raw", "tiny", DAY, "another") is None
    assert catalog.find("raw", "other", DAY, RECIPE.hash) is None


def test_the_second_commit_of_an_id_loses(catalog: Catalog, store: Counting) -> None:
    first = manifest(catalog)
    assert catalog.commit(first)
    assert not Catalog(store).commit(manifest(catalog))
    found = find(catalog)
    assert found is not None
    assert catalog.manifest(found).prefix == first.prefix


def test_a_lost_answer_is_read_back(store: Counting, catalog: Catalog) -> None:
    store.lose_the_answer = True
    assert catalog.commit(manifest(catalog))  # ours, though the store said "taken"
    assert not catalog.commit(manifest(catalog))  # somebody else's


def test_a_commit_by_somebody_else_is_seen(store: Counting, catalog: Catalog) -> None:
    assert find(catalog) is None
    assert Catalog(store).commit(manifest(catalog))
    assert find(catalog) is not None


def test_one_listing_answers_for_all_days(store: Counting, catalog: Catalog) -> None:
    for n in range(1, 29):
        made = replace(manifest(catalog), day=date(2012, 2, n).isoformat())
        assert Catalog(store).commit(made)
    store.lists = 0
    assert all(find(catalog, day=date(2012, 2, n)) for n in range(1, 29))
    assert store.lists == 1
    assert find(catalog) is None  # a miss is asked for again, …
    assert store.lists == 2
    store.lists = 0
    with catalog.snapshot():  # … but not in a snapshot, which begins with a fresh listing
        assert find(catalog) is None
        assert find(catalog, day=date(2012, 2, 1)) is not None
    assert store.lists == 1
    assert not catalog.trusts_misses


def test_a_snapshot_sees_what_was_committed_before_it(store: Counting, catalog: Catalog) -> None:
    assert find(catalog) is None
    Catalog(store).commit(manifest(catalog))
    with catalog.snapshot():
        assert find(catalog) is not None


def test_of_two_contents_the_first_committed_counts(store: Counting, catalog: Catalog) -> None:
    later, earlier = manifest(catalog, "a" * 32), manifest(catalog, "b" * 32)
    for made, age in [(later, 0), (earlier, 60)]:
        assert catalog.commit(made)
        then = time.time() - age
        os.utime(store.root / made.key, (then, then))
    for reader in (Catalog(store), Catalog(store)):
        found = find(reader)
        assert found is not None
        assert found.partition_id == "b" * 32


def test_absence_is_a_record_and_no_partition(catalog: Catalog) -> None:
    assert catalog.absent("raw", "tiny", DAY, RECIPE.hash) is None
    for stamp in (100, 200):
        record = manifest(catalog, f"{ABSENT}-{stamp}", prefix="", details={"reason": str(stamp)})
        assert catalog.commit(record)
    assert find(catalog) is None
    entry = catalog.absent("raw", "tiny", DAY, RECIPE.hash)
    assert entry is not None
    assert entry.absent
    assert catalog.absent("raw", "tiny", DAY, "another") is None
