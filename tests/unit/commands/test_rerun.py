"""What is made again, and what is left as it is."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import luigi
import pytest
from town_of_yaml import ROWS, YAML, InThisProcess, committed
from typer.testing import CliRunner

from luigi_traffic.api.stages import STAGES
from luigi_traffic.cli import app
from luigi_traffic.commands import backfill, rerun
from luigi_traffic.commands.rerun import Request
from luigi_traffic.errors import DataError
from luigi_traffic.processes.postgres.embedded import EmbeddedServer
from luigi_traffic.project import current
from luigi_traffic.run import AnnounceRaw, Gold

DAY = date(2024, 5, 1)
OTHER = DAY + timedelta(days=1)


@pytest.fixture
def home(isolated, tmp_path: Path) -> Iterator[Path]:
    """Two days of a town, done up to gold."""
    isolated.write("datasets/town.yml", YAML.format(folder=tmp_path))
    isolated.set(INGEST__SETTLE_SECONDS="0")
    for day in (DAY, OTHER):
        (tmp_path / f"{day:%Y%m%d}.csv").write_text(ROWS.format(day=day))
    tasks = [make(day, dataset="town") for day in (DAY, OTHER) for make in (Gold, AnnounceRaw)]
    assert luigi.build(tasks, local_scheduler=True)
    yield tmp_path
    EmbeddedServer(current().home / "postgres").destroy()


def made(request: Request) -> bool:
    found = rerun.rows(current(), request)
    return rerun.run(current(), request, found, start=InThisProcess)


def again(stage: str, *, downstream: bool = False, day: date = DAY) -> set[str]:
    """The stages of which something else is committed afterwards; of that day alone."""
    before = committed()
    request = Request(stage, "town", day, downstream)
    assert made(request)
    changed = {key for key, value in committed().items() if value != before[key]}
    assert {of for _, of in changed} == {day}
    return {one for one, _ in changed}


def test_a_stage_alone_or_all_that_is_made_of_it(home: Path) -> None:
    assert again("bronze") == {"bronze"}
    assert again("silver", downstream=True) == {"silver", "gold"}
    assert again("gold") == {"gold"}
    assert again("raw", downstream=True) == {"raw", "announce", "bronze", "silver", "gold"}
    assert again("announce", day=OTHER) == {"announce"}


def test_raw_that_the_source_has_changed_makes_the_rest_stale(home: Path) -> None:
    (home / f"{DAY:%Y%m%d}.csv").write_text(ROWS.format(day=DAY).replace("51", "52"))
    assert again("raw") == {"raw"}
    rows = rerun.rows(current(), Request("bronze", "town", DAY, downstream=True))
    assert [(row["stage"], row["state"]) for row in rows] == [
        (stage, "stale") for stage in ("bronze", "silver", "gold")
    ]


def test_a_dry_run_and_wrong_questions(home: Path) -> None:
    before = committed()
    words = ["rerun", "bronze", "--dataset", "town", "--date", str(DAY), "--dry-run"]
    done = CliRunner().invoke(app, [*words, "--downstream"])
    assert done.exit_code == 0 and committed() == before
    shown = [line.partition(" ")[0] for line in done.output.splitlines()]
    assert [word for word in shown if word in STAGES] == ["bronze", "silver", "gold"]
    with pytest.raises(DataError, match=r"'bronz' is not a stage of a day\..*bronze"):
        Request("bronz", "town", DAY)
    never = Request("bronze", "town", DAY - timedelta(days=9))
    with pytest.raises(DataError, match=r"nothing to make again\. Make it: luigi-traffic backfill"):
        rerun.rows(current(), never)
    (home / f"{DAY:%Y%m%d}.csv").write_text("<html>")
    assert not made(Request("raw", "town", DAY))
    (home / f"{DAY:%Y%m%d}.csv").write_text(ROWS.format(day=DAY))
    left = backfill.look(current(), "town", DAY, DAY, "gold")()
    assert "raw" in {cell.stage for cell in left.to_do}
