"""A source is asked again: HEAD or stat first, and other bytes are the next generation."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import pytest
from http_server import Answer, Request, http_server

from luigi_traffic.api.settled import last_settled_day
from luigi_traffic.api.stages import STAGES
from luigi_traffic.commands import recheck
from luigi_traffic.errors import SourceAbsent
from luigi_traffic.lake.local import LocalStore
from luigi_traffic.project import current
from luigi_traffic.targets.chain import DayChain
from luigi_traffic.tasks.raw import Asked, IngestRaw
from luigi_traffic.warehouse.connection import Warehouse

DAY = date(2012, 3, 28)
TEXT = "time,link,speed\n00:00,a,50\n00:05,a,51\n"


@pytest.fixture(autouse=True)
def _no_lock(monkeypatch: pytest.MonkeyPatch) -> None:
    """It saves work; no server is started for it here."""

    @contextmanager
    def lock(*_: object) -> Iterator[bool]:
        yield True

    monkeypatch.setattr(Warehouse, "lock", lock)
    monkeypatch.setattr(recheck, "is_new", lambda _: False)


@pytest.fixture
def file(tiny, tmp_path: Path) -> Path:
    """The file of the day; its folder is where the dataset `tiny` asks."""
    tiny.set(DATASETS__TINY__GLOB=f"{tmp_path}/{{date}}.csv", INGEST__SETTLE_SECONDS="0")
    made = tmp_path / "20120328.csv"
    made.write_text(TEXT)
    return made


def task() -> IngestRaw:
    return IngestRaw(DAY, dataset="tiny")


def generation() -> int:
    live = DayChain(current(), "tiny", DAY).live()
    assert live is not None
    return live.generation


def ids() -> list[str | None]:
    return [DayChain(current(), "tiny", DAY).id(stage) for stage in STAGES]


def test_a_day_that_nobody_fetched_is_left_to_the_run(file) -> None:
    assert task().ask_again() is Asked.NEVER


def test_a_file_that_is_the_same_is_not_read(file, monkeypatch) -> None:
    task().work()
    before = ids()
    monkeypatch.setattr(LocalStore, "writer", None)  # nothing is fetched
    assert task().ask_again() is Asked.UNCHANGED
    assert (ids(), generation()) == (before, 1)


def test_a_file_with_another_time_and_equal_bytes_keeps_everything(file) -> None:
    task().work()
    before = ids()
    os.utime(file, (1, 1))
    assert task().ask_again() is Asked.SAME
    assert task().ask_again() is Asked.UNCHANGED  # its new time is known now
    assert (ids(), generation()) == (before, 1)


def test_a_corrected_file_is_the_next_generation(file) -> None:
    task().work()
    before = ids()
    file.write_text(TEXT + "00:10,a,52\n")
    assert task().ask_again() is Asked.CHANGED
    assert generation() == 2
    assert all(new != old for new, old in zip(ids(), before, strict=True))
    assert task().ask_again() is Asked.UNCHANGED


def test_what_the_source_has_removed_is_kept(file) -> None:
    task().work()
    before = ids()
    file.unlink()
    assert task().ask_again() is Asked.GONE
    assert ids() == before


def test_an_absent_day_is_asked_for_again_and_may_have_come(file, tiny) -> None:
    file.rename(file.with_suffix(".late"))
    with pytest.raises(SourceAbsent):
        task().work()
    assert task().ask_again() is Asked.ABSENT
    file.with_suffix(".late").rename(file)
    assert task().ask_again() is Asked.CHANGED
    assert generation() == 1


# Over HTTP


@pytest.mark.parametrize(
    ("etag", "head", "second"),
    [(True, True, ["HEAD"]), (False, True, ["HEAD", "GET"]), (True, False, ["HEAD", "GET"])],
)
def test_a_server_is_asked_by_head_if_that_says_enough(tiny, etag, head, second) -> None:
    text = TEXT

    def answers(request: Request) -> Answer:
        if request.method == "HEAD" and not head:
            return Answer(status=405)
        return Answer(text, headers={"ETag": f'"{hash(text)}"'} if etag else {})

    source = "lt.Files(self.settings.glob)"
    plugin = tiny.home.parent / "plugins" / "tiny.py"
    tiny.plugin("tiny", plugin.read_text().replace(source, "lt.Http(self.settings.glob)"))
    with http_server(answers) as web:
        tiny.set(DATASETS__TINY__GLOB=f"{web.url}/{{date}}.csv")
        task().work()
        before, web.asked[:] = ids(), []
        outcome = task().ask_again()
        assert outcome is (Asked.UNCHANGED if second == ["HEAD"] else Asked.SAME)
        assert [request.method for request in web.asked][: len(second)] == second
        assert ids() == before
        text = TEXT.replace("51", "61")
        assert task().ask_again() is Asked.CHANGED
        assert ids() != before


# The command


def test_the_command_names_each_day_and_goes_on_after_a_failure(file, tiny, tmp_path) -> None:
    for number in (26, 27, 28):
        (tmp_path / f"201203{number}.csv").write_text(TEXT)
        IngestRaw(date(2012, 3, number), dataset="tiny").work()
    (tmp_path / "20120326.csv").write_text("no header and no row")
    (tmp_path / "20120327.csv").write_text(TEXT.replace("50", "55"))
    found = recheck.rows(current(), "tiny", date(2012, 3, 20), DAY)
    assert [(row["day"].day, row["outcome"]) for row in found] == [
        (26, "changed"), (27, "changed"), (28, "unchanged")
    ]  # fmt: skip
    (tmp_path / "20120327.csv").write_bytes(b"\xff\xfe\x00")
    (failed,) = [
        r for r in recheck.rows(current(), "tiny", DAY.replace(day=20), DAY) if r["reason"]
    ]
    assert (failed["day"].day, failed["outcome"]) == (27, "failed")
    assert "UTF-16" in failed["reason"]


def test_without_a_range_the_newest_days_are_asked_for(file, monkeypatch) -> None:
    asked: list[date] = []
    monkeypatch.setattr(recheck, "_ask", lambda _, day: asked.append(day) or {"outcome": "x"})
    recheck.rows(current(), "tiny", None, None)
    dataset = DayChain(current(), "tiny", DAY).lineage.dataset
    assert len(asked) == current().settings.ingest.recheck_days == 7
    assert asked[-1] == last_settled_day(dataset)
