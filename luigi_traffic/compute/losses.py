"""What rejected rows take whole: a link, an interval, an hour of the day. That is no noise.

A share of rejected rows below `max_rejected_share` lets a day pass. Rows that are bad by chance
lie all over it; rows that are all of one link or one hour are a fault of the source or of the
settings, and good data that is lost.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta
from statistics import median
from typing import TYPE_CHECKING

from luigi_traffic.api import functions as F
from luigi_traffic.api.dataset import NO_OBSERVATION
from luigi_traffic.compute.engine import Schema
from luigi_traffic.compute.spans import in_words, runs, slot_of

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

_SHOWN = 5
_HOUR = 3600
_DAY = 24 * _HOUR
#: Types of the columns that are read; a bronze that has others is not looked at.
_TIMES = {"timestamp", "timestamp_ntz"}


def lost_whole(bronze: DataFrame, schema: Schema, day: date, interval: timedelta) -> str | None:
    """What no good row is left of and rejected rows are there for, in words; None: nothing.

    The engine reads three columns of the frame, once for links and once for times.
    """
    kinds = {column["name"]: column["type"] for column in schema}
    if kinds.get("timestamp") not in _TIMES or kinds.get("link_id") != "string":
        return None
    found = [*_links(bronze), *_times(bronze, day, int(interval.total_seconds()))]
    return "; ".join(found) or None


def _counts() -> list[Column]:
    reason = F.col("reject_reason")
    bad = reason.isNotNull() & (reason != NO_OBSERVATION)
    return [
        F.count_if(reason.isNull()).alias("good"),
        F.count_if(bad).alias("bad"),
        F.min(F.when(bad, reason)).alias("reason"),
    ]


def _links(bronze: DataFrame) -> Iterable[str]:
    named = bronze.where(F.length("link_id") > 0)
    lost = named.groupBy("link_id").agg(*_counts()).where("good = 0 AND bad > 0")
    if number := lost.agg(F.count(F.lit(1)).alias("count")).collect()[0]["count"]:
        rows = lost.select("link_id", "reason").orderBy("link_id").limit(_SHOWN).collect()
        few = ", ".join(f"{row['link_id']!r} ({row['reason']})" for row in rows)
        more = ", …" if number > _SHOWN else ""
        yield f"all rows of {number:,} links are rejected: {few}{more}"


def _times(bronze: DataFrame, day: date, step: int) -> Iterable[str]:
    at = F.col("timestamp").cast("timestamp_ntz")
    slot = F.when(F.in_day(at, day), slot_of(at, step)).alias("slot")
    rows = bronze.groupBy(slot).agg(*_counts()).collect()
    good = {row["slot"]: row["good"] for row in rows if row["slot"] is not None}
    lost = {row["slot"]: row["reason"] for row in rows
            if row["slot"] is not None and not row["good"] and row["bad"]}  # fmt: skip
    if lost:
        said = f"{in_words(runs(sorted(lost), range(_DAY // step)), step)} ({min(lost.values())})"
        yield f"all rows of {len(lost):,} intervals are rejected: {said}"
    loose = sum(row["bad"] for row in rows if row["slot"] is None)
    hours = [0] * 24
    for number, count in good.items():
        hours[number * step // _HOUR] += count
    usual = median([count for count in hours if count] or [0])
    empty = [hour for hour, count in enumerate(hours) if not count]
    # As many rows without a time of this day as an hour has: they may be those of one.
    if step <= _HOUR and empty and usual and loose >= usual / 2:
        yield (
            f"no row is left of {in_words(runs(empty, range(24)), _HOUR)}, and {loose:,} rows "
            "without a readable time of the day are rejected"
        )
