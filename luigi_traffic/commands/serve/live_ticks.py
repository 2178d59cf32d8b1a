"""How the live runners of a dataset do, for the figures of the server."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from luigi_traffic.commands.serve.pool import Pool

# Of the last day of ticks: the table may have years of them.
_OF_TARGETS = """
SELECT target, max(due_at) FILTER (WHERE outcome <> 'missed'),
       max(forecast_at), count(*) FILTER (WHERE outcome = 'missed'),
       (array_agg(feed ORDER BY due_at DESC) FILTER (WHERE feed IS NOT NULL))[1] = 'up',
       (array_agg(fallback::float8 / nullif(links, 0) ORDER BY due_at DESC)
        FILTER (WHERE links IS NOT NULL))[1]
FROM meta.ticks
WHERE dataset = %(dataset)s
AND due_at > (SELECT max(due_at) FROM meta.ticks WHERE dataset = %(dataset)s) - interval '1 day'
GROUP BY target ORDER BY 1
"""


@dataclass(frozen=True)
class LiveTicks:
    """Of a dataset and target."""

    target: str
    """Empty for the dataset's own."""
    due_at: datetime | None
    """When the newest tick was due that a runner did."""
    forecast_at: datetime | None
    """When the newest forecast was stored."""
    missed: int
    """Ticks of the last day before the newest tick that no runner did."""
    feed_up: bool | None
    by_profile: float | None
    """Share of the links of the newest forecast that their profile stood in for."""


def live_ticks(pool: Pool, dataset: str) -> list[LiveTicks]:
    """A row for each target that a runner forecasts."""
    return [LiveTicks(*row) for row in pool.rows(_OF_TARGETS, {"dataset": dataset})]
