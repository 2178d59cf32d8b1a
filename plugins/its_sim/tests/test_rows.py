"""Rows as text, against the plain way to write them."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest

from luigi_traffic_its_sim.rows import DayText

DAY = date(2024, 1, 3)
IDS = np.array(["1920000101", "1920000202", "9991234567"], "S10")
LENGTH = np.array([200.0, 1234.0, 2000.0])


def plain(slot: int, link: int, speed: float) -> str:
    travel = round(LENGTH[link] * 3.6 / speed, 2) if speed else 0
    at = f"{slot // 12:02d}{slot % 12 * 5:02d}"
    return f"20240103,{at},{IDS[link].decode()},L01,{speed:.12g},{travel:.12g}\n"


def test_every_number_is_written_as_python_would() -> None:
    speed = np.concatenate([[0.0], np.arange(500, 11_001) / 100, [999.0]])
    rng = np.random.default_rng(0)
    slot, link = rng.integers(0, 288, len(speed)), rng.integers(0, 3, len(speed))
    rows = DayText(DAY, IDS, LENGTH).rows(slot, link, speed).decode().splitlines(keepends=True)
    assert rows == list(map(plain, slot.tolist(), link.tolist(), speed.tolist()))
    assert {len(row.split(",")[4]) for row in rows} == {1, 2, 3, 4, 5, 6}
    assert plain(287, 2, 5.0) == "20240103,2355,9991234567,L01,5,1440\n"


def test_one_slot_for_all_rows() -> None:
    text = DayText(DAY, IDS, LENGTH)
    link, speed = np.arange(3), np.array([5.0, 60.5, 99.99])
    assert text.rows(287, link, speed) == text.rows(np.full(3, 287), link, speed)
    assert text.rows(0, link[:0], speed[:0]) == b""


def test_a_travel_time_that_has_no_room_is_refused() -> None:
    with pytest.raises(ValueError, match="four digits before the point"):
        DayText(DAY, IDS, LENGTH * 10)
