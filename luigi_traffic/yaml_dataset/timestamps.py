"""The wall time of each row in Spark, of the same texts as `luigi_traffic.yaml_dataset.times`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from luigi_traffic.api import functions as F
from luigi_traffic.yaml_dataset import times
from luigi_traffic.yaml_dataset.times import Moment

if TYPE_CHECKING:
    from pyspark.sql import Column


def timestamp(parts: list[Column], moment: Moment) -> Column:
    """TIMESTAMP_NTZ of the texts that say when (one, or day and time); NULL for what is no time.

    ANSI mode is on, so every cast is a `try_cast`.
    """
    text = F.concat_ws(" ", *parts)
    if moment.unit is not None:
        found = _since_midnight(parts[0], parts[1], moment)
    elif moment.time_format in times.UNIX:
        scaled = F.number(text) / times.UNIX[moment.time_format]
        known = F.when(scaled.between(0, times.UNIX_MOST), scaled)
        found = _wall(F.timestamp_seconds(known), moment)
    elif moment.time_format is None:
        # Spark reads no offset behind a time without seconds. The type must be spelt out:
        # "timestamp" is TIMESTAMP_NTZ in our sessions, which passes over an offset.
        full = F.regexp_replace(text, r"([T ]\d{2}:\d{2})( ?(?:Z|[+-]))", "$1:00$2")
        instant = F.when(text.rlike(times.ISO_OFFSET), full.try_cast("timestamp_ltz"))
        found = F.coalesce(F.wall_time(text), _wall(instant, moment))
    else:
        found = _by_pattern(text, moment.time_format)
    return found - F.expr("INTERVAL '0.000001' SECOND") if moment.at_end else found


def _wall(instant: Column, moment: Moment) -> Column:
    # The session's zone is UTC.
    utc, zone = F.lit("UTC"), F.lit(moment.timezone)
    return F.convert_timezone(utc, zone, instant.cast("timestamp_ntz"))


def _by_pattern(text: Column, pattern: str) -> Column:
    expression = times.expression(pattern)
    if "a" in expression.groupindex:
        return F.try_to_timestamp(text, F.lit(pattern)).cast("timestamp_ntz")
    matching, canonical = _java(pattern)
    whole = F.regexp_replace(text, matching, canonical)
    if "0$" in canonical:  # a number without the zeros in front: one too many is taken off
        whole = F.regexp_replace(whole, r"(?<=[ :])0(\d\d)", "$1")
    return F.when(text.rlike(matching), F.cast_time(whole))


def _java(pattern: str) -> tuple[str, str]:
    """The pattern as Java's expression, and what its groups make: `2024-01-31 08:05:00.5`."""
    expression = times.expression(pattern)
    group = expression.groupindex
    # H(?=…)? before the minutes: see `times`.
    zero = "0" if "(?=" in expression.pattern else ""
    clock = [zero + f"${group[name]}" if name in group else "0" for name in "HMS"]
    year = f"${group['y']}" if "y" in group else f"20${group['yy']}"
    canonical = f"{year}-${group['m']}-${group['d']} {':'.join(clock)}"
    if "f" in group:
        canonical += f".${group['f']}"
    return f"^{expression.pattern.replace('(?P<', '(?<')}$", canonical


def _since_midnight(day: Column, number: Column, moment: Moment) -> Column:
    matching, canonical = times.ISO_DAY, "$0"
    if moment.time_format is not None:
        matching, canonical = _java(moment.time_format)
    midnight = F.regexp_replace(day, matching, canonical).try_cast("timestamp_ntz")
    seconds = F.number(number) * times.UNITS[moment.unit or "seconds"]
    known = F.when(day.rlike(matching) & seconds.between(0, times.DAY_SECONDS), seconds)
    return midnight + F.make_dt_interval(secs=F.round(known, 6).cast("decimal(18,6)"))
