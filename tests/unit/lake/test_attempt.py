from __future__ import annotations

from datetime import date

import pytest

from luigi_traffic.lake.attempt import Attempt
from luigi_traffic.lake.catalog import Catalog
from luigi_traffic.lake.local import LocalStore

DAY = date(2012, 3, 28)
NAME = "0123456789ab"


@pytest.mark.parametrize("below", [None, "korea", "korea/roads"])
def test_an_attempt_knows_where_it_lies(below: str | None) -> None:
    attempt = Attempt.fresh("silver", "tiny", DAY, below)
    assert attempt != Attempt.fresh("silver", "tiny", DAY, below)
    assert attempt.place == ("silver", "tiny", "2012-03-28")
    assert attempt.below == (below or "")
    key = attempt.key("part-0")
    assert attempt.holds(key)
    assert Attempt.holding(key, below or "") == attempt


@pytest.mark.parametrize(
    "prefix",
    [
        "", "/", "raw/", "raw/tiny/", "raw/tiny/2012-03-28/", f"raw/tiny/2012-03-28/{NAME}",
        f"raw/tiny/2012-03-28/{NAME}/x/", "_manifests/raw/tiny/2012-03-28/",
        f"announce/tiny/2012-03-28/{NAME}/", f"/raw/tiny/2012-03-28/{NAME}/",
        f"../raw/tiny/2012-03-28/{NAME}/", f"raw/../2012-03-28/{NAME}/",
    ],
)  # fmt: skip
def test_nothing_else_is_an_attempt(prefix: str, tmp_path) -> None:
    with pytest.raises(ValueError, match="not the prefix of an attempt"):
        Attempt(prefix)


@pytest.mark.parametrize(
    "key",
    [
        "", "raw/tiny/2012-03-28", f"raw/tiny/2012-03-28/{NAME}", f"x/raw/tiny/2012-03-28/{NAME}/p",
        f"raw/tiny/notes/{NAME}/p", f"raw/tiny/2012-03-28/{NAME}/../../p",
    ],
)  # fmt: skip
def test_objects_of_no_attempt(key: str) -> None:
    assert Attempt.holding(key) is None
    assert Attempt.holding(key, "korea") is None


def test_discard_removes_one_attempt_of_many(tmp_path) -> None:
    catalog = Catalog(LocalStore(tmp_path))
    doomed, *others = (
        Attempt.fresh(stage, name, DAY, below)
        for stage in ("silver", "raw")
        for name in ("tiny", "tiny2")
        for below in (None, "a")
    )
    for attempt in (doomed, *others):
        assert catalog.store.create(attempt.key("part-0"), b"x")
        assert catalog.store.create(attempt.key("deeper/part-1"), b"x")
    catalog.discard(doomed)
    kept = {info.key for info in catalog.store.list("")}
    assert kept == {a.key(n) for a in others for n in ("part-0", "deeper/part-1")}
