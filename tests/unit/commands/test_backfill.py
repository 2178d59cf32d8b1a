"""What `luigi-traffic backfill` says it would do is what it does."""

from __future__ import annotations

import json
from datetime import date, timedelta
from pathlib import Path

import luigi
import pytest
from luigi.tools.range import RangeDaily
from town_of_yaml import ROWS, YAML, InThisProcess, committed
from typer.testing import CliRunner

from luigi_traffic.api.settled import last_settled_day
from luigi_traffic.api.stages import STAGES
from luigi_traffic.cli import app
from luigi_traffic.commands import backfill, invalidate
from luigi_traffic.commands.backfill_plan import TOO_YOUNG, plan
from luigi_traffic.errors import SettingsError, TerminalError
from luigi_traffic.project import current
from luigi_traffic.run import Forecast, FullPipeline, Gold, IngestRaw

FIRST = date(2024, 5, 1)
DONE, SAME, OTHER, GONE, FETCHED, NEW = (FIRST + timedelta(days=n) for n in range(6))


class Broken(InThisProcess):
    """One that ends before it looks at a task, as after a wrong argument."""

    def start(self) -> None:
        pass

    def wait(self, stop, seconds) -> int:
        return 1


@pytest.fixture
def home(isolated, tmp_path: Path) -> None:
    """Days in each state: done, done whose raw is fetched again and is the same or not, not at the
    source, fetched, never asked for."""
    isolated.write("datasets/town.yml", YAML.format(folder=tmp_path))
    isolated.set(INGEST__SETTLE_SECONDS="0")
    for day in (DONE, SAME, OTHER, FETCHED, NEW):
        (tmp_path / f"{day:%Y%m%d}.csv").write_text(ROWS.format(day=day))
    done = [Gold(day, dataset="town") for day in (DONE, SAME, OTHER)]
    assert luigi.build([*done, IngestRaw(FETCHED, dataset="town")], local_scheduler=True)
    for day in (SAME, OTHER):
        invalidate.invalidate(current(), "raw", "town", str(day), "for the test")
    (tmp_path / f"{OTHER:%Y%m%d}.csv").write_text(ROWS.format(day=OTHER).replace("51", "52"))


def test_it_makes_what_the_plan_says_and_a_day_that_fails_keeps_none_back(home, monkeypatch):
    monkeypatch.setattr(backfill, "CHUNK", 2)
    look = backfill.look(current(), "town", FIRST, NEW, "gold")
    said, before = look(), committed()
    cells = {(cell.day, cell.stage): cell for cell in said.cells}
    stages = {day: [stage for one, stage in cells if one == day] for day in said.days}
    assert stages == {
        DONE: ["announce"],  # Gold needs no event
        **{day: list(STAGES) for day in (SAME, OTHER, GONE, NEW)}, FETCHED: list(STAGES[1:]),
    }  # fmt: skip
    uncertain = {day for (day, _), cell in cells.items() if "if the source" in str(cell.reason)}
    assert uncertain == {SAME, OTHER}
    assert said.estimate() is not None

    left, ended = backfill.Backfill(look, run=InThisProcess).work(said)

    after = committed()
    changed = {
        (day, stage) for stage, day in after if after[stage, day] != before.get((stage, day))
    }
    same = {(SAME, stage) for stage in ("bronze", "silver", "gold")}
    assert changed == {cell for cell in cells if cell[0] != GONE} - same
    assert (left.open_days, ended) == ([GONE], True)
    raw = next(cell for cell in left.cells if cell.stage == "raw")
    assert raw.state == "absent" and "no file" in str(raw.reason)

    again = backfill.Backfill(look, order="newest", max_failures=0, run=InThisProcess)
    assert again.work(left)[1] is False  # one day has failed, and none may
    with pytest.raises(TerminalError, match=r"Backfill --first 2024-05-04 .* exit code 1"):
        backfill.Backfill(look, run=Broken).work(left)
    shown = CliRunner().invoke(
        app, ["backfill", "--from", str(FIRST), "--to", str(NEW), "--dataset", "town",
              "--dry-run", "--json"],
    )  # fmt: skip
    assert {row["day"] for row in json.loads(shown.stdout)} == {str(GONE)}


def test_days_that_are_not_over_are_left_out_and_said(tiny) -> None:
    newest = last_settled_day(current().plugins.dataset("tiny"))
    found = plan(current(), "tiny", newest, newest + timedelta(days=2), "silver")
    young = [cell.day for cell in found.cells if cell.state == TOO_YOUNG]
    assert young == [newest + timedelta(days=1), newest + timedelta(days=2)]
    assert found.open_days == [newest] and found.estimate() is None


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--from", "2024-05-02", "--to", "2024-05-01"], "2024-05-02 is after --to 2024-05-01"),
        (["--from", "2999-01-01"], "the newest day that may be asked for"),
        (["--from", "2024-05-01", "--upto", "forecast"], "RangeDaily --of Forecast"),
        (["--from", "2024-05-01", "--order", "random"], "expected oldest or newest"),
        (["--from", "2024-05-01", "--parallel", "0"], "--parallel 0"),
        (["--from", "2024-05-01", "--max-failures", "-1"], "--max-failures -1"),
    ],
)
def test_what_is_no_range_or_number_is_refused(tiny, options: list[str], said: str) -> None:
    done = CliRunner().invoke(app, ["backfill", "--dataset", "tiny", *options])
    assert isinstance(done.exception, SettingsError)
    assert said in str(done.exception)


@pytest.mark.parametrize("task", [Gold, Forecast, FullPipeline])
def test_range_daily_takes_old_and_long_ranges_of_each_task_of_a_day(tiny, task) -> None:
    """Luigi's own limits are 100 days before now and 50 tasks."""
    tiny.set(PIPELINE__MODEL="tiny_model")
    wanted = RangeDaily(
        of=task, of_params={"dataset": "tiny"}, start=FIRST, stop=FIRST + timedelta(days=60)
    )
    assert [one.date for one in wanted.requires()] == [FIRST + timedelta(days=n) for n in range(60)]
