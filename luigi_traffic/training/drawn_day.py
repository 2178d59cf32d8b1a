"""The day of the hold-out that a report draws: forecast lines against what was observed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from luigi_traffic.training.bundle import Bundle
from luigi_traffic.training.charts import Panel
from luigi_traffic.training.holdout_days import HoldoutDay
from luigi_traffic.training.intervals import Intervals
from luigi_traffic.training.metrics import CONGESTED_SHARE, reported
from luigi_traffic.training.scores import MODEL, PERSISTENCE, horizon
from luigi_traffic.training.series import Series

#: Links drawn against their actual values.
DRAWN_LINKS = 4


@dataclass(frozen=True)
class Choice:
    """The day whose targets vary most, and some of its links."""

    rows: range
    """Of the series."""
    links: tuple[str, ...]
    """From the most variable down to the median one, so that the picture is neither of the calmest
    nor of one incident that neighbours share; none if no link has half of a day observed."""

    @classmethod
    def of(cls, series: Series, days: Sequence[range]) -> Choice:
        """Among `days`, rows of the series; see `holdout_days.days_of`."""
        # Variance a day and link; links with less than half of the day observed are not drawn.
        variance = np.full((len(days), len(series.links)), -1.0)
        for index, rows in enumerate(days):
            actual = series.actual[rows.start : rows.stop]
            good = (~np.isnan(actual)).mean(axis=0) > 0.5
            if good.any():
                variance[index, good] = np.nanvar(actual[:, good], axis=0)
        best = int(np.argmax(np.maximum(variance, 0).sum(axis=1)))
        order = np.argsort(-variance[best], kind="stable")
        order = order[variance[best, order] >= 0]
        if not len(order):
            return cls(days[best], ())
        last_rank = min(len(order) - 1, max(len(order) // 2, DRAWN_LINKS - 1))
        ranks = np.unique(np.linspace(0, last_rank, DRAWN_LINKS).round().astype(int))
        return cls(days[best], tuple(series.links[order[rank]] for rank in ranks))


def hours(day: HoldoutDay, series: Series) -> NDArray[Any]:
    """`(T,)`: hours since midnight of the beginning of each interval."""
    slots = series.slot_of_day[day.rows.start : day.rows.stop]
    return np.asarray(slots * 24 / series.steps_per_day)


def panels(
    day: HoldoutDay,
    series: Series,
    links: Sequence[str],
    names: Sequence[str],
    bundle: Bundle,
    intervals: Intervals | None = None,
) -> list[Panel]:
    """A panel for each of `links`; `names` are the links of the arrays of `day` and `intervals`."""
    last = len(day.values)
    ahead = sorted({reported(last)[0], last})
    seconds = series.interval.total_seconds()
    ends = None
    if intervals is not None:
        lower, upper = intervals.around(day.values.transpose(1, 0, 2))
        ends = lower[:, last - 1], upper[:, last - 1]
        band = f"{intervals.level:.0%} interval, {horizon(last * seconds)} ahead"
    made = []
    for link in links:
        at = names.index(link)
        trained = bundle.links.index(link) if link in bundle.links else None
        flow = bundle.free_flow[trained] if trained is not None else np.nan
        lines = {
            f"{MODEL}, {horizon(step * seconds)} ahead": day.values[step - 1, :, at]
            for step in ahead
        }
        label = f"{PERSISTENCE}, {horizon(last * seconds)} ahead"
        lines[label] = day.persistence[last - 1, :, at]
        made.append(
            Panel(
                title=f"link {link}",
                hours=hours(day, series),
                actual=day.actual[:, at],
                lines=lines,
                limit=float(CONGESTED_SHARE * flow),
                band=None if ends is None else (band, ends[0][:, at], ends[1][:, at]),
            )
        )
    return made
