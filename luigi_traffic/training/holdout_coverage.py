"""Prediction intervals on the hold-out: how many of the observed targets lie in theirs.

They are made of the errors on the validation windows. The network was not trained on these, but
its best epoch was chosen there; of the hold-out, which is what they are judged on, they know
nothing. Those of published forecasts are made anew each day, of the days before it (`intervals`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from luigi_traffic.training.forecaster import Forecaster
from luigi_traffic.training.holdout_days import HoldoutDay, part
from luigi_traffic.training.intervals import Intervals, calibrate
from luigi_traffic.training.metrics import reported
from luigi_traffic.training.scores import horizon
from luigi_traffic.training.series import Series
from luigi_traffic.training.windows import Split


def validation_intervals(
    forecaster: Forecaster, series: Series, split: Split, links: Sequence[str], level: float
) -> Intervals | None:
    """Of `links`, in their order, from the errors on the validation windows; None if too few."""
    windows, steps = split.validation, forecaster.input_steps + forecaster.output_steps
    near = part(series, range(windows.start, windows.stop - 1 + steps))
    if forecaster.bundle.model.per_link:
        near = near.aligned(links)
    found = calibrate(forecaster, near, np.arange(len(windows), dtype=np.int64), level)
    if found is None:
        return None
    position = {link: at for at, link in enumerate(forecaster.links(near))}
    return replace(found, group=found.group[[position[link] for link in links]])


def validation_targets(forecaster: Forecaster, series: Series, split: Split) -> tuple[str, str]:
    """Beginning of the first and the last target of the validation windows, for people."""
    first = split.validation.start + forecaster.input_steps
    last = split.validation.stop - 1 + forecaster.input_steps + forecaster.output_steps - 1
    begin, end = (str(series.timestamps[row].astype("datetime64[m]")) for row in (first, last))
    return begin.replace("T", " "), end.replace("T", " ")


@dataclass
class Coverage:
    """Counts by step `(S,)` of the observed targets that have an interval, day by day."""

    intervals: Intervals
    count: NDArray[np.int64] = field(init=False)
    inside: NDArray[np.int64] = field(init=False)
    """Those that lie in it."""

    def __post_init__(self) -> None:
        self.count = np.zeros(len(self.intervals.low), np.int64)
        self.inside = self.count.copy()

    def add(self, day: HoldoutDay) -> None:
        """Add the targets of one day."""
        lower, upper = self.intervals.around(day.values.transpose(1, 0, 2))
        actual = day.actual[:, None]
        known = ~np.isnan(actual) & ~np.isnan(lower)
        self.count += known.sum(axis=(0, 2))
        self.inside += (known & (actual >= lower) & (actual <= upper)).sum(axis=(0, 2))

    def rows(self, series: Series) -> list[tuple[str, str, str]]:
        """How far ahead, the share inside, and the number of targets, of the reported steps."""
        seconds = series.interval.total_seconds()
        return [
            (
                horizon(step * seconds),
                f"{self.inside[step - 1] / n:.1%}" if (n := self.count[step - 1]) else "–",
                f"{n:,}",
            )
            for step in reported(len(self.count))
        ]
