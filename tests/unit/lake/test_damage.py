"""Files that are not what was committed."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from luigi_traffic.errors import StoreError
from luigi_traffic.lake import damage
from luigi_traffic.lake.attempt import Attempt
from luigi_traffic.lake.catalog import Catalog
from luigi_traffic.lake.damage import file_damage
from luigi_traffic.lake.local import LocalStore
from luigi_traffic.lake.manifest import Manifest
from luigi_traffic.recipe import Recipe

ATTEMPT = Attempt("silver/tiny/2012-03-28/0123456789ab/")


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path)


@pytest.fixture
def manifest(store: LocalStore) -> Manifest:
    files = []
    for n in range(5):
        assert store.create(ATTEMPT.key(f"part-{n}"), b"content")
        sealed = store.seal(ATTEMPT.key(f"part-{n}"))
        files.append({"key": sealed.key, "size": sealed.size, "checksum": sealed.checksum})
    return Manifest.start(
        Recipe("silver", "tiny", {}), date(2012, 3, 28), "a" * 32, inputs=[],
        prefix=ATTEMPT.prefix, files=files,
    )  # fmt: skip


def test_whole_files_are_no_damage(store: LocalStore, manifest: Manifest) -> None:
    assert file_damage(store, manifest) == file_damage(store, manifest, deep=True) == []


def test_each_kind_of_damage_is_named(store: LocalStore, manifest: Manifest, monkeypatch) -> None:
    (store.root / ATTEMPT.key("part-0")).unlink()
    (store.root / ATTEMPT.key("part-1")).write_bytes(b"cont")
    (store.root / ATTEMPT.key("part-2")).write_bytes(b"CONTENT")
    gone, cut, other = file_damage(store, manifest)
    assert gone == f"{ATTEMPT.key('part-0')} is missing"
    assert cut == f"{ATTEMPT.key('part-1')} has 4 bytes, but 7 were committed"
    assert other == f"{ATTEMPT.key('part-2')} differs in content from what was committed"
    monkeypatch.setattr(damage, "CHEAP_BYTES", 5)  # then only sizes are looked at
    assert file_damage(store, manifest) == [gone, cut]
    assert file_damage(store, manifest, deep=True) == [gone, cut, other]


def test_many_damaged_files_are_counted(store: LocalStore, manifest: Manifest) -> None:
    found = file_damage(store, manifest, sizes={})
    assert len(found) == 4
    assert found[-1] == "and 2 more"


def test_a_commit_whose_files_are_gone_is_refused(store: LocalStore, manifest: Manifest) -> None:
    catalog = Catalog(store)
    catalog.discard(ATTEMPT)
    with pytest.raises(StoreError, match=r"cannot be committed.*Run again"):
        catalog.commit(manifest)
    assert list(store.list("")) == []
