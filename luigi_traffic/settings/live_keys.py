"""The keys of `luigi-traffic live`."""

from __future__ import annotations

from pydantic import Field

from luigi_traffic.settings.engine_keys import Section


class LiveSettings(Section):
    """The present: what is polled, forecast and kept, see docs/live.md."""

    delay_seconds: float = Field(
        20.0,
        ge=0,
        description="Seconds after the end of an interval at which its values are asked for",
    )
    min_observed: int = Field(
        1,
        ge=0,
        description=(
            "Smallest number of the model's input intervals with a value of the link; with fewer, "
            "the profile of the week is its forecast, and is flagged"
        ),
    )
    down_after_minutes: float = Field(
        20.0,
        gt=0,
        description="Minutes without a value of any link after which the feed counts as down",
    )
    keep_days: int = Field(
        7,
        ge=2,
        description=(
            "Number of days for which live forecasts are kept, and observations of days that never "
            "get gold"
        ),
    )
    topic: str = Field(
        "traffic.{dataset}.live",
        pattern=r"^([A-Za-z0-9._-]|\{dataset\}){1,200}$",
        description="Topic of the event of each tick",
    )
