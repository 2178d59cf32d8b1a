"""A dataset that no run would find."""

from __future__ import annotations

from kit_city import DemoCity


class NotMarked(DemoCity): ...


def luigi_traffic_datasets() -> list[type[DemoCity]]:  # the decorator is missing
    return [NotMarked]
