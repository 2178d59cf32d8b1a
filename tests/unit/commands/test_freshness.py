"""Heartbeats of `daily` and `listen`, and the check of health that looks at them."""

from __future__ import annotations

import json
import logging
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from luigi_traffic.commands import freshness
from luigi_traffic.commands.duration import duration
from luigi_traffic.errors import SettingsError
from luigi_traffic.processes import heartbeat
from luigi_traffic.processes.heartbeat import Heartbeat
from luigi_traffic.project import current

TEN = timedelta(minutes=10)


def beating(home: Path, service: str, ago: timedelta = timedelta(0), **more: object) -> Path:
    """A heartbeat that was written that long ago."""
    file = Heartbeat(home, service).path
    said = json.loads(file.read_text()) | {"at": (datetime.now(UTC) - ago).isoformat()} | more
    file.write_text(json.dumps(said))
    return file


def test_a_service_that_goes_round_is_well(empty) -> None:
    beating(empty.path, "daily-tiny")
    done = empty.command("status", "--fail-if-older-than", "10m")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("daily-tiny: starting")
    (row,) = json.loads(empty.command("status", "--fail-if-older-than", "10m", "--json").stdout)
    assert (row["kind"], row["service"], row["pid"]) == ("service", "daily-tiny", os.getpid())


def test_one_that_does_not_is_named_with_what_it_was_at(empty) -> None:
    beating(empty.path, "daily-tiny")
    file = beating(empty.path, "listen-ours", 2 * TEN, doing="tiny 2024-05-31: run 1 of 3")
    done = empty.command("status", "--fail-if-older-than", "10m")
    assert done.returncode == 1
    (told,) = done.stderr.splitlines()
    assert "listen-ours has shown no sign of life since 20" in told and "(20.0 min)" in told
    assert f"process {os.getpid()} on " in told and "'tiny 2024-05-31: run 1 of 3'" in told
    assert str(file) in told
    assert empty.command("status", "--fail-if-older-than", "1h").returncode == 0


def test_it_asks_no_server_and_makes_nothing(empty) -> None:
    done = empty.command(
        "status", "--fail-if-older-than", "10m",
        LUIGI_TRAFFIC__WAREHOUSE__KIND="server", LUIGI_TRAFFIC__WAREHOUSE__PORT="1",
        LUIGI_TRAFFIC__WAREHOUSE__PASSWORD="x",
    )  # fmt: skip
    assert done.returncode == 1
    assert "neither `daily` nor `listen` has run with this home" in done.stderr
    assert not empty.path.exists()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"at": 3}', '{"at": "yesterday"}'])
def test_what_is_no_heartbeat_is_no_sign_of_life(empty, text: str) -> None:
    beating(empty.path, "daily-tiny").write_text(text)
    (told,) = freshness.too_old(current(), freshness.rows(current()), TEN)
    assert "daily-tiny.json cannot be read" in told


def test_one_from_the_future_is_no_sign_of_life(empty) -> None:
    beating(empty.path, "daily-tiny", -2 * TEN)
    (told,) = freshness.too_old(current(), freshness.rows(current()), TEN)
    assert "20.0 min ahead of this clock" in told


def test_status_shows_services_below_the_days(filled) -> None:
    try:
        pulse = Heartbeat(filled.path, "daily-tiny")
        pulse.failed("2024-05-31", "Gold FAILED")
        shown = filled.command("status").stdout
        assert "daily-tiny: starting, " in shown and ": 2024-05-31: Gold FAILED" in shown
        rows = json.loads(filled.command("status", "--json").stdout)
        assert [r["service"] for r in rows if r["kind"] == "service"] == ["daily-tiny"]
    finally:
        pulse.path.unlink()


@pytest.mark.parametrize("text", ["10", "m", "0m", "-1h", "ten minutes", ""])
def test_an_age_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match=r"^--x"):
        duration(text, "--x")


def test_ages() -> None:
    assert duration("10m", "--x") == TEN
    assert duration(" 2 w", "--x") == timedelta(weeks=2)


# The heartbeat itself.


def test_it_is_written_no_more_often_than_needed_and_whole(tmp_path: Path, monkeypatch) -> None:
    pulse = Heartbeat(tmp_path, "daily-a/b")
    assert pulse.path.name == "daily-a%2Fb.json"
    first = pulse.path.stat().st_ino
    pulse.beat()
    assert pulse.path.stat().st_ino == first
    monkeypatch.setattr(heartbeat, "EVERY_S", 0.0)
    pulse.beat()
    assert pulse.path.stat().st_ino != first, "replaced, not rewritten"
    assert [p.name for p in pulse.path.parent.iterdir()] == [pulse.path.name]


def test_what_happened_last_is_kept_over_a_restart(tmp_path: Path) -> None:
    Heartbeat(tmp_path, "s").succeeded("monday")
    Heartbeat(tmp_path, "s").failed("tuesday", "why")
    said = json.loads(Heartbeat(tmp_path, "s").path.read_text())
    assert said["last_success"]["what"] == "monday"
    assert said["last_failure"]["what"] == "tuesday"
    assert said["doing"] == "starting"


def test_what_cannot_be_written_is_reported_once_and_stops_nobody(tmp_path: Path) -> None:
    lines: list[str] = []

    class Kept(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(record.getMessage())

    handler, logger = Kept(), logging.getLogger("luigi_traffic")
    logger.addHandler(handler)
    (tmp_path / "heartbeats").write_text("a file where a folder should be")
    pulse = Heartbeat(tmp_path, "s")
    for _ in range(3):
        pulse.doing("something")
    logger.removeHandler(handler)
    assert len(lines) == 1 and "cannot be written" in lines[0]
    (tmp_path / "heartbeats").unlink()
    pulse.doing("something")
    assert pulse.path.exists()
