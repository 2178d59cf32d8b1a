"""The wall time of each row in an engine, of the same texts as `times.py` reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from luigi_traffic.api import functions as F
from luigi_traffic.yaml_dataset import times
from luigi_traffic.yaml_dataset.times import Moment

if TYPE_CHECKING:
    from pyspark.sql import Column


def timestamp(parts: list[Column], moment: Moment) -> Column:
    """TIMESTAMP_NTZ of the texts that say when (one, or day and time); NULL for what is no time."""
    text = F.concat_ws(" ", *parts)
    if moment.unit is not None:
        day = F.pattern_time(parts[0], times.expression(moment.time_format or times.ISO_DAY))
        seconds = F.number(parts[1]) * times.UNITS[moment.unit]
        known = F.when(seconds.between(0, times.DAY_SECONDS), seconds)
        found = F.time_after(day, known)
    elif moment.time_format in times.UNIX:
        seconds = F.number(text) / times.UNIX[moment.time_format]
        found = F.unix_time(seconds, moment.timezone)
    elif moment.time_format is None:
        found = F.coalesce(F.wall_time(text), F.instant_time(text, moment.timezone))
    else:
        found = F.pattern_time(text, times.expression(moment.time_format))
    return F.time_after(found, F.lit(-0.000001)) if moment.at_end else found
