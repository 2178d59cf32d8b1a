"""Items of the service, typed and judged, on the DataFrame API alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from luigi_traffic import DataError, RawDay
from luigi_traffic import functions as F
from luigi_traffic_its.rows import BAD_LINK, BAD_SPEED, BAD_TIME, IMPLAUSIBLE, OTHER_DAY

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession

NOT_JSON = "not JSON"
#: All reasons, in the order in which a row is judged: the first that applies is kept.
REASONS = (NOT_JSON, BAD_TIME, OTHER_DAY, BAD_LINK, BAD_SPEED, IMPLAUSIBLE)
#: The members that are read, all as text.
_ITEM = ("linkId", "createdDate", "speed", "travelTime")
_SMALLEST_LINK = 1_000_000_000  # ten digits, the first of a region is never 0


def check_first_line(line: str) -> None:
    """Raises `DataError` where a file does not begin with an item of the service."""
    if not line.startswith("{") or '"linkId"' not in line:
        shown = line[:100] + "…" if len(line) > 100 else line
        raise DataError(
            f"the first line is {shown!r}, expected an item of the ITS OpenAPI as JSON on one "
            'line: {"linkId":"1920161400","speed":"57.0",…}'
        )


def parse(spark: SparkSession, raw: RawDay, min_speed: float, max_speed: float) -> DataFrame:
    """One row a line: timestamp (TIMESTAMP_NTZ), link_id (string), speed (double, km/h),
    travel_time (double, s), raw_line (string, of rejected rows alone), reject_reason (string).

    A speed is plausible above `min_speed` and up to `max_speed`.
    """
    item = F.lines(spark, raw).withColumn("item", F.json_members("line", _ITEM))
    typed = item.select(
        "line",
        F.col("item").isNull().alias("broken"),
        F.compact_time("item.createdDate", seconds=True).alias("timestamp"),
        F.trim("item.linkId").alias("link_id"),
        F.number(F.trim("item.speed")).alias("speed"),
        F.number(F.trim("item.travelTime")).alias("travel_time"),
    )
    return typed.withColumn("reject_reason", _reason(raw, min_speed, max_speed)).select(
        "timestamp",
        "link_id",
        "speed",
        "travel_time",
        F.when(F.col("reject_reason").isNotNull(), F.col("line")).alias("raw_line"),
        "reject_reason",
    )


def _reason(raw: RawDay, min_speed: float, max_speed: float) -> Column:
    link, speed = F.col("link_id"), F.col("speed")
    # Ten characters and ten digits' worth: no room is left for a sign.
    good_link = F.coalesce(
        (F.length(link) == 10) & (F.whole_number(link) >= _SMALLEST_LINK), F.lit(False)
    )
    return (
        F.when(F.col("broken"), NOT_JSON)
        .when(F.col("timestamp").isNull(), BAD_TIME)
        .when(~F.in_day("timestamp", raw.day), OTHER_DAY)
        .when(~good_link, BAD_LINK)
        .when(speed.isNull(), BAD_SPEED)
        .when((speed <= min_speed) | (speed > max_speed), IMPLAUSIBLE)
    )
