"""How much of what a dataset expects of a day is in silver, and when nothing is.

A value is a link at an interval. Which intervals are expected the dataset says
(`Dataset.expected_slots`), which links the setting `links`, or else the day itself.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import time, timedelta
from typing import TYPE_CHECKING, Any

from luigi_traffic.api import functions as F
from luigi_traffic.compute.quality import KEPT
from luigi_traffic.compute.spans import in_words, runs, slot_of
from luigi_traffic.errors import DataError

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from luigi_traffic.compute.engine import Engine

#: A shorter gap is common: it counts in the share, and is no note of its own.
_NOTED = timedelta(minutes=30)


@dataclass(frozen=True)
class Coverage:
    """Expected and observed values of a day.

    slots     numbers of the expected intervals of the day, in order, of `step` seconds each
    missing   those of them at which no link reports
    links     how many links are expected to report
    observed  how many of the links * slots values are there
    """

    step: int
    slots: tuple[int, ...]
    missing: tuple[int, ...]
    links: int
    observed: int

    @property
    def expected(self) -> int:
        """How many values a complete day has."""
        return self.links * len(self.slots)

    @property
    def share(self) -> float:
        """The part of them that is there; 0 if no link is known."""
        return self.observed / self.expected if self.expected else 0.0

    @property
    def percent(self) -> str:
        """The share in words. It is rounded down: 100.0% means that nothing is missing."""
        return f"{math.floor(self.share * 1000) / 10}%"

    @property
    def spans(self) -> str:
        """When no link reports, in words; "" if there is no such interval."""
        return in_words(runs(self.missing, self.slots), self.step)

    @property
    def gaps(self) -> str | None:
        """A note on the longer times at which no link reports; None if there are none."""
        long = [
            (first, last)
            for first, last in runs(self.missing, self.slots)
            if timedelta(seconds=(last + 1 - first) * self.step) >= _NOTED
        ]
        if not long:
            return None
        return (
            f"no link reports at the expected intervals from {in_words(long, self.step)} "
            f"(coverage {self.percent})"
        )

    def as_json(self) -> dict[str, Any]:
        """As the manifest keeps it."""
        return {
            "links": self.links,
            "slots": len(self.slots),
            "expected": self.expected,
            "observed": self.observed,
            "share": round(self.share, 6),
            "missing_slots": len(self.missing),
            "missing": self.spans,
        }

    def judge(self, least: float, key: str) -> None:
        """Raise `DataError` if less is there than `least`, the value of the setting `key`."""
        if self.share >= least:
            return
        if not self.observed:
            where = "no link reports at all"
        elif self.missing:
            where = (
                f"no link reports at {len(self.missing):,} of the {len(self.slots):,} expected "
                f"intervals: {self.spans}"
            )
        else:
            where = "at each expected interval some link reports"
        raise DataError(
            f"only {self.percent} of the day is there, less than {key} = {least:.1%}: "
            f"{self.observed:,} of {self.expected:,} expected values ({self.links:,} links at "
            f"{len(self.slots):,} intervals); {where}. Ask the source for the rest, or lower {key}"
        )


def coverage(
    engine: Engine,
    silver: DataFrame,
    slots: Sequence[time],
    links: Sequence[str],
    interval: timedelta,
) -> Coverage:
    """Of the day that `silver` holds, with those expected wall times and those links.

    Without `links` they are the links of the day. The engine reads two columns of the frame, once
    for the intervals, and without `links` once for the links.
    """
    step = int(interval.total_seconds())
    wanted = tuple((at.hour * 3600 + at.minute * 60 + at.second) // step for at in slots)
    slot = slot_of(F.col("timestamp"), step).alias("slot")
    kept = engine.marked(silver, links, KEPT).where(KEPT) if links else silver
    rows = kept.groupBy(slot).agg(F.count("*").alias("n")).collect()
    there = {row["slot"]: row["n"] for row in rows}
    known = len(set(links))
    if not links:
        known = silver.agg(F.count_distinct("link_id")).collect()[0][0]
    return Coverage(
        step=step,
        slots=wanted,
        missing=tuple(slot for slot in wanted if not there.get(slot)),
        links=known,
        observed=sum(there.get(slot, 0) for slot in wanted),
    )
