from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from luigi_traffic.lake.manifest import Manifest, folder, parse_key
from luigi_traffic.recipe import Recipe

NOW = datetime(2026, 1, 1, tzinfo=UTC)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@given(
    details=st.dictionaries(texts, st.none() | st.integers() | texts | st.lists(texts)),
    rows=st.integers(0),
    checksum=texts,
)
def test_a_manifest_comes_back_as_it_was(details: dict, rows: int, checksum: str) -> None:
    made = Manifest.start(
        Recipe("raw", "tiny", {"v": "1"}), date(2012, 3, 28), "f" * 32,
        inputs=[{"stage": "source", "part": "울산", "id": "x"}],
        rows_in=rows, checksum=checksum, details=details,
    )  # fmt: skip
    read = Manifest.from_json(made.to_json())
    assert datetime.fromisoformat(read.committed_at).tzinfo is not None
    assert replace(read, committed_at="") == made
    assert Manifest.from_json(read.to_json()) == read


def test_the_key_tells_all_that_a_listing_must() -> None:
    recipe = Recipe("silver", "tiny", {"v": "1"})
    made = Manifest.start(recipe, date(2012, 3, 28), "f" * 32, inputs=[])
    assert made.key == f"_manifests/silver/tiny/2012-03-28/{recipe.hash}-{'f' * 32}.json"
    assert made.key.startswith(folder("silver", "tiny", "2012-03-28"))
    entry = parse_key(made.key, NOW)
    assert entry is not None
    assert (entry.day, entry.recipe_hash, entry.partition_id) == (
        date(2012, 3, 28), recipe.hash, "f" * 32,
    )  # fmt: skip
    assert not entry.absent


@pytest.mark.parametrize(
    "key",
    [
        "_manifests/raw/tiny/2012-03-28/abc.json",
        "_manifests/raw/tiny/2012-13-28/a-b.json",
        "_manifests/raw/tiny/2012-03-28/a-b.json.bak",
        "_manifests/raw/tiny/a-b.json",
        "raw/tiny/2012-03-28/x/a-b.json",
    ],
)
def test_other_objects_are_no_manifests(key: str) -> None:
    assert parse_key(key, NOW) is None
