"""The table of the warehouse that holds what `Insight` has computed from speeds."""

from __future__ import annotations

from luigi_traffic.warehouse.partitions import Column, PartitionedTable

_PERIOD = (
    Column("days", "integer"),
    Column("coverage", "double precision"),
    Column("free_flow", "double precision"),
    Column("mean_speed", "double precision"),
    Column("travel_time_index", "double precision"),
    Column("planning_time_index", "double precision"),
    Column("buffer_index", "double precision"),
    Column("lottr", "double precision"),
    Column("congested", "double precision"),
    Column("delay_per_km", "double precision"),
    Column("delay", "double precision"),
    Column("level_of_service", "text"),
    Column("reason", "text"),
)
_HEALTH = (
    Column("intervals", "integer"),
    Column("feed_down", "integer"),
    Column("silent", "integer"),
    Column("longest_silence_hours", "double precision"),
    Column("stuck", "integer"),
    Column("implausible", "integer"),
    Column("state", "text"),
)
_BOTTLENECK = (
    Column("active_days", "integer"),
    Column("persistence", "double precision"),
    Column("activations", "integer"),
    Column("mean_minutes", "double precision"),
)


def columns_of(kind: str) -> dict[str, str]:
    """Column → SQL type of what a row of that kind has, but for its key."""
    if kind == "bottleneck":
        return {column.name: column.type for column in (_PERIOD[0], *_BOTTLENECK)}
    of = {"period": _PERIOD, "health": _HEALTH, "week": (Column("speeds", "text"),)}
    return {column.name: column.type for column in of[kind]}


def insight_table(dataset: str) -> PartitionedTable:
    """`insight.<dataset>`: what is computed from the speeds of a window of days of gold.

    A partition is the last day of a window. A row is of one `kind`; the columns of other kinds are
    NULL, and docs/insight.md defines them.

    day     last day of the window
    kind    "period": travel times of a link in a period; "health": of the sensor of a link;
            "bottleneck": of a link that is one; "week": typical speeds of a link
    period  its name; empty in rows of other kinds
    days … reason        of "period"; speeds in the dataset's unit, delays in seconds
    intervals … state    of "health"; numbers of intervals
    active_days … mean_minutes, and days  of "bottleneck"
    speeds  of "week": an array as text, from Monday's midnight on, an element for each interval:
            `(speeds::real[])[1]`
    """
    return PartitionedTable(
        schema="insight",
        name=dataset,
        columns=(
            Column("day", "date"),
            Column("kind", "text"),
            Column("link_id", "text"),
            Column("period", "text"),
            *_PERIOD,
            *_HEALTH,
            *_BOTTLENECK,
            Column("speeds", "text"),
        ),
        key=("day", "kind", "link_id", "period"),
        by="day",
    )
