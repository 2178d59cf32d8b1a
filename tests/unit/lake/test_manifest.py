from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime

from hypothesis import given
from hypothesis import strategies as st

from luigi_traffic.lake.manifest import Manifest
from luigi_traffic.recipe import Input, Recipe

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@given(
    details=st.dictionaries(texts, st.none() | st.integers() | texts | st.lists(texts)),
    rows=st.integers(0),
    checksum=texts,
)
def test_a_manifest_comes_back_as_it_was(details: dict, rows: int, checksum: str) -> None:
    made = Manifest.start(
        Recipe("raw", "tiny", {"v": "1"}), date(2012, 3, 28), "f" * 32,
        inputs=[Input("source", "울산", "x")],
        rows_in=rows, checksum=checksum, details=details,
    )  # fmt: skip
    read = Manifest.from_json(made.to_json())
    assert datetime.fromisoformat(read.committed_at).tzinfo is not None
    assert replace(read, committed_at="") == made
    assert Manifest.from_json(read.to_json()) == read
