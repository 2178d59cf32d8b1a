"""Every try of a stage is remembered: one that fails, one that is killed, one that is at work."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path

import luigi
import pytest
from town_of_yaml import YAML
from typer.testing import CliRunner

from luigi_traffic.cli import app
from luigi_traffic.commands import attempts, backfill_plan, status
from luigi_traffic.commands.attempts import Wanted
from luigi_traffic.crashpoints import VARIABLE, CrashPoint
from luigi_traffic.errors import DataError, StoreError
from luigi_traffic.processes.postgres.embedded import EmbeddedServer
from luigi_traffic.project import current
from luigi_traffic.run import Bronze, Gold, IngestRaw
from luigi_traffic.tasks.announce import AnnounceRaw
from luigi_traffic.tasks.attempt import attempt
from luigi_traffic.warehouse import attempts as table
from luigi_traffic.warehouse.attempts import Work

GOOD = date(2024, 5, 1)
WRONG, KILLED, NEVER = (GOOD + timedelta(days=n) for n in (1, 2, 3))


@pytest.fixture
def home(isolated, tmp_path: Path) -> Iterator[None]:
    isolated.write("datasets/town.yml", YAML.format(folder=tmp_path))
    isolated.set(INGEST__SETTLE_SECONDS="0")
    for day in (GOOD, WRONG, KILLED):
        head = "time,link,speed" if day != WRONG else "<html>"
        (tmp_path / f"{day:%Y%m%d}.csv").write_text(f"{head}\n{day} 00:00,a,50\n")
    yield
    EmbeddedServer(current().home / "postgres").destroy()


def build(task: luigi.Task) -> bool:
    return luigi.build([task], local_scheduler=True)


def found(**wanted) -> list[tuple[str, str, str]]:
    return [
        (row["stage"], row["part"], row["outcome"])
        for row in attempts.rows(current(), Wanted(**wanted))
    ]


def reasons(day: date) -> dict[str, str]:
    rows = status.rows(current(), "town", status.Range(first=GOOD, last=NEVER))
    return {row["stage"]: row["reason"] for row in rows if row.get("day") == day}


@contextmanager
def work(name: str, message: list[str]) -> Iterator[None]:
    tried = Work("T_1", "bronze", "town", GOOD.isoformat(), name)
    warehouse = current().warehouse
    with warehouse.lock(name), attempt(warehouse, tried, message.append):
        yield


def test_what_was_tried_and_why_a_cell_is_open(home) -> None:
    assert build(Gold(GOOD, dataset="town"))
    assert not build(Gold(WRONG, dataset="town"))
    if not (child := os.fork()):
        os.environ[VARIABLE] = CrashPoint.BRONZE_WRITTEN.value
        build(Bronze(KILLED, dataset="town"))
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL

    bad = [("bronze", str(KILLED), "lost"), ("raw", str(WRONG), "failed")]
    assert found(failed=True) == bad
    good = [(stage, str(GOOD), "done") for stage in ("gold", "silver", "bronze", "raw")]
    assert found() == [bad[0], ("raw", str(KILLED), "done"), bad[1], *good]
    assert found(stage="raw", first=WRONG, last=WRONG) == bad[1:]
    assert found(dataset="town", limit=1) == bad[:1]
    rows = attempts.rows(current(), Wanted(last=GOOD))
    assert [row["rows"] for row in rows[:3]] == [1, 1, 1]
    assert all(row["seconds"] > 0 and row["pid"] == os.getpid() for row in rows)

    # Every cell that is not done has its reason.
    assert "header" in reasons(WRONG)["raw"] and "failed at" in reasons(WRONG)["raw"]
    assert reasons(WRONG)["bronze"] == reasons(WRONG)["gold"] == "raw failed"
    assert "killed" in reasons(KILLED)["bronze"] and reasons(KILLED)["silver"] == "bronze lost"
    assert reasons(KILLED)["announce"] == reasons(NEVER)["raw"] == status.NEVER_TRIED
    range_ = ("status", "--dataset", "town", "--from", str(GOOD), "--to", str(NEVER))
    shown = _cli(*range_)[1]
    assert "header" in shown and status.NEVER_TRIED not in shown
    _, shown = _cli(*range_, "--grid")
    lines = [line.split() for line in shown.splitlines()[2:]]
    assert lines[:5] == [
        ["raw", ".F.M"], ["announce", "MMMM"], ["bronze", ".MFM"], ["silver", ".MMM"],
        ["gold", ".MMM"],
    ]  # fmt: skip
    assert lines[5] == ["F", "failed", "M", "missing", ".", "done"]
    code, shown = _cli(*range_, "--year", "--fail-if-missing")
    assert code == 1 and ["2024-05", "MFFM"] in [line.split() for line in shown.splitlines()]
    assert "stages of 4 days are not complete. The first: announce of town 2024-05-01" in shown
    plan = backfill_plan.plan(current(), "town", GOOD, NEVER, "gold")
    tried = {(cell.day, cell.stage) for cell in plan.cells if cell.reason == backfill_plan.TRIED}
    assert tried == {(WRONG, "raw"), (KILLED, "bronze")}

    # The next run closes what was left open; one that finds all done is no attempt.
    assert build(Bronze(KILLED, dataset="town")) and build(Bronze(KILLED, dataset="town"))
    of_bronze = found(stage="bronze", first=KILLED)
    assert of_bronze == [("bronze", str(KILLED), how) for how in ("done", "lost")]
    assert reasons(KILLED)["silver"] == status.NEVER_TRIED
    assert build(AnnounceRaw(GOOD, dataset="town"))
    one = ("--from", str(GOOD), "--to", str(GOOD), "--fail-if-missing", "--year")
    assert _cli("status", "--dataset", "town", *one)[0] == 0

    code, listed = _cli("attempts", "--failed", "--stage", "raw")
    assert code == 0 and "1 row" not in listed and "header" in listed
    code, listed = _cli("attempts", "--failed", "--json")
    assert [row["outcome"] for row in json.loads(listed)] == ["lost", "failed"]
    assert _cli("attempts", "--stage", "model") == (0, "There is no such attempt.\n")
    with pytest.raises(DataError, match=r"no stage 'bronz'\..*bronze"):
        attempts.rows(current(), Wanted(stage="bronz"))
    assert _cli("attempts", "--from", str(NEVER), "--to", str(GOOD))[0] == 1
    for both in (
        ("--grid", "--json"),
        ("--year", "--html", "x"),
        ("--fail-if-missing", "--fail-if-older-than", "1h"),
    ):
        assert _cli("status", *both)[0] == 2


def _cli(*words: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, list(words))
    return done.exit_code, done.output


def test_one_at_work_is_neither_lost_nor_done(home) -> None:
    said: list[str] = []
    with work("a lock", said):
        assert found() == [("bronze", str(GOOD), "running")]
        assert "at work since" in reasons(GOOD)["bronze"]
    with pytest.raises(KeyboardInterrupt), work("a lock", said):
        raise KeyboardInterrupt
    with pytest.raises(ZeroDivisionError), work("a lock", said):
        raise ZeroDivisionError("nothing\0to divide by")
    assert found() == [("bronze", str(GOOD), how) for how in ("failed", "stopped", "done")]
    assert "ZeroDivisionError: nothing" in said[-1] and "attempts --dataset town" in said[-1]


def test_the_error_of_the_work_is_the_one_that_is_raised(home, monkeypatch, caplog) -> None:
    def lost(*given: object) -> None:
        raise StoreError("the warehouse does not answer")

    monkeypatch.setattr(table, "end", lost)
    with pytest.raises(ZeroDivisionError), work("a lock", []):
        raise ZeroDivisionError
    assert "is not written down as failed: the warehouse does not answer" in caplog.text
    assert found() == [("bronze", str(GOOD), "lost")]


def test_raw_says_how_many_lines_it_has(home) -> None:
    assert build(IngestRaw(GOOD, dataset="town"))
    (row,) = attempts.rows(current(), Wanted())
    assert row["stage"] == "raw" and row["rows"] is not None and row["task_id"].startswith("Ingest")
