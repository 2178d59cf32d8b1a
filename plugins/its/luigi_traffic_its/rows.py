"""Rows of an ITS file, typed and judged, on the DataFrame API alone.

A national day has 170 million rows: each line is split once, and no regular expression
or date pattern is evaluated a row. ANSI mode is on, so every cast is a `try_cast`.
"""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING

from luigi_traffic import RawDay
from luigi_traffic_its.header import Layout, fields, layout_of_row

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession

BLANK = "blank line"
TOO_FEW = "too few columns"
TOO_MANY = "too many columns"
BAD_TIME = "bad time"
OTHER_DAY = "other day"
BAD_LINK = "bad link id"
BAD_SPEED = "bad speed"
IMPLAUSIBLE = "implausible speed"
#: All reasons, in the order in which a row is judged: the first that applies is kept.
REASONS = (BLANK, TOO_FEW, TOO_MANY, BAD_TIME, OTHER_DAY, BAD_LINK, BAD_SPEED, IMPLAUSIBLE)

_SMALLEST_LINK = 1_000_000_000  # ten digits, the first of a region is never 0


def parse(spark: SparkSession, raw: RawDay, min_speed: float, max_speed: float) -> DataFrame:
    """One row a line: timestamp (TIMESTAMP_NTZ), link_id (string), speed (double, km/h),
    travel_time (double, s), raw_line (string, of rejected rows alone), reject_reason (string).

    The layout and the number of columns are those of the header, or of the first line where
    there is none. A speed is plausible above `min_speed` and up to `max_speed`.
    """
    from pyspark.sql import functions as F

    layout = Layout.SIX
    if raw.header is None:
        layout = layout_of_row(raw.first_line) or Layout.SIX
    width = max(len(fields(raw.header or raw.first_line)), layout.value)

    lines = _lines(spark, raw)
    # Quotes and the CR of a CRLF go at once for the whole line; blanks are each field's affair.
    cells = lines.withColumn("cell", F.split(F.translate("value", '"\r', ""), ","))

    def cell(number: int) -> Column:
        return F.trim(F.get("cell", F.lit(number)))

    if layout is Layout.SIX:
        at, link = _moment(cell(0), cell(1)), cell(2)
        speed, travel_time = cell(4), cell(5).try_cast("double")
    else:
        # A cast alone would take `2020-01-01` for midnight.
        text, link = F.when(F.length(cell(0)) >= 16, cell(0)), cell(1)
        at = text.try_cast("timestamp_ntz")
        speed, travel_time = cell(2), F.lit(None).cast("double")
    typed = cells.select(
        "value",
        F.size("cell").alias("width"),
        at.alias("timestamp"),
        link.alias("link_id"),
        speed.try_cast("double").alias("speed"),
        travel_time.alias("travel_time"),
    )
    reason = _reason(raw.day, width, min_speed, max_speed)
    return typed.withColumn("reject_reason", reason).select(
        "timestamp",
        "link_id",
        "speed",
        "travel_time",
        F.when(F.col("reject_reason").isNotNull(), F.rtrim("value", F.lit("\r"))).alias("raw_line"),
        "reject_reason",
    )


def _lines(spark: SparkSession, raw: RawDay) -> DataFrame:
    from pyspark.sql import functions as F

    if not raw.paths:
        return spark.range(0).select(F.lit("").alias("value"))
    # The default line ends include a lone CR, which the core does not count as one.
    return spark.read.text(list(raw.paths), lineSep="\n")


def _moment(day: Column, minute: Column) -> Column:
    """The time of `20240101` and `5`, `005` or `0005`; 2400 is the end of the day, midnight of
    the next one."""
    from pyspark.sql import functions as F

    padded = F.lpad(minute, 4, "0")  # cuts what is longer: hence the check of the lengths
    ends = minute == "2400"
    text = F.concat(
        F.substring(day, 1, 4), F.lit("-"), F.substring(day, 5, 2), F.lit("-"),
        F.substring(day, 7, 2), F.lit(" "),
        F.when(ends, F.lit("00")).otherwise(F.substring(padded, 1, 2)),
        F.lit(":"), F.substring(padded, 3, 2),
    )  # fmt: skip
    right = (F.length(day) == 8) & F.length(minute).between(1, 4)
    at = F.when(right, text).try_cast("timestamp_ntz")
    return F.when(ends, at + F.expr("INTERVAL 1 DAY")).otherwise(at)


def _reason(day: date, width: int, min_speed: float, max_speed: float) -> Column:
    from pyspark.sql import functions as F

    midnight = datetime.combine(day, time())
    first = F.lit(midnight.isoformat(sep=" ")).cast("timestamp_ntz")
    after = F.lit((midnight + timedelta(days=1)).isoformat(sep=" ")).cast("timestamp_ntz")
    at, link, speed = F.col("timestamp"), F.col("link_id"), F.col("speed")
    number = link.try_cast("bigint")
    # Ten characters and ten digits' worth: no room is left for a sign, a point or a blank.
    good_link = F.coalesce((F.length(link) == 10) & (number >= _SMALLEST_LINK), F.lit(False))
    return (
        F.when((F.col("width") < width) & (F.trim("value", F.lit(' \t\r"')) == ""), BLANK)
        .when(F.col("width") < width, TOO_FEW)
        .when(F.col("width") > width, TOO_MANY)
        .when(at.isNull(), BAD_TIME)
        .when((at < first) | (at >= after), OTHER_DAY)
        .when(~good_link, BAD_LINK)
        .when(speed.isNull(), BAD_SPEED)
        # NaN is above every number in Spark, so it is implausible too.
        .when((speed <= min_speed) | (speed > max_speed), IMPLAUSIBLE)
    )
