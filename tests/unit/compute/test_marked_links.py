"""Rows of some links: marked by a table of the links as `isin` would mark them."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest
from frames import arrow

from luigi_traffic import functions as F

pytestmark = pytest.mark.spark

#: Texts that a literal, a comparison or a table of the links could take for another.
ODD = ["", " ", "a", "A", "a ", "á", "a\u0301", "가나", "\U0001f697", "it's", '"', "\\", "\\'",
       "%", "a\0b", "a\nb", "NULL", "07", "7", "7.0", "x" * 300]  # fmt: skip
COLUMNS = "n int, link_id string, link string, speed double"


def mark(link: str | None, links: Sequence[str]) -> bool | None:
    return None if link is None else link in links


def table_of(engine, links: Sequence[str | None]):
    return engine.table(arrow([(n, k, "z", 1.5) for n, k in enumerate(links)], COLUMNS))


@pytest.mark.parametrize("seed", range(4))
def test_each_row_once_and_marked(engine, seed: int) -> None:
    rng = random.Random(seed)
    there = [rng.choice([None, *ODD]) for _ in range(400)]
    some = rng.sample([*ODD, "nobody's", "b"], 9)
    links = some + rng.choices(some, k=5)  # some of them twice
    marked = engine.marked(table_of(engine, there), links, "lt_kept")
    assert marked.columns == ["n", "link_id", "link", "speed", "lt_kept"]
    assert {c["name"]: c["type"] for c in engine.schema(marked)}["lt_kept"] == "boolean"
    found = sorted(engine.collect(marked), key=lambda row: row["n"])
    assert [(row["n"], row["link_id"], row["link"], row["speed"], row["lt_kept"])
            for row in found] == [
        (n, link, "z", 1.5, mark(link, links)) for n, link in enumerate(there)
    ]  # fmt: skip
    kept = marked.where("lt_kept").drop("lt_kept")
    assert len(engine.collect(kept)) == sum(link in links for link in there)
    numbers = [row["n"] for row in found if row["lt_kept"]]
    wanted = table_of(engine, there).where(F.col("n").isin(numbers))
    assert engine.checksum(kept) == engine.checksum(wanted)


@pytest.mark.parametrize("there", [[], [None, None], ["a", "b", None]])
@pytest.mark.parametrize("links", [["x"], ["a"], ["a", "a"]])
def test_nothing_on_one_side(engine, there: list[str | None], links: list[str]) -> None:
    marked = engine.marked(table_of(engine, there), links, "lt_kept")
    counted, read = engine.counted(
        marked, {"rows": F.count(F.lit(1)), "other": F.count_if(~F.col("lt_kept"))}
    )
    kept = counted.where("lt_kept")
    if engine.name == "spark":
        kept.write.format("noop").mode("overwrite").save()
    assert [row["link_id"] for row in engine.collect(kept)] == [k for k in there if k in links]
    outside = sum(mark(link, links) is False for link in there)
    assert read() == {"rows": len(there), "other": outside}


def test_thousands_of_links_leave_the_plan_short(engine) -> None:
    links = [str(1_000_000_000 + 7 * n) for n in range(14_000)]
    marked = engine.marked(table_of(engine, links[:50]), links, "lt_kept").where("lt_kept")
    assert len(engine.collect(marked)) == 50
    if engine.name == "duckdb":
        assert len(marked.text) < 1000
    else:
        plan = marked._jdf.queryExecution().toString()
        assert len(plan) < 10_000
        assert "BroadcastHashJoin" in plan and "SortMergeJoin" not in plan
