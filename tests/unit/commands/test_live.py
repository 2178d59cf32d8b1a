"""When the ticks of `luigi-traffic live` are due, and which datasets it refuses."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from luigi_traffic.commands.live.command import Options, live
from luigi_traffic.commands.live.tick import latest_due
from luigi_traffic.errors import SettingsError
from luigi_traffic.project import current

DELAY = timedelta(seconds=20)


@pytest.mark.parametrize(
    ("zone", "every", "now", "due"),
    [
        ("Asia/Seoul", 5, "2024-06-01 00:05:20", "2024-06-01 00:05:20"),
        ("Asia/Seoul", 5, "2024-06-01 00:05:19", "2024-06-01 00:00:20"),
        ("Asia/Seoul", 1440, "2024-06-01 14:59:00", "2024-05-31 15:00:20"),
        # Hours of the wall clock, and not those of UTC.
        ("Asia/Kolkata", 60, "2024-06-01 01:00:00", "2024-06-01 00:30:20"),
        # Clocks are put back at 01:00 UTC: the hour that comes twice has its ticks twice.
        ("Europe/Berlin", 15, "2024-10-27 00:45:30", "2024-10-27 00:45:20"),
        ("Europe/Berlin", 15, "2024-10-27 01:45:30", "2024-10-27 01:45:20"),
    ],
)
def test_ticks_are_due_by_the_wall_clock(zone: str, every: int, now: str, due: str) -> None:
    at, expected = (datetime.fromisoformat(text).replace(tzinfo=UTC) for text in (now, due))
    dataset: Any = SimpleNamespace(timezone=zone)
    assert latest_due(at, dataset, timedelta(minutes=every), DELAY) == expected


def test_a_dataset_of_whole_days_is_refused(tiny) -> None:
    with pytest.raises(SettingsError, match=r"tiny has whole days alone.*live\(\)"):
        live(current(), Options("tiny"))
