"""Rows of an ITS file, typed and judged, on the DataFrame API alone.

A national day has 170 million rows: each line is split once, and no regular expression
or date pattern is evaluated for a row of the six columns.
"""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

from luigi_traffic import LinkCell, RawDay
from luigi_traffic import functions as F
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
    layout = _layout(raw)
    width = max(len(fields(raw.header or raw.first_line)), layout.value)

    # Columns of their own: each is read several times, and its expression is large.
    cells = F.lines(spark, raw).withColumn("cells", F.cells("line"))
    texts = cells.select(
        "line",
        F.size("cells").alias("width"),
        *[F.cell("cells", n).alias(f"c{n}") for n in range(layout.value)],
    )
    if layout is Layout.SIX:
        # `20240101` and `5`, `005` or `0005`; 2400 is midnight of the next day. What is longer than
        # four digits is cut: hence the look at the lengths.
        texts = texts.withColumn("moment", F.concat("c0", F.lpad("c1", 4, "0")))
        known = (F.length("c0") == 8) & F.length("c1").between(1, 4)
        timestamp, link, speed = F.when(known, F.compact_time("moment")), "c2", "c4"
        travel_time = F.number("c5")
    else:
        timestamp, link, speed = F.wall_time("c0"), "c1", "c2"
        travel_time = F.lit(None).cast("double")
    typed = texts.select(
        "line",
        "width",
        timestamp.alias("timestamp"),
        F.col(link).alias("link_id"),
        F.number(speed).alias("speed"),
        travel_time.alias("travel_time"),
    )
    reason = _reason(raw.day, width, min_speed, max_speed)
    return typed.withColumn("reject_reason", reason).select(
        "timestamp",
        "link_id",
        "speed",
        "travel_time",
        F.when(F.col("reject_reason").isNotNull(), F.col("line")).alias("raw_line"),
        "reject_reason",
    )


def _layout(raw: RawDay) -> Layout:
    if raw.header is None:
        return layout_of_row(raw.first_line) or Layout.SIX
    return Layout.SIX


def link_cell(raw: RawDay) -> LinkCell:
    """Where a line has its link id."""
    return LinkCell(2 if _layout(raw) is Layout.SIX else 1)


def _reason(day: date, width: int, min_speed: float, max_speed: float) -> Column:
    link, speed = F.col("link_id"), F.col("speed")
    # Ten characters and ten digits' worth: no room is left for a sign.
    good_link = F.coalesce(
        (F.length(link) == 10) & (F.whole_number(link) >= _SMALLEST_LINK), F.lit(False)
    )
    return (
        F.when((F.col("width") < width) & (F.translate("line", ' \t\r"', "") == ""), BLANK)
        .when(F.col("width") < width, TOO_FEW)
        .when(F.col("width") > width, TOO_MANY)
        .when(F.col("timestamp").isNull(), BAD_TIME)
        .when(~F.in_day("timestamp", day), OTHER_DAY)
        .when(~good_link, BAD_LINK)
        .when(speed.isNull(), BAD_SPEED)
        .when((speed <= min_speed) | (speed > max_speed), IMPLAUSIBLE)
    )
