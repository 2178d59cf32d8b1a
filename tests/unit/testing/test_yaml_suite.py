"""The kit on a dataset in YAML: the example of the documentation, on a day that is made here."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from luigi_traffic.testing import DatasetSuite
from luigi_traffic.testing.sample import Sample

DOCS = Path(__file__).parents[3] / "docs"


def block(page: str, first_line: str) -> str:
    text = (DOCS / page).read_text(encoding="utf-8")
    found = re.search(rf"```\w+\n{re.escape(first_line)}\n(.*?)```", text, re.DOTALL)
    assert found, first_line
    return found[1]


@pytest.fixture(scope="class", autouse=True)
def work(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The working directory that the example is run in."""
    folder, before = tmp_path_factory.mktemp("work"), Path.cwd()
    (folder / "conf" / "datasets").mkdir(parents=True)
    (folder / "tests").mkdir()
    (folder / "conf" / "datasets" / "harbour.yml").write_text(
        block("yaml-dataset.md", "# conf/datasets/harbour.yml")
    )
    rows = [
        f"01.05.2024;{slot // 4:02}:{slot % 4 * 15:02};A 7 {side};L;x;{40 + at + slot % 23},5"
        for slot in range(96)
        for at, side in enumerate(("north", "south"))
    ]
    (folder / "tests" / "20240501_1.csv").write_text("\n".join(rows), encoding="latin-1")
    (folder / "tests" / "roads.csv").write_text("from,to\nA 7 north,A 7 south\n")
    os.chdir(folder)
    yield folder
    os.chdir(before)


made: dict[str, Any] = {"__name__": __name__}
exec(block("testing-a-plugin.md", "# tests/test_harbour.py"), made)
TestHarbour = made["TestHarbour"]
TestHarbour.speed_lines = 20_000


class TestWrongFiles:
    @pytest.mark.parametrize(
        ("settings", "told"),
        [
            ({"table": {"interval": "7 min"}}, r"'datasets\.harbour\.table\.interval'.*suite"),
            ({"table": {"speeed": 1}}, "unknown setting.*speeed"),
        ],
    )
    def test_it_says_what_is_wrong(self, settings: dict, told: str, tmp_path: Path) -> None:
        more = {"settings": settings, "day": date(2024, 5, 1), "yaml": TestHarbour.yaml}
        suite = type("TestWrong", (DatasetSuite,), more)()
        with pytest.raises(pytest.fail.Exception, match=f"(?s){told}"):
            Sample(suite, tmp_path, lambda: None).declared()

    @pytest.mark.parametrize(("text", "told"), [("links: []", "no key 'table'"), (None, "exist")])
    def test_a_file_that_declares_nothing(self, text: str | None, told: str) -> None:
        file = Path("other.yml")
        if text:
            file.write_text(text)
        more = {"day": date(2024, 5, 1), "yaml": file}
        suite = type("TestWrong", (DatasetSuite,), more)()
        with pytest.raises(pytest.fail.Exception, match=told):
            Sample(suite, Path(), lambda: None).declared()
        file.unlink(missing_ok=True)
