"""The kit passes what is right."""

from __future__ import annotations

from datetime import date

from kit_city import DemoCity

from luigi_traffic.testing import DatasetSuite


class TestDemoCity(DatasetSuite):
    dataset = DemoCity
    day = date(2024, 5, 1)
    speed_lines = 20_000
