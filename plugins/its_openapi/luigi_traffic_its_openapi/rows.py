"""Items of the service, typed and judged, on the DataFrame API alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from luigi_traffic import DataError, RawDay
from luigi_traffic_its.rows import BAD_LINK, BAD_SPEED, BAD_TIME, IMPLAUSIBLE, OTHER_DAY

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession

NOT_JSON = "not JSON"
#: All reasons, in the order in which a row is judged: the first that applies is kept.
REASONS = (NOT_JSON, BAD_TIME, OTHER_DAY, BAD_LINK, BAD_SPEED, IMPLAUSIBLE)
#: The members that are read. All are text; a number is read as the text it is written in.
_ITEM = "linkId string, createdDate string, speed string, travelTime string, broken string"
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
    from pyspark.sql import functions as F

    lines = spark.read.text(list(raw.paths), lineSep="\n")
    options = {"mode": "PERMISSIVE", "columnNameOfCorruptRecord": "broken"}
    item = lines.withColumn("item", F.from_json("value", _ITEM, options))
    typed = item.select(
        "value",
        (F.col("item").isNull() | F.col("item.broken").isNotNull()).alias("broken"),
        _moment(F.col("item.createdDate")).alias("timestamp"),
        F.trim("item.linkId").alias("link_id"),
        F.trim("item.speed").try_cast("double").alias("speed"),
        F.trim("item.travelTime").try_cast("double").alias("travel_time"),
    )
    return typed.withColumn("reject_reason", _reason(raw, min_speed, max_speed)).select(
        "timestamp",
        "link_id",
        "speed",
        "travel_time",
        F.when(F.col("reject_reason").isNotNull(), F.col("value")).alias("raw_line"),
        "reject_reason",
    )


def _moment(text: Column) -> Column:
    """`20240531100500` as a timestamp."""
    from pyspark.sql import functions as F

    parts = []
    for sign, begin, length in (("", 1, 4), ("-", 5, 2), ("-", 7, 2), (" ", 9, 2), (":", 11, 2),
                                (":", 13, 2)):  # fmt: skip
        parts += [F.lit(sign), F.substring(text, begin, length)]
    return F.when(F.length(text) == 14, F.concat(*parts)).try_cast("timestamp_ntz")


def _reason(raw: RawDay, min_speed: float, max_speed: float) -> Column:
    from pyspark.sql import functions as F

    link, speed = F.col("link_id"), F.col("speed")
    number = link.try_cast("bigint")
    # Ten characters and ten digits' worth: no room is left for a sign, a point or a blank.
    good_link = F.coalesce((F.length(link) == 10) & (number >= _SMALLEST_LINK), F.lit(False))
    return (
        F.when(F.col("broken"), NOT_JSON)
        .when(F.col("timestamp").isNull(), BAD_TIME)
        .when(F.to_date("timestamp") != F.lit(raw.day), OTHER_DAY)
        .when(~good_link, BAD_LINK)
        .when(speed.isNull(), BAD_SPEED)
        # NaN is above every number in Spark, so it is implausible too.
        .when((speed <= min_speed) | (speed > max_speed), IMPLAUSIBLE)
    )
