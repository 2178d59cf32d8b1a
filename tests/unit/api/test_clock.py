"""The clock of a trial: the same for every process that has its variable."""

from __future__ import annotations

import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta

import pytest

from luigi_traffic import Dataset, SettingsError
from luigi_traffic.api import clock

MINUTE = timedelta(minutes=1)


def test_a_trial_has_a_clock_of_its_own_from_a_moment_on_and_at_its_pace(monkeypatch) -> None:
    real = 1764240000.5
    monkeypatch.setenv(clock.VARIABLE, f"2024-06-03T06:00:00+09:00@{real}x20")
    begin = datetime(2024, 6, 2, 21, tzinfo=UTC)
    for after in (0.0, 3.0, -1.5):
        monkeypatch.setattr(time, "time", lambda at=real + after: at)
        assert clock.now() == begin + timedelta(seconds=20 * after)
        assert clock.now().tzinfo is UTC
    assert clock.real_seconds(MINUTE) == 3.0
    monkeypatch.setenv(clock.VARIABLE, f"2024-06-03T06:00Z@{real}x0.5")
    assert clock.real_seconds(MINUTE) == 120.0
    with clock.stopped_at(begin + MINUTE):
        assert clock.now() == begin + MINUTE


@pytest.mark.parametrize("text", [None, ""])
def test_without_the_variable_it_is_the_time_of_this_machine(monkeypatch, text) -> None:
    monkeypatch.delenv(clock.VARIABLE, raising=False)
    if text is not None:
        monkeypatch.setenv(clock.VARIABLE, text)
    assert abs(clock.now() - datetime.now(UTC)) < MINUTE
    assert clock.real_seconds(MINUTE) == 60


@pytest.mark.parametrize(
    "text",
    [
        "2024-06-03", "2024-06-03T06:00:00@1764240000x20", "yesterday@1764240000x20",
        "2024-06-03T06:00Z@nowx20", "2024-06-03T06:00Z@infx20", "2024-06-03T06:00Z@1x0",
        "2024-06-03T06:00Z@1x-1", "2024-06-03T06:00Z@1xnan", "2024-06-03T06:00Z@1x1e300",
        "2024-06-03T06:00Z@1", "2024-06-03T06:00Z@1764240000000x1", "0001-01-01T00:00+09:00@1x1",
    ],
)  # fmt: skip
def test_a_malformed_clock_is_refused_with_what_is_expected(monkeypatch, text: str) -> None:
    monkeypatch.setenv(clock.VARIABLE, text)
    with pytest.raises(SettingsError, match=r"LUIGI_TRAFFIC_CLOCK is '.*Expected <time with"):
        clock.now()


def test_a_dataset_shows_the_time_of_its_zone(monkeypatch) -> None:
    class Seoul(Dataset):
        timezone = "Asia/Seoul"

    monkeypatch.setenv(clock.VARIABLE, f"2024-06-02T21:00Z@{time.time()}x1")
    assert f"{Seoul.local_now():%Y-%m-%d %H:%M %z}" == "2024-06-03 06:00 +0900"


def test_another_process_has_the_same_clock(monkeypatch) -> None:
    monkeypatch.setenv(clock.VARIABLE, f"2024-06-03T06:00:00+09:00@{time.time()}x100")
    code = "from luigi_traffic.api import clock; print(clock.now().isoformat())"
    before = clock.now()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert before < datetime.fromisoformat(done.stdout.strip()) < clock.now()
