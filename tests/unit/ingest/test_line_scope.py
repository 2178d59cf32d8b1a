"""The lines of some links, found in bytes: the same as by the functions that datasets are written
on."""

from __future__ import annotations

import gzip
import random
from dataclasses import replace
from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest

from luigi_traffic import LinkCell, RawDay
from luigi_traffic import functions as F
from luigi_traffic.api.scope import Outside, Scope
from luigi_traffic.ingest.line_scope import LineScope

pytestmark = pytest.mark.spark

LINKS = ("1920161400", "7", "link of seventeen", "가나", "19201614", "a")
TEXTS = [*LINKS, "1920161401", "2920161400", "8", "", "link of seventeeN", "가", "192016140", "aa",
         "link_of seventeen"]  # fmt: skip


def odd_line(rng: random.Random, delimiter: str) -> str:
    cells = [rng.choice(TEXTS) for _ in range(rng.choice([0, 1, 2, 3, 3, 3, 4]))]
    for n, cell in enumerate(cells):
        if rng.random() < 0.15:
            cells[n] = rng.choice([" ", "\t", "  \t"]) + cell + rng.choice(["", " "])
        if rng.random() < 0.15:
            inside = rng.choice(["", delimiter, '""', " "])
            cells[n] = rng.choice(["", " "]) + f'"{inside}{cell}"' + rng.choice(["", "\t", "x"])
        if rng.random() < 0.05:
            cells[n] += '"'
    return delimiter.join(cells) + rng.choice(["", "", "", "\r", "\r\r", " "])


@pytest.mark.parametrize(("number", "delimiter"), [(0, ","), (1, ","), (2, ";"), (2, "\t")])
@pytest.mark.parametrize("quotes", [True, False])
def test_the_same_lines_as_by_cells(
    engine, tmp_path: Path, number: int, delimiter: str, quotes: bool
) -> None:
    rng = random.Random(number)
    lines = [odd_line(rng, delimiter) for _ in range(3000)]
    if not quotes:
        lines = [line.replace('"', "") for line in lines]
    file = tmp_path / "day.csv.gz"
    file.write_bytes(gzip.compress("".join(line + "\n" for line in lines).encode()))
    raw = RawDay(date(2024, 5, 1), (str(file),), None, "", len(lines))
    link = F.cell(F.cells("line", delimiter), number)
    every = engine.collect(F.lines(engine.session(), raw).select("line", link.alias("link")))
    wanted = sorted(row["line"] for row in every if row["link"] in LINKS)
    assert 200 < len(wanted) < 2000
    scope = Scope(LINKS, LinkCell(number, delimiter))
    found = F.lines(engine.session(), replace(raw, scope=scope))
    assert sorted(row["line"] for row in _written(engine, found, tmp_path)) == wanted
    nothing = sum(not row["link"] for row in every)
    assert scope.outside == Outside(len(lines) - len(wanted) - nothing, nothing)


def _written(engine, frame, folder: Path) -> list[dict]:
    """The rows, of one run of the plan, as a stage runs it."""
    counted, read = engine.counted(frame, {"lines": F.collect_list("line")})
    if engine.name == "duckdb":
        return engine.collect(frame)
    counted.write.format("noop").mode("overwrite").save()
    return [{"line": line} for line in read()["lines"]]


@pytest.mark.parametrize("links", [LINKS, tuple(str(1_920_161_400 + n) for n in range(300))])
@pytest.mark.parametrize("odd", [0.0, 0.02, 0.3])
@pytest.mark.parametrize("quotes", [True, False])
def test_lines_that_are_alike_but_for_some(
    links: tuple[str, ...], odd: float, quotes: bool
) -> None:
    rng = random.Random(1)
    scope = LineScope(links, LinkCell(1))
    for _ in range(60):
        before, length = rng.choice(["2024-01-10", "", "가"]), rng.choice([1, 7, 8, 9, 10, 17])
        lines = []
        for _ in range(rng.choice([1, 2, 300])):
            link = rng.choice(links) if rng.random() < 0.2 else str(rng.randrange(10**9, 2 * 10**9))
            line = f"{before},{link:>{length}.{length}},{rng.random()},\r"
            if rng.random() < odd:
                line = odd_line(rng, ",")
            lines.append(line if quotes else line.replace('"', ""))
        text = "".join(f"{line}\n" for line in lines).encode()
        found, outside = scope.kept(text)
        slowly, others = scope._by_cells(text)
        assert sorted(found.to_pylist()) == sorted(slowly.to_pylist())
        assert outside == others


def test_many_links_hit_the_same_bits() -> None:
    links = tuple(str(1_000_000_000 + 7 * n) for n in range(200_000))
    scope = LineScope(links[::2], LinkCell(1))
    found, outside = scope.kept("".join(f"x,{link},1\n" for link in links).encode())
    assert found.to_pylist() == [f"x,{link},1" for link in links[::2]]
    assert outside == Outside(100_000, 0)


def test_a_text_of_no_line_and_one_of_blank_lines() -> None:
    scope = LineScope(("7",), LinkCell(0))
    assert scope.kept(b"\n\r\n \n") == (pa.array([], pa.large_string()), Outside(0, 3))


@pytest.mark.parametrize(
    ("number", "delimiter"), [(-1, ","), (0, ""), (0, "||"), (0, "·"), (0, '"'), (0, "\n")]
)
def test_a_cell_that_no_line_can_have(number: int, delimiter: str) -> None:
    with pytest.raises(ValueError, match="is no cell of a line: expected a number from 0 on"):
        LinkCell(number, delimiter)
