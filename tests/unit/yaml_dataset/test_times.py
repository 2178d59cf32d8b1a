from __future__ import annotations

from datetime import date

import pytest

from luigi_traffic.yaml_dataset.times import Moment, pattern_problem

NEW_YEAR = date(2024, 1, 1)


@pytest.mark.parametrize(
    ("time_format", "text", "day"),
    [
        (None, "2024-01-01 00:05", NEW_YEAR),
        (None, "2024-1-1T0:05:00.123456789", NEW_YEAR),
        # An offset makes it an instant: 20:00 UTC is 05:00 of the next day in Korea.
        (None, "2023-12-31T20:00:00Z", NEW_YEAR),
        (None, "2023-12-31 20:00:00.000000Z", NEW_YEAR),
        (None, "2023-12-31 20:00:00 +0000", NEW_YEAR),
        (None, "2023-12-31T10:00:00.000000001-05", NEW_YEAR),
        (None, "2024-01-01T08:59:00+09:00", NEW_YEAR),
        # A day without a readable time is of that day, where its row is rejected.
        (None, "2024-01-01", NEW_YEAR),
        (None, "2024-01-01 00:05 Asia/Seoul", NEW_YEAR),
        ("yyyyMMdd HHmm", "20240101 99", NEW_YEAR),
        ("HH:mm d.M.yyyy", "x:y 1.1.2024", NEW_YEAR),
        ("yyyyMMdd Hmm", "20240101 ", NEW_YEAR),
        (None, "2024-01-01x", None),
        (None, "2024-13-01 00:05", None),
        (None, "2024-02-30 00:05", None),
        (None, "", None),
        ("unix", "1704034800", NEW_YEAR),
        ("unix", "1704034799.5", date(2023, 12, 31)),
        ("unix_ms", "1704034800000", NEW_YEAR),
        ("unix", "-5", None),
        ("unix", "nan", None),
        ("unix", "soon", None),
        ("yyyyMMdd HHmm", "20240101 0005", NEW_YEAR),
        ("yyyyMMdd HHmm", "20240101 005", NEW_YEAR),
        ("dd.MM.yyyy HH:mm", "01.01.2024 00:05", NEW_YEAR),
        ("d/M/yy h:mm a", "1/1/24 12:05 AM", NEW_YEAR),
        ("yyyy-MM-dd'T'HH:mm:ss.SSS", "2024-01-01T00:05:00.000", NEW_YEAR),
        ("yyyy년 MM월 dd일 HH시", "2024년 01월 01일 00시", NEW_YEAR),
        ("yyyy-MM-dd HH 'o''clock'", "2024-01-01 00 o'clock", NEW_YEAR),
    ],
)
def test_the_day_of_a_time(time_format: str | None, text: str, day: date | None) -> None:
    assert Moment(time_format, "Asia/Seoul").day_reader()(text) == day


def test_the_zone_decides_the_day_of_an_instant() -> None:
    text = "2024-01-01T03:00:00Z"
    assert Moment(None, "America/New_York").day_reader()(text) == date(2023, 12, 31)
    assert Moment(None, "UTC").day_reader()(text) == NEW_YEAR


@pytest.mark.parametrize("known", ["unix", "unix_ms", "yyyy-MM-dd HH:mm:ss", "d.M.yyyy h a"])
def test_known_formats(known: str) -> None:
    assert pattern_problem(known) is None
