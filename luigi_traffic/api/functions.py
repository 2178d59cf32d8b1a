"""Functions on columns, for `bronze`, `silver` and `checks`.

Imported as `from luigi_traffic import functions as F`. The functions defined here mean the same on
every engine. None of them raises for a value: what cannot be read is NULL. Every other name, for
example `F.when`, is that of `pyspark.sql.functions`, as the engine in force has it. The engine is
imported when a function is first called: this module costs nothing where none is used.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import date, timedelta
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession
    from pyspark.sql.functions import *  # noqa: F403

    from luigi_traffic.api.dataset import RawDay

_engine: ContextVar[str] = ContextVar("engine", default="spark")


@contextmanager
def on_engine(name: str) -> Iterator[None]:
    """Let the functions make columns for that engine, `spark` or `duckdb`, inside the block."""
    before = _engine.set(name)
    try:
        yield
    finally:
        _engine.reset(before)


def _functions() -> Any:
    return import_module(f"luigi_traffic.api.{_engine.get()}_functions")


def _column(given: Column | str) -> Any:
    return _functions().col(given) if isinstance(given, str) else given


def __getattr__(name: str) -> Any:
    """A function of the engine in force."""
    if name.startswith("__"):
        raise AttributeError(name)
    return getattr(_functions(), name)


def lines(session: SparkSession, raw: RawDay) -> DataFrame:
    """The data lines of a day: one column `line` (string), without the line ends LF or CRLF."""
    return _functions().lines(session, raw)


def cells(line: Column | str, delimiter: str = ",") -> Column:
    """The cells of a line as an array of strings, quotes as in RFC 4180.

    A cell may be in double quotes: the quotes are taken off, a delimiter between them belongs to
    the cell, and two quotes stand for one. `F.size` of the array is the number of cells; see
    `cell` for one of them.
    """
    return _functions().cells(_column(line), delimiter)


def cell(array: Column | str, number: int) -> Column:
    """The text of a cell, counted from 0, without blanks and tabs around it; NULL if there is no
    such cell."""
    return _functions().cell(_column(array), number)


def number(text: Column | str) -> Column:
    """A decimal number as a double: `57`, `-57.5`, `+.5`, `1e3`; NULL for any other text, also for
    `NaN`, `Infinity`, a number with blanks around it and one that is too large for a double."""
    return _functions().number(_column(text))


def whole_number(text: Column | str) -> Column:
    """A whole number as a 64-bit integer: digits, also with a minus; NULL for other text."""
    return _functions().whole_number(_column(text))


def wall_time(text: Column | str) -> Column:
    """TIMESTAMP_NTZ of a local time in ISO 8601, `2024-05-31 08:05` or `2024-05-31T08:05:00.5`;
    `24:00` is midnight of the next day. NULL for other text, also for a date alone and for a time
    with an offset."""
    return _functions().wall_time(_column(text))


def instant_time(text: Column | str, timezone: str) -> Column:
    """TIMESTAMP_NTZ, in the wall time of that IANA zone, of a time in ISO 8601 with an offset,
    `2024-05-31T08:05:00+09:00` or `2024-05-30 23:05Z`. NULL for other text."""
    return _functions().instant_time(_column(text), timezone)


def unix_time(seconds: Column | str, timezone: str) -> Column:
    """TIMESTAMP_NTZ, in the wall time of that IANA zone, of the seconds (double) since 1970 in
    UTC. NULL before 1970 and after 2099."""
    return _functions().unix_time(_column(seconds), timezone)


def pattern_time(text: Column | str, expression: re.Pattern[str]) -> Column:
    """TIMESTAMP_NTZ of the named groups of an expression that matches the whole text.

    The groups: y (or yy, of this century), m, d; H, M, S, or h (1 to 12) with a (AM, PM), or the
    digits Hmm or Hmmss, from which the zeros in front may be missing; f (digits of the fraction).
    24:00 is midnight of the next day. No look-around: not every engine has it. NULL if the text
    does not match, or if there is no such time.
    """
    return _functions().pattern_time(_column(text), expression)


def time_after(timestamp: Column | str, seconds: Column) -> Column:
    """TIMESTAMP_NTZ so many seconds (double, to the microsecond) after `timestamp`."""
    return _functions().time_after(_column(timestamp), seconds)


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
    return _functions().time_of_parts(year, month, day, hour, minute, second)


def compact_time(text: Column | str, *, seconds: bool = False) -> Column:
    """TIMESTAMP_NTZ of twelve digits, `202405310805`, or with `seconds` of fourteen,
    `20240531080509`; `202405312400` is midnight of the next day. NULL for other text, and for a
    year before 1000."""
    return _functions().compact_time(_column(text), seconds)


def in_day(timestamp: Column | str, day: date) -> Column:
    """Whether a timestamp lies on that day, midnight at its beginning included."""
    return _functions().in_day(_column(timestamp), day)


def interval_start(timestamp: Column | str, interval: timedelta) -> Column:
    """The start of the interval that a timestamp lies in; `interval` divides a day."""
    return _functions().interval_start(_column(timestamp), interval)


def json_members(line: Column | str, names: Sequence[str]) -> Column:
    """The members of a JSON object as text, a struct with a field a name; a field is NULL if the
    object has no such member. The whole is NULL for a line that is no JSON object."""
    return _functions().json_members(_column(line), names)


def exact_mean(value: Column) -> Column:
    """Mean of a double column to six decimals, the same whatever the order of the rows.

    A sum of doubles depends on the order in which tasks finish, so two runs would differ
    in the last bit and their checksums with them; a sum of integers does not.
    """
    return _functions().exact_mean(value)


def exact_sum(value: Column) -> Column:
    """Sum of a double column to six decimals, the same whatever the order of the rows."""
    return _functions().exact_sum(value)
