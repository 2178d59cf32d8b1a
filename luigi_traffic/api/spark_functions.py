"""The functions of `luigi_traffic.functions` on Spark: what each means is said there."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

from luigi_traffic.api import grammar, spark_links
from luigi_traffic.api.scope import Outside

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession

    from luigi_traffic.api.dataset import RawDay
    from luigi_traffic.api.scope import Scope


def __getattr__(name: str) -> Any:
    """A function of Spark's own."""
    from pyspark.sql import functions

    return getattr(functions, name)


def lines(session: SparkSession, raw: RawDay) -> DataFrame:  # noqa: D103
    from pyspark.sql import functions as F

    if not raw.paths:
        return session.range(0).select(F.lit("").alias("line"))
    # The default line ends include a lone CR, which the core does not count as one.
    text = session.read.text(list(raw.paths), lineSep="\n")
    found = text.select(F.rtrim("value", F.lit("\r")).alias("line"))
    return found if raw.scope is None else _inside(found, raw.scope)


def _inside(lines: DataFrame, scope: Scope) -> DataFrame:
    from pyspark.sql import Observation
    from pyspark.sql import functions as F

    link = cell(cells(F.col("line"), scope.cell.delimiter), scope.cell.number)
    marked = spark_links.marked(lines.withColumn("link", link), "link", scope.links, "of_scope")
    known = F.coalesce("link", F.lit("")) != ""
    inside = known & F.col("of_scope")
    counts = Observation()
    counted = marked.observe(
        counts,
        F.count_if(known & ~inside).alias("other_links"), F.count_if(~known).alias("no_link"),
    )  # fmt: skip
    scope.count(lambda: Outside(**counts.get))
    return counted.where(inside).select("line")


def cells(line: Column, delimiter: str) -> Column:  # noqa: D103
    from pyspark.sql import functions as F

    end = re.escape(delimiter)
    # Each cell ends with a delimiter, so that an empty one at the end is none too many.
    ended = F.concat(line, F.lit(delimiter))
    found = F.regexp_extract_all(ended, F.lit(grammar.cell(end)), F.lit(1))
    # Few files have quotes, and an expression a line costs more than all the rest.
    return F.when(F.contains(line, F.lit('"')), F.transform(found, _without_quotes)).otherwise(
        F.split(line, end)
    )


def _without_quotes(cell: Column) -> Column:
    from pyspark.sql import functions as F

    trimmed = F.trim(cell, F.lit(grammar.BLANKS))
    quoted = (F.length(trimmed) > 1) & trimmed.startswith('"') & trimmed.endswith('"')
    inner = F.substring(trimmed, F.lit(2), F.length(trimmed) - 2)
    return F.when(quoted, F.replace(inner, F.lit('""'), F.lit('"'))).otherwise(cell)


def cell(array: Column, number: int) -> Column:  # noqa: D103
    from pyspark.sql import functions as F

    return F.trim(F.get(array, F.lit(number)), F.lit(grammar.BLANKS))


def number(text: Column) -> Column:  # noqa: D103
    from pyspark.sql import functions as F

    # A cast takes more: NaN, 1d, 0x1p3, blanks and control characters around a number. One short
    # expression: with several comparisons the code that Spark makes of a row gets too long for
    # Java's compiler, and is interpreted.
    found = text.try_cast("double")
    good = text.rlike(grammar.whole(grammar.DECIMAL)) & (F.abs(found) <= sys.float_info.max)
    return F.when(good, found)


def whole_number(text: Column) -> Column:  # noqa: D103
    from pyspark.sql import functions as F

    return F.when(text.rlike(grammar.whole(grammar.WHOLE)), text.try_cast("bigint"))


def wall_time(text: Column) -> Column:  # noqa: D103
    from pyspark.sql import functions as F

    # A cast alone would take `2024-05-31` for midnight, and pass over an offset.
    return F.when(text.rlike(_java(grammar.ISO)), _cast_time(text))


def _java(expression: str) -> str:
    return grammar.whole(expression.replace("(?P<", "(?<"))


def _cast_time(text: Column) -> Column:
    """TIMESTAMP_NTZ of text that is known to be a time: what Spark casts, and `24:00`."""
    from pyspark.sql import functions as F

    midnight = F.regexp_replace(text, "([T ])24:", "$100:")
    ends = midnight.try_cast("timestamp_ntz") + F.expr("INTERVAL 1 DAY")
    return F.when(text.rlike(grammar.HOUR_24), ends).otherwise(text.try_cast("timestamp_ntz"))


def instant_time(text: Column, timezone: str) -> Column:  # noqa: D103
    from pyspark.sql import functions as F

    # Spark reads no offset behind a time without seconds. The type must be spelt out:
    # "timestamp" is TIMESTAMP_NTZ in our sessions, which passes over an offset.
    full = F.regexp_replace(text, r"([T ]\d{2}:\d{2})( ?(?:Z|[+-]))", "$1:00$2")
    known = text.rlike(_java(grammar.ISO_OFFSET))
    return _wall(F.when(known, full.try_cast("timestamp_ltz")), timezone)


def unix_time(seconds: Column, timezone: str) -> Column:  # noqa: D103
    from pyspark.sql import functions as F

    known = F.when(seconds.between(0, grammar.UNIX_MOST), seconds)
    return _wall(F.timestamp_seconds(known), timezone)


def _wall(instant: Column, timezone: str) -> Column:
    from pyspark.sql import functions as F

    # The session's zone is UTC.
    return F.convert_timezone(F.lit("UTC"), F.lit(timezone), instant.cast("timestamp_ntz"))


def pattern_time(text: Column, expression: re.Pattern[str]) -> Column:  # noqa: D103
    from pyspark.sql import functions as F

    group, matching = expression.groupindex, _java(expression.pattern)
    if {"a", "Hmm", "Hmmss"} & set(group):
        part = {name: F.regexp_extract(text, matching, n) for name, n in group.items()}
        year = part["y"] if "y" in part else F.concat(F.lit("20"), part["yy"])
        made = time_of_parts(year, part["m"], part["d"], *_clock(part))
        if "f" not in part:
            return made
        micros = F.rpad(F.substring(part["f"], 1, 6), 6, "0").try_cast("double")
        later = time_after(made, micros / grammar.SCALE)
        # The 24th hour of a day is its end, and has no fraction.
        hour = _clock(part)[0].try_cast("int")
        return F.when((hour < 24) | (F.ltrim(part["f"], F.lit("0")) == ""), later)
    # An expression a group would cost several times as much.
    clock = [f"${group[name]}" if name in group else "0" for name in "HMS"]
    year_text = f"${group['y']}" if "y" in group else f"20${group['yy']}"
    canonical = f"{year_text}-${group['m']}-${group['d']} {':'.join(clock)}"
    if "f" in group:
        canonical += f".${group['f']}"
    whole = F.regexp_replace(text, matching, canonical)
    return F.when(text.rlike(matching), _cast_time(whole))


def _clock(part: dict[str, Column]) -> list[Column]:
    """Hour, minute and second of the groups of a pattern."""
    from pyspark.sql import functions as F

    for name in {"Hmm", "Hmmss"} & set(part):
        digits = F.lpad(part[name], len(name) + 1, "0")
        return [F.substring(digits, begin, 2) for begin in range(1, len(name) + 1, 2)]
    zero = F.lit("0")
    hour = part.get("H", zero)
    if "h" in part:
        twelve = part["h"].try_cast("int")
        later = F.when(F.lower(part["a"]) == "pm", 12).otherwise(0)
        hour = F.when(twelve.between(1, 12), twelve % 12 + later)
    return [hour, part.get("M", zero), part.get("S", zero)]


def time_after(timestamp: Column, seconds: Column) -> Column:  # noqa: D103
    from pyspark.sql import functions as F

    return timestamp + F.make_dt_interval(secs=F.round(seconds, 6).try_cast("decimal(18,6)"))


def time_of_parts(  # noqa: D103
    year: Column,
    month: Column,
    day: Column,
    hour: Column,
    minute: Column,
    second: Column | None = None,
) -> Column:
    from pyspark.sql import functions as F

    given = (year, month, day, hour, minute, F.lit(0) if second is None else second)
    y, m, d, hours, minutes, seconds = (part.try_cast("int") for part in given)
    ends = (hours == 24) & (minutes == 0) & (seconds == 0)
    # To Spark alone, 60 seconds are the next minute.
    exact = F.when(seconds < 60, seconds).cast("decimal(16,6)")
    made = F.try_make_timestamp_ntz(y, m, d, F.when(ends, 0).otherwise(hours), minutes, exact)
    return F.when(ends, made + F.expr("INTERVAL 1 DAY")).otherwise(made)


def compact_time(text: Column, seconds: bool) -> Column:  # noqa: D103
    from pyspark.sql import functions as F

    two = [F.substring(text, begin, 2) for begin in (5, 7, 9, 11, *([13] if seconds else []))]
    made = time_of_parts(F.substring(text, 1, 4), *two)
    return F.when(text.rlike(grammar.whole(grammar.compact(seconds))), made)


def in_day(timestamp: Column, day: date) -> Column:  # noqa: D103
    from pyspark.sql import functions as F

    midnight = datetime.combine(day, time())
    first, after = (
        F.lit(moment.isoformat(sep=" ")).cast("timestamp_ntz")
        for moment in (midnight, midnight + timedelta(days=1))
    )
    return (timestamp >= first) & (timestamp < after)


def interval_start(timestamp: Column, interval: timedelta) -> Column:  # noqa: D103
    from pyspark.sql import functions as F

    seconds = int(interval.total_seconds())
    return F.window(timestamp, f"{seconds} seconds").getField("start")


def json_members(line: Column, names: Sequence[str]) -> Column:  # noqa: D103
    from pyspark.sql import functions as F

    broken = "_corrupt_record"
    schema = ", ".join(f"`{name}` string" for name in [*names, broken])
    options = {
        "mode": "PERMISSIVE", "columnNameOfCorruptRecord": broken, "allowSingleQuotes": "false",
    }  # fmt: skip
    found = F.from_json(line, schema, options)
    whole = found.isNotNull() & found.getField(broken).isNull()
    return F.when(whole, F.struct(*[found.getField(name).alias(name) for name in names]))


def exact_mean(value: Column) -> Column:  # noqa: D103
    from pyspark.sql import functions as F

    return _exact(value) / F.count(value) / F.lit(float(grammar.SCALE))


def exact_sum(value: Column) -> Column:  # noqa: D103
    from pyspark.sql import functions as F

    return _exact(value) / F.lit(float(grammar.SCALE))


def _exact(value: Column) -> Column:
    from pyspark.sql import functions as F

    return F.sum(F.round(value * grammar.SCALE).cast("bigint"))
