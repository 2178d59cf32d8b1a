"""Which sensors are silent, stuck or implausible, and when the feed itself was down.

An interval in which nearly no link reports says nothing of a link: it counts as feed down, and not
against anyone. That a sensor which repeats one value is broken, and one that is silent is so, are
checks of PeMS, too (Chen, Kwon, Rice, Skabardonis and Varaiya 2003, "Detecting Errors and Imputing
Missing Data for Single-Loop Surveillance Systems"); the thresholds are settings.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import numpy as np
from numpy.typing import NDArray

from luigi_traffic.compute.insight.speeds import Speeds
from luigi_traffic.settings.insight_keys import InsightSettings

HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class Feed:
    """Of all links together, by interval.

    up     bool `(T,)`: more than `insight.feed_down_share` of the links have a value
    moves  bool `(T,)`: of the links with a value, at least `insight.stuck_others` have another one
           than when they reported last
    """

    up: NDArray[np.bool_]
    moves: NDArray[np.bool_]

    @classmethod
    def of(cls, speeds: Speeds, settings: InsightSettings) -> Feed:
        """Over all links, a block of them at a time."""
        length, links = speeds.speed.shape
        there, again, changed = (np.zeros(length, np.int64) for _ in range(3))
        rows = np.arange(length)[:, None]
        for block in speeds.blocks():
            value = speeds.speed[:, block]
            seen = ~np.isnan(value)
            there += seen.sum(axis=1)
            # The row of the last value before: the latest one so far, a row further down.
            last = np.maximum.accumulate(np.where(seen, rows, -1), axis=0)
            before = np.vstack([np.full((1, value.shape[1]), -1), last[:-1]])
            both = seen & (before >= 0)
            again += both.sum(axis=1)
            old = np.take_along_axis(value, np.maximum(before, 0), axis=0)
            changed += (both & (value != old)).sum(axis=1)
        up = there > settings.feed_down_share * links
        return cls(up, (again > 0) & (changed >= settings.stuck_others * again))


@dataclass(frozen=True)
class SensorHealth:
    """Of one link; all but the last two are numbers of intervals.

    intervals    in which the feed was up
    feed_down    in which it was not
    silent       in silences of `insight.silent_hours` or more; the feed being down interrupts none,
                 and is not counted
    stuck        in which the link repeats one value while others vary, in series of
                 `insight.stuck_intervals` or more of them
    implausible  with a speed of 0 or less, above `insight.fastest_kmh`, or above the link's limit
                 times `insight.over_limit`
    longest_silence_hours  of the silences of any length
    state        "ok", or which of the three takes more than `insight.fault_share` of the intervals
    """

    intervals: int
    feed_down: int
    silent: int
    stuck: int
    implausible: int
    longest_silence_hours: float
    state: str

    @classmethod
    def of(
        cls,
        value: NDArray[np.float32],
        feed: Feed,
        settings: InsightSettings,
        interval: timedelta,
        fastest: float,
    ) -> SensorHealth:
        """`value` `(T,)` of the link, NaN: none; `fastest` is its highest plausible speed."""
        seen = ~np.isnan(value)
        up = int(feed.up.sum())
        lengths = _runs(~seen[feed.up])
        enough = lengths * (interval / HOUR) >= settings.silent_hours
        known = value[seen]
        faults = {
            "silent": int(lengths[enough].sum()),
            "stuck": _stuck(known, feed.moves[seen], settings.stuck_intervals),
            "implausible": int(((known <= 0) | (known > fastest)).sum()),
        }
        shown = [name for name, count in faults.items() if count > settings.fault_share * up]
        longest = int(lengths.max(initial=0)) * (interval / HOUR)
        return cls(
            intervals=up, feed_down=len(value) - up, **faults,
            longest_silence_hours=longest, state=", ".join(shown) or "ok",
        )  # fmt: skip


def _runs(true: NDArray[np.bool_]) -> NDArray[np.int64]:
    """The lengths of the unbroken series of true."""
    edges = np.flatnonzero(np.diff(true.astype(np.int8), prepend=0, append=0))
    return np.asarray(edges[1::2] - edges[::2])


def _stuck(known: NDArray[np.float32], moves: NDArray[np.bool_], least: int) -> int:
    """How many values, while others vary, lie in series of equal ones with `least` such values."""
    if not len(known):
        return 0
    series = np.cumsum(np.diff(known, prepend=known[0]) != 0)
    counts = np.bincount(series, weights=moves)
    return int(counts[counts >= least].sum())
