"""The keys of what `Insight` computes from speeds; docs/insight.md has the definitions."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from luigi_traffic.settings.day_spans import day_spans
from luigi_traffic.settings.engine_keys import Section

Share = Annotated[float, Field(gt=0, le=1)]


class InsightSettings(Section):
    """What `Insight` computes from speeds, and from which thresholds on; see docs/insight.md."""

    window_days: int = Field(
        28, ge=1, description="Number of days of gold, the last of them is the day of the run"
    )
    periods: dict[str, str] = Field(
        {
            "morning peak": "mon-fri 07:00-09:00",
            "evening peak": "mon-fri 17:00-19:00",
            "all day": "mon-sun 00:00-24:00",
        },
        min_length=1,
        description="Name of each period, and its days and times",
    )
    free_flow: Literal["percentile", "limit"] = Field(
        "percentile",
        description=(
            "Free-flow speed of a link. percentile: the 85th percentile of its speeds in "
            "insight.free_flow_hours; limit: the speed limit in the dataset's link table"
        ),
    )
    free_flow_hours: str = Field(
        "mon-fri 09:00-16:00, mon-fri 19:00-22:00, sat-sun 06:00-22:00",
        description="Days and times outside of the peaks, for insight.free_flow: percentile",
    )
    congested_share: Share = Field(
        0.6, description="Congested is a speed below this share of the free-flow speed"
    )
    level_of_service: list[Share] = Field(
        [0.85, 0.67, 0.5, 0.4, 0.3],
        min_length=5,
        max_length=5,
        description=(
            "Shares of the free-flow speed above which the level of service is A, B, C, D, E; "
            "below the last it is F"
        ),
    )
    min_coverage: float = Field(
        0.5, ge=0, le=1,
        description="Smallest share of a period's intervals with a speed, for figures to be given",
    )  # fmt: skip
    min_days: int = Field(
        5, ge=1, description="Smallest number of days with a speed, for figures to be given"
    )
    feed_down_share: float = Field(
        0.05, ge=0, lt=1,
        description="The feed is down in an interval in which at most this share of links reports",
    )  # fmt: skip
    silent_hours: float = Field(
        3.0, gt=0, description="Silent is a link without a value for this long while the feed is up"
    )
    stuck_intervals: int = Field(
        24, ge=2,
        description="Stuck is a link with one value in this many intervals in which others vary",
    )  # fmt: skip
    stuck_others: Share = Field(
        0.5, description="Others vary if at least this share of the links has a new value"
    )
    fastest_kmh: float = Field(200.0, gt=0, description="Implausible is a speed above this, km/h")
    over_limit: float = Field(
        2.0, gt=1, description="Implausible is a speed above the link's limit times this"
    )
    fault_share: float = Field(
        0.05, ge=0, lt=1,
        description="A link has a fault if it shows in more than this share of the intervals",
    )  # fmt: skip
    bottleneck_below_kmh: float = Field(
        64.0, gt=0, description="A bottleneck is active at a speed below this, km/h"
    )
    bottleneck_drop_kmh: float = Field(
        32.0, gt=0,
        description="And if all links that follow are faster by at least this, km/h",
    )  # fmt: skip
    bottleneck_minutes: float = Field(
        25.0, gt=0, description="Shortest time for which a bottleneck is active"
    )

    @field_validator("periods")
    @classmethod
    def _are_periods(cls, given: dict[str, str]) -> dict[str, str]:
        for name, text in given.items():
            if not name.strip():
                raise ValueError("expected a name for each period")
            day_spans(text)
        return given

    @field_validator("free_flow_hours")
    @classmethod
    def _are_spans(cls, given: str) -> str:
        day_spans(given)
        return given

    @field_validator("level_of_service")
    @classmethod
    def _fall(cls, given: list[float]) -> list[float]:
        if sorted(set(given), reverse=True) != given:
            raise ValueError("expected five shares, each smaller than the one before")
        return given
