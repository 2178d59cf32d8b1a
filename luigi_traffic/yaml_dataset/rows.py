"""Rows of a declared table, typed and judged, on the DataFrame API alone."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

from luigi_traffic.api import functions as F
from luigi_traffic.api.columns import MEASURES
from luigi_traffic.api.dataset import NO_OBSERVATION, RawDay
from luigi_traffic.api.scope import LinkCell
from luigi_traffic.yaml_dataset.header import delimiter_of, fields, has_header, positions
from luigi_traffic.yaml_dataset.settings import Table
from luigi_traffic.yaml_dataset.timestamps import timestamp

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession

BLANK = "blank line"
QUOTES = "quote not closed"
WIDTH = "wrong number of columns"
BAD_TIME = "bad time"
OTHER_DAY = "other day"
BAD_LINK = "bad link id"
BAD_SPEED = "bad speed"
IMPLAUSIBLE = "implausible speed"
#: Between the texts of the columns that say which link, if there are several.
LINK_SEPARATOR = "-"

_LONGEST_LINK = 255  # characters; an index of PostgreSQL takes about 2,700 bytes
_LARGEST = 1e9  # of flow and other numbers: sums of their millionths fit 64 bits


def reasons(table: Table) -> tuple[str, ...]:
    """All reasons, in the order in which a row is judged: the first that applies is kept."""
    of_numbers = []
    for name in table.long.columns.numbers:
        of_numbers.append(f"bad {name}")
        if name == "speed":
            of_numbers.append(IMPLAUSIBLE)
    return (
        BLANK, QUOTES, WIDTH, BAD_TIME, OTHER_DAY, BAD_LINK, NO_OBSERVATION, *of_numbers,
    )  # fmt: skip


def parse(spark: SparkSession, raw: RawDay, table: Table) -> DataFrame:
    """One row a line: timestamp (TIMESTAMP_NTZ, wall time), link_id (string), the numbers
    (double, NULL where missing), raw_line (string, of rejected rows alone), reject_reason
    (string). A row is one of no observation if none of its measures has a value.
    """
    table = table.long
    first = _first_line(raw, table)
    at, width = positions(table, first), len(fields(first, delimiter_of(table)))
    split = F.lines(spark, raw).withColumn("cells", F.cells("line", delimiter_of(table)))

    def cell(role: str) -> Column:
        return F.coalesce(F.cell("cells", at[role]), F.lit(""))

    numbers = table.columns.numbers
    parts = [cell(role) for role in table.columns.link_parts]
    # Of several columns none may be empty: the joined text would pass for another link's.
    named = F.lit(True)
    for part in parts:
        named = named & (F.length(part) > 0)
    typed = split.select(
        "line",
        F.size("cells").alias("width"),
        timestamp([cell(name) for name in table.columns.moment], table.moment).alias("timestamp"),
        F.when(named, F.concat_ws(LINK_SEPARATOR, *parts)).otherwise("").alias("link_id"),
        *[_missing(cell(name), name, table).alias(f"no_{name}") for name in numbers],
        *[_number(cell(name), table).alias(name) for name in numbers],
    )
    reason = _reason(raw.day, width, table)
    return typed.withColumn("reject_reason", reason).select(
        "timestamp",
        "link_id",
        *[F.when(~F.col(f"no_{name}"), F.col(name)).alias(name) for name in numbers],
        F.when(F.col("reject_reason").isNotNull(), F.col("line")).alias("raw_line"),
        "reject_reason",
    )


def link_cell(raw: RawDay, table: Table) -> LinkCell | None:
    """Where a line has its link id; None if it is made of several cells."""
    table = table.long
    if len(table.columns.link_parts) > 1:
        return None
    (link,) = table.columns.link_parts
    return LinkCell(positions(table, _first_line(raw, table))[link], delimiter_of(table))


def _first_line(raw: RawDay, table: Table) -> str:
    """The line that says which columns there are."""
    first = (raw.header or "") if has_header(table) else raw.first_line
    if not first and not has_header(table):  # no line at all: as many columns as are named
        first = delimiter_of(table) * max(map(int, table.columns.by_role().values()))
    return first


def _number(cell: Column, table: Table) -> Column:
    if table.decimal == "," and table.format == "csv":
        cell = F.translate(cell, ",", ".")
    return F.number(cell)


def _missing(cell: Column, name: str, table: Table) -> Column:
    """Whether a cell says that nothing was measured: by its text, or as the same number."""
    texts = sorted({value.strip().lower() for value in table.missing_in(name)})
    numbers = []
    for text in texts:
        try:
            numbers.append(float(text))
        except ValueError:
            continue
    said = F.lower(cell).isin(texts) if texts else F.lit(False)
    finite = sorted({n for n in numbers if n == n})
    if finite:
        said = said | F.coalesce(_number(cell, table).isin(finite), F.lit(False))
    return said


def _reason(day: date, width: int, table: Table) -> Column:
    line, link = F.col("line"), F.col("link_id")
    quotes = F.length(line) - F.length(F.replace(line, F.lit('"'), F.lit("")))
    bad_link = (
        (F.length(link) == 0) | (F.length(link) > _LONGEST_LINK) | F.contains(link, F.lit("\0"))
    )
    nothing = F.lit(True)
    for name in table.columns.measures:
        nothing = nothing & F.col(f"no_{name}")
    reason = (
        F.when(F.trim(line) == "", BLANK)
        .when(quotes % 2 == 1, QUOTES)
        .when(F.col("width") != width, WIDTH)
        .when(F.col("timestamp").isNull(), BAD_TIME)
        .when(~F.in_day("timestamp", day), OTHER_DAY)
        .when(bad_link, BAD_LINK)
        .when(nothing, NO_OBSERVATION)
    )
    for name in table.columns.numbers:
        value, given = F.col(name), ~F.col(f"no_{name}")
        if name == "speed":
            low, high = table.speed_range
            reason = reason.when(given & value.isNull(), BAD_SPEED)
            reason = reason.when(given & ((value < low) | (value > high)), IMPLAUSIBLE)
            continue
        least = 0.0 if name in MEASURES else -_LARGEST
        good = F.coalesce(value.between(least, _LARGEST), F.lit(False))
        reason = reason.when(given & ~good, f"bad {name}")
    return reason
