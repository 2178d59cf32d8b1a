"""Functions on columns, for `bronze`, `silver` and `checks`.

Imported as `from luigi_traffic import functions as F`. The functions defined here mean the same on
every engine. None of them raises for a value: what cannot be read is NULL. Every other name, for
example `F.when`, is that of `pyspark.sql.functions`, which is imported when a name is first asked
for: this module costs nothing where Spark is not used.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession
    from pyspark.sql.functions import *  # noqa: F403

    from luigi_traffic.api.dataset import RawDay

#: A local time in ISO 8601: `2024-05-31 08:05`, with `T` or a blank, seconds and a fraction.
ISO = r"^\d{4}-\d{1,2}-\d{1,2}[T ]\d{1,2}:\d{2}(:\d{2}(\.\d{1,9})?)?$"
#: The end of a day, written as its 24th hour: midnight of the next day (ISO 8601:2004, 4.2.3).
HOUR_24 = r"[T ]24:00?(:00?(\.0+)?)?$"
_DECIMAL = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$"
_WHOLE = "^-?[0-9]+$"
#: What stands around a cell and is no part of it.
_BLANKS = " \t"
_SCALE = 1_000_000


def __getattr__(name: str) -> Any:
    """A function of the engine."""
    if name.startswith("__"):
        raise AttributeError(name)
    from pyspark.sql import functions

    return getattr(functions, name)


def lines(session: SparkSession, raw: RawDay) -> DataFrame:
    """The data lines of a day: one column `line` (string), without the line ends LF or CRLF."""
    from pyspark.sql import functions as F

    if not raw.paths:
        return session.range(0).select(F.lit("").alias("line"))
    # The default line ends include a lone CR, which the core does not count as one.
    text = session.read.text(list(raw.paths), lineSep="\n")
    return text.select(F.rtrim("value", F.lit("\r")).alias("line"))


def cells(line: Column | str, delimiter: str = ",") -> Column:
    """The cells of a line as an array of strings, quotes as in RFC 4180.

    A cell may be in double quotes: the quotes are taken off, a delimiter between them belongs to
    the cell, and two quotes stand for one. `F.size` of the array is the number of cells; see
    `cell` for one of them.
    """
    from pyspark.sql import functions as F

    text = F.col(line) if isinstance(line, str) else line
    end = re.escape(delimiter)
    found = F.regexp_extract_all(
        # Each cell ends with a delimiter, so that an empty one at the end is none too many.
        F.concat(text, F.lit(delimiter)),
        F.lit(rf'([ \t]*"(?:[^"]|"")*"[ \t]*|[^{end}]*){end}'),
        F.lit(1),
    )
    # Few files have quotes, and an expression a line costs more than all the rest.
    return F.when(F.contains(text, F.lit('"')), F.transform(found, _without_quotes)).otherwise(
        F.split(text, end)
    )


def _without_quotes(cell: Column) -> Column:
    from pyspark.sql import functions as F

    trimmed = F.trim(cell, F.lit(_BLANKS))
    quoted = (F.length(trimmed) > 1) & trimmed.startswith('"') & trimmed.endswith('"')
    inner = F.substring(trimmed, F.lit(2), F.length(trimmed) - 2)
    return F.when(quoted, F.replace(inner, F.lit('""'), F.lit('"'))).otherwise(cell)


def cell(array: Column | str, number: int) -> Column:
    """The text of a cell, counted from 0, without blanks and tabs around it; NULL if there is no
    such cell."""
    from pyspark.sql import functions as F

    return F.trim(F.get(array, F.lit(number)), F.lit(_BLANKS))


def number(text: Column | str) -> Column:
    """A decimal number as a double: `57`, `-57.5`, `+.5`, `1e3`; NULL for any other text, also for
    `NaN`, `Infinity`, a number with blanks around it and one that is too large for a double."""
    from pyspark.sql import functions as F

    column = F.col(text) if isinstance(text, str) else text
    # A cast takes more: NaN, 1d, 0x1p3, blanks and control characters around a number. One short
    # expression: with several comparisons the code that Spark makes of a row gets too long for
    # Java's compiler, and is interpreted.
    found = column.try_cast("double")
    return F.when(column.rlike(_DECIMAL) & (F.abs(found) <= sys.float_info.max), found)


def whole_number(text: Column | str) -> Column:
    """A whole number as a 64-bit integer: digits, also with a minus; NULL for other text."""
    from pyspark.sql import functions as F

    column = F.col(text) if isinstance(text, str) else text
    return F.when(column.rlike(_WHOLE), column.try_cast("bigint"))


def wall_time(text: Column | str) -> Column:
    """TIMESTAMP_NTZ of a local time in ISO 8601, `2024-05-31 08:05` or `2024-05-31T08:05:00.5`;
    `24:00` is midnight of the next day. NULL for other text, also for a date alone and for a time
    with an offset."""
    from pyspark.sql import functions as F

    column = F.col(text) if isinstance(text, str) else text
    # A cast alone would take `2024-05-31` for midnight, and pass over an offset.
    return F.when(column.rlike(ISO), cast_time(column))


def cast_time(text: Column) -> Column:
    """TIMESTAMP_NTZ of text that is known to be a time: what Spark casts, and `24:00`."""
    from pyspark.sql import functions as F

    midnight = F.regexp_replace(text, "([T ])24:", "$100:")
    ends = midnight.try_cast("timestamp_ntz") + F.expr("INTERVAL 1 DAY")
    return F.when(text.rlike(HOUR_24), ends).otherwise(text.try_cast("timestamp_ntz"))


def time_of_parts(
    year: Column,
    month: Column,
    day: Column,
    hour: Column,
    minute: Column,
    second: Column | None = None,
) -> Column:
    """TIMESTAMP_NTZ of whole numbers, or of text of digits; 24:00 is midnight of the next day.
    NULL if there is no such time, or if a part is NULL or no number."""
    from pyspark.sql import functions as F

    given = (year, month, day, hour, minute, F.lit(0) if second is None else second)
    y, m, d, hours, minutes, seconds = (part.try_cast("int") for part in given)
    ends = (hours == 24) & (minutes == 0) & (seconds == 0)
    # To Spark alone, 60 seconds are the next minute.
    exact = F.when(seconds < 60, seconds).cast("decimal(16,6)")
    made = F.try_make_timestamp_ntz(y, m, d, F.when(ends, 0).otherwise(hours), minutes, exact)
    return F.when(ends, made + F.expr("INTERVAL 1 DAY")).otherwise(made)


def in_day(timestamp: Column | str, day: date) -> Column:
    """Whether a timestamp lies on that day, midnight at its beginning included."""
    from pyspark.sql import functions as F

    at = F.col(timestamp) if isinstance(timestamp, str) else timestamp
    midnight = datetime.combine(day, time())
    first, after = (
        F.lit(moment.isoformat(sep=" ")).cast("timestamp_ntz")
        for moment in (midnight, midnight + timedelta(days=1))
    )
    return (at >= first) & (at < after)


def interval_start(timestamp: Column | str, interval: timedelta) -> Column:
    """The start of the interval that a timestamp lies in; `interval` divides a day."""
    from pyspark.sql import functions as F

    seconds = int(interval.total_seconds())
    return F.window(timestamp, f"{seconds} seconds").getField("start")


def json_members(line: Column | str, names: Sequence[str]) -> Column:
    """The members of a JSON object as text, a struct with a field a name; a field is NULL if the
    object has no such member. The whole is NULL for a line that is no JSON object."""
    from pyspark.sql import functions as F

    broken = "_corrupt_record"
    schema = ", ".join(f"`{name}` string" for name in [*names, broken])
    options = {"mode": "PERMISSIVE", "columnNameOfCorruptRecord": broken}
    found = F.from_json(line, schema, options)
    whole = found.isNotNull() & found.getField(broken).isNull()
    return F.when(whole, F.struct(*[found.getField(name).alias(name) for name in names]))


def exact_mean(value: Column) -> Column:
    """Mean of a double column to six decimals, the same whatever the order of the rows.

    A sum of doubles depends on the order in which tasks finish, so two runs would differ
    in the last bit and their checksums with them; a sum of integers does not.
    """
    from pyspark.sql import functions as F

    return _exact(value) / F.count(value) / F.lit(float(_SCALE))


def exact_sum(value: Column) -> Column:
    """Sum of a double column to six decimals, the same whatever the order of the rows."""
    from pyspark.sql import functions as F

    return _exact(value) / F.lit(float(_SCALE))


def _exact(value: Column) -> Column:
    from pyspark.sql import functions as F

    return F.sum(F.round(value * _SCALE).cast("bigint"))
