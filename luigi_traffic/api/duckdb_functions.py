"""The functions of `luigi_traffic.functions` on DuckDB: what each means is said there.

Columns are SQLFrame's. What has a grammar of its own is a macro of `duckdb_macros.sql`, which the
session of the engine has; names that are not here are SQLFrame's functions.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

from luigi_traffic.api import grammar

if TYPE_CHECKING:
    from sqlframe.duckdb import Column, DuckDBDataFrame, DuckDBSession

    from luigi_traffic.api.dataset import RawDay


def __getattr__(name: str) -> Any:
    """A function of SQLFrame, under the name that it has in PySpark."""
    if name.startswith("__"):
        raise AttributeError(name)
    from sqlframe.duckdb import functions

    try:
        return getattr(functions, name)
    except AttributeError:
        raise AttributeError(
            f"F.{name} is not a function of the DuckDB engine (SQLFrame). Use another function of "
            "luigi_traffic.functions, or set compute.engine to spark"
        ) from None


def _call(name: str, *arguments: Any) -> Column:
    """A function or macro of DuckDB; texts and numbers are literals."""
    from sqlframe.duckdb import Column, functions
    from sqlglot import exp

    given = [a if isinstance(a, Column) else functions.lit(a) for a in arguments]
    return Column(exp.Anonymous(this=name, expressions=[a.column_expression for a in given]))


def _col(given: Any) -> Any:
    from sqlframe.duckdb import functions

    return functions.col(given) if isinstance(given, str) else given


# Functions of PySpark that SQLFrame lacks, or writes as something else in DuckDB.


def trim(column: Any, characters: Any = " ") -> Column:
    """Without these characters (a space alone, if none are given) at both ends."""
    return _call("trim", _col(column), characters)


def ltrim(column: Any, characters: Any = " ") -> Column:
    """Without these characters at the beginning."""
    return _call("ltrim", _col(column), characters)


def rtrim(column: Any, characters: Any = " ") -> Column:
    """Without these characters at the end."""
    return _call("rtrim", _col(column), characters)


def count_if(condition: Any) -> Column:
    """How often a condition holds; 0 if there is no row at all."""
    from sqlframe.duckdb import functions

    found: Column = functions.count(functions.when(_col(condition), 1))
    return found


def lower(column: Any) -> Column:
    """In small letters."""
    return _call("lt_lower", _col(column))


def collect_list(column: Any) -> Column:
    """The values that are not NULL, in any order."""
    return _call("lt_values", _call("list", _col(column)))


def collect_set(column: Any) -> Column:
    """The values that are not NULL, each once, in any order."""
    return _call("list_distinct", collect_list(column))


def concat(*columns: Any) -> Column:
    """The texts one after another; NULL if one of them is."""
    from sqlglot import exp

    first, *rest = (_col(column) for column in columns)
    for column in rest:
        first = type(first)(
            exp.DPipe(this=first.column_expression, expression=column.column_expression, safe=True)
        )
    return first


# Functions of the core.


def lines(session: DuckDBSession, raw: RawDay) -> DuckDBDataFrame:  # noqa: D103
    return session.lines(raw)  # type: ignore[attr-defined,no-any-return]


def cells(line: Column, delimiter: str) -> Column:  # noqa: D103
    return _call("lt_cells", line, delimiter, grammar.cell(re.escape(delimiter)))


def cell(array: Column, number: int) -> Column:  # noqa: D103
    return _call("lt_cell", array, number + 1)


def number(text: Column) -> Column:  # noqa: D103
    return _call("lt_number", text, grammar.whole(grammar.DECIMAL))


def whole_number(text: Column) -> Column:  # noqa: D103
    return _call("lt_whole_number", text, grammar.whole(grammar.WHOLE))


def wall_time(text: Column) -> Column:  # noqa: D103
    return pattern_time(text, re.compile(grammar.ISO))


def instant_time(text: Column, timezone: str) -> Column:  # noqa: D103
    part = _parts(text, re.compile(grammar.ISO_OFFSET))
    made = _call("lt_time", *map(part, ["y", "m", "d", "H", "M", "S", "f"]))
    return _call("lt_instant", made, *map(part, ["sign", "hours", "minutes"]), timezone)


def unix_time(seconds: Column, timezone: str) -> Column:  # noqa: D103
    return _call("lt_unix_time", seconds, grammar.UNIX_MOST, timezone)


def pattern_time(text: Column, expression: re.Pattern[str]) -> Column:  # noqa: D103
    group, part = expression.groupindex, _parts(text, expression)
    year = part("y") if "y" in group else concat(_lit("20"), part("yy"))
    clock = _clock(group, part)
    fraction = part("f") if "f" in group else _lit("")
    return _call("lt_time", year, part("m"), part("d"), *clock, fraction)


def _parts(text: Column, expression: re.Pattern[str]) -> Callable[[str], Column]:
    """The text of a named group; empty if the group took no part in the match."""
    # Names of our own, a group each: DuckDB takes `m` and `M` for one.
    names = [f"g{number}" for number in range(1, expression.groups + 1)]
    found = _call("regexp_extract", text, grammar.whole(expression.pattern), _names(names))
    return lambda name: _call("struct_extract", found, f"g{expression.groupindex[name]}")


def _lit(value: Any) -> Column:
    from sqlframe.duckdb import functions

    return functions.lit(value)


def _names(names: Sequence[str]) -> Column:
    from sqlframe.duckdb import Column
    from sqlglot import exp

    return Column(exp.Array(expressions=[exp.Literal.string(name) for name in names]))


def _clock(group: Mapping[str, int], part: Any) -> list[Column]:
    """Hour, minute and second of the groups of a pattern."""
    zero = _lit("0")
    for name in {"Hmm", "Hmmss"} & set(group):
        digits = _call("lpad", part(name), len(name) + 1, "0")
        found = [_call("substring", digits, begin, 2) for begin in range(1, len(name) + 1, 2)]
        return [*found, zero][:3]
    hour = part("H") if "H" in group else zero
    if "h" in group:
        hour = _call("lt_hour_of_12", part("h"), part("a"))
    return [hour, *(part(name) if name in group else zero for name in "MS")]


def time_after(timestamp: Column, seconds: Column) -> Column:  # noqa: D103
    return _call("lt_time_after", timestamp, seconds)


def time_of_parts(  # noqa: D103
    year: Column,
    month: Column,
    day: Column,
    hour: Column,
    minute: Column,
    second: Column | None = None,
) -> Column:
    seconds = _lit(0) if second is None else second
    return _call("lt_time_of_parts", year, month, day, hour, minute, seconds)


def compact_time(text: Column, seconds: bool) -> Column:  # noqa: D103
    last, form = ("240000", "%Y%m%d%H%M%S") if seconds else ("2400", "%Y%m%d%H%M")
    length = 8 + len(last)
    return _call("lt_compact_time", text, length, 10 ** (length - 1), last, form)


def in_day(timestamp: Column, day: date) -> Column:  # noqa: D103
    midnight = datetime.combine(day, time())
    first, after = (
        _call("lt_timestamp", moment.isoformat(sep=" "))
        for moment in (midnight, midnight + timedelta(days=1))
    )
    return (timestamp >= first) & (timestamp < after)


def interval_start(timestamp: Column, interval: timedelta) -> Column:  # noqa: D103
    return _call("lt_interval_start", timestamp, int(interval.total_seconds()))


def json_members(line: Column, names: Sequence[str]) -> Column:  # noqa: D103
    structure = "{" + ", ".join(f'"{name}": "VARCHAR"' for name in names) + "}"
    return _call("lt_json_members", line, structure)


def exact_mean(value: Column) -> Column:  # noqa: D103
    return _call("lt_exact_mean", value)


def exact_sum(value: Column) -> Column:  # noqa: D103
    return _call("lt_exact_sum", value)
