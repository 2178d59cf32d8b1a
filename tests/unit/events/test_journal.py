from __future__ import annotations

import fcntl
import json
import os
import signal
import time
from datetime import date
from multiprocessing import get_context
from pathlib import Path

import pytest

from luigi_traffic.errors import StoreError
from luigi_traffic.events import journal
from luigi_traffic.events.announcement import TYPE, Announcement, announce, event_id
from luigi_traffic.events.journal import Journal
from luigi_traffic.lake.manifest import Manifest
from luigi_traffic.recipe import Recipe

fork = get_context("fork")


def made(partition_id: str = "a" * 32) -> Announcement:
    manifest = Manifest.start(
        Recipe("raw", "tiny", {}), date(2012, 3, 28), partition_id,
        inputs=[], rows_out=7, files=[{"key": "raw/x"}], committed_at="2026-01-01T00:00:00+00:00",
    )  # fmt: skip
    return announce(manifest, "file:///lake/m.json", "traffic.tiny.raw")


def lines(folder: Path) -> list[str]:
    return (folder / "traffic.tiny.raw.jsonl").read_text(encoding="utf-8").splitlines()


def test_an_event_is_a_cloud_event_with_all_it_must_have() -> None:
    event = made().event
    assert {"specversion", "id", "source", "type"} <= event.keys()
    assert (event["specversion"], event["type"]) == ("1.0", TYPE)
    assert event["data"] == {
        "dataset": "tiny",
        "date": "2012-03-28",
        "partition_id": "a" * 32,
        "manifest": "file:///lake/m.json",
        "rows": 7,
        "files": 1,
    }
    assert made().key == "tiny/2012-03-28"
    assert json.loads(made().to_json()) == event


def test_the_id_follows_from_the_content_alone() -> None:
    assert made().id == made().id == event_id("tiny", "2012-03-28", "a" * 32)
    ids = {
        made().id,
        made("b" * 32).id,
        event_id("tiny", "2012-03-29", "a" * 32),
        event_id("other", "2012-03-28", "a" * 32),
    }
    assert len(ids) == 4


def test_a_line_an_event_and_where_it_lies(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "events")
    receipts = [journal.publish(made()) for _ in range(2)]
    found = lines(tmp_path / "events")
    assert [json.loads(line) for line in found] == [{"key": made().key, "event": made().event}] * 2
    data = (tmp_path / "events" / "traffic.tiny.raw.jsonl").read_bytes()
    for receipt, line in zip(receipts, found, strict=True):
        assert data[receipt["offset"] :].startswith(line.encode())
    assert receipts[0] == {
        "log": "journal", "topic": "traffic.tiny.raw", "partition": 0, "offset": 0,
    }  # fmt: skip


def test_half_a_line_of_a_killed_writer_spoils_no_event(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.publish(made())
    path = tmp_path / "traffic.tiny.raw.jsonl"
    path.write_bytes(path.read_bytes() + b'{"key": "half')
    receipt = journal.publish(made("b" * 32))
    first, half, second = lines(tmp_path)
    assert json.loads(first)["event"] == made().event
    assert half == '{"key": "half'
    assert json.loads(second)["event"] == made("b" * 32).event
    assert path.read_bytes()[receipt["offset"] :] == second.encode() + b"\n"


def test_many_writers_at_once_lose_nothing(tmp_path: Path) -> None:
    def write(writer: int) -> None:
        for n in range(20):
            Journal(tmp_path).publish(made(f"{writer}-{n}"))

    writers = [fork.Process(target=write, args=(n,)) for n in range(4)]
    for process in writers:
        process.start()
    for process in writers:
        process.join(60)
        assert process.exitcode == 0
    ids = {json.loads(line)["event"]["data"]["partition_id"] for line in lines(tmp_path)}
    assert ids == {f"{writer}-{n}" for writer in range(4) for n in range(20)}


def test_a_process_that_keeps_the_file_to_itself_is_not_waited_for_without_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that is stopped keeps its lock, too."""
    monkeypatch.setattr(journal, "PATIENCE_S", 1.0)
    log = Journal(tmp_path)
    log.publish(made("a" * 32))
    held = fork.Event()

    def hold() -> None:
        with (tmp_path / "traffic.tiny.raw.jsonl").open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            held.set()
            time.sleep(60)

    holder = fork.Process(target=hold)
    holder.start()
    try:
        assert held.wait(30)
        os.kill(holder.pid, signal.SIGSTOP)
        with pytest.raises(StoreError, match=r"fuser .*traffic\.tiny\.raw\.jsonl"):
            log.publish(made("b" * 32))
    finally:
        holder.kill()
        holder.join(30)
    assert holder.exitcode == -signal.SIGKILL
    log.publish(made("c" * 32))
    assert len(lines(tmp_path)) == 2
