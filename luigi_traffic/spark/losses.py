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

from luigi_traffic.api.dataset import NO_OBSERVATION
from luigi_traffic.spark.spans import in_words, runs

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

_SHOWN = 5
_HOUR = 3600
_DAY = 24 * _HOUR
#: Types of the columns that are read; a bronze that has others is not looked at.
_TIMES = {"timestamp", "timestamp_ntz"}


def lost_whole(bronze: DataFrame, day: date, interval: timedelta) -> str | None:
    """What no good row is left of and rejected rows are there for, in words; None: nothing.

    Spark reads three columns of the frame, once for links and once for times.
    """
    kinds = dict(bronze.dtypes)
    if kinds.get("timestamp") not in _TIMES or kinds.get("link_id") != "string":
        return None
    found = [*_links(bronze), *_times(bronze, day, int(interval.total_seconds()))]
    return "; ".join(found) or None


def _counts() -> list[Column]:
    from pyspark.sql import functions as F

    reason = F.col("reject_reason")
    bad = reason.isNotNull() & (reason != NO_OBSERVATION)
    return [
        F.count_if(reason.isNull()).alias("good"),
        F.count_if(bad).alias("bad"),
        F.min(F.when(bad, reason)).alias("reason"),
    ]


def _links(bronze: DataFrame) -> Iterable[str]:
    from pyspark.sql import functions as F

    named = bronze.where(F.length("link_id") > 0)
    lost = named.groupBy("link_id").agg(*_counts()).where("good = 0 AND bad > 0")
    pairs = F.sort_array(F.collect_list(F.struct("link_id", "reason")))
    rows = lost.agg(
        F.count(F.lit(1)).alias("count"), F.slice(pairs, 1, _SHOWN).alias("few")
    ).collect()[0]
    if rows["count"]:
        few = ", ".join(f"{row['link_id']!r} ({row['reason']})" for row in rows["few"])
        more = ", …" if rows["count"] > _SHOWN else ""
        yield f"all rows of {rows['count']:,} links are rejected: {few}{more}"


def _times(bronze: DataFrame, day: date, step: int) -> Iterable[str]:
    from pyspark.sql import functions as F

    at = F.col("timestamp").cast("timestamp_ntz")
    second = F.hour(at) * 3600 + F.minute(at) * 60 + F.second(at)
    slot = F.when(F.to_date(at) == F.lit(day), F.floor(second / step)).alias("slot")
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
