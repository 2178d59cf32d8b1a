"""Onsets of congestion on the hold-out: which the model forecasts, and which persistence does.

Onset, hit, false alarm and lead are those of published forecasts, see `onsets`: the figures here
are what `luigi-traffic evaluation` may show later.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

import numpy as np
from numpy.typing import NDArray

from luigi_traffic.training.holdout_days import HoldoutDay, HoldoutDays
from luigi_traffic.training.metrics import CONGESTED_SHARE, reported
from luigi_traffic.training.onsets import Onsets, onsets
from luigi_traffic.training.scores import MODEL, PERSISTENCE, horizon


@dataclass
class OnsetSkill:
    """Counts of `Onsets`, day by day, of the model and of persistence."""

    limit: NDArray[np.float32]
    """`(N,)`: what is below it is congested; NaN: nothing is."""
    interval: timedelta
    congested: int = 0
    """Observed values that are."""
    found: dict[str, list[Onsets]] = field(default_factory=dict)
    """Forecaster → the days."""

    @classmethod
    def of(cls, holdout: HoldoutDays) -> OnsetSkill:
        """Nothing yet, of the links of `holdout`."""
        bundle = holdout.forecaster.bundle
        flow = dict(zip(bundle.links, bundle.free_flow, strict=True))
        limit = np.array([CONGESTED_SHARE * flow.get(link, np.nan) for link in holdout.links])
        return cls(limit.astype(np.float32), holdout.series.interval)

    def add(self, day: HoldoutDay) -> None:
        """Add the onsets of one day."""
        self.congested += int((day.actual < self.limit).sum())
        actual = np.concatenate([day.before, day.actual])
        for name, values in ((MODEL, day.values), (PERSISTENCE, day.persistence)):
            one = onsets(values, actual, self.limit, self.interval)
            self.found.setdefault(name, []).append(one)

    @property
    def total(self) -> int:
        """Onsets that some forecast is for."""
        return sum(len(one.leads) for one in self.found.get(MODEL, []))

    def rows(self) -> list[tuple[str, ...]]:
        """Of the reported steps: how far ahead, number of onsets, share of hits and of false alarms
        of the model, then of persistence."""
        by_step = {
            name: np.sum([one.by_step for one in days], axis=0) for name, days in self.found.items()
        }
        made = []
        for step in reported(len(by_step[MODEL])):
            # Persistence has no forecast if a window is empty: then it misses what the model hits.
            number = int(by_step[MODEL][step - 1, 0])
            cells = [horizon(step * self.interval.total_seconds()), f"{number:,}"]
            for counts in by_step.values():
                _, hits, forecast, false = counts[step - 1].tolist()
                cells += [_share(hits, number), _share(false, forecast)]
            made.append(tuple(cells))
        return made

    def leads(self) -> list[str]:
        """How many onsets were forecast at any step, and how long before, a line a forecaster."""
        lines = []
        for name, days in self.found.items():
            leads = np.concatenate([one.leads for one in days])
            hits = leads[leads >= 0]
            line = f"{name}: {len(hits):,} of {self.total:,}"
            if len(hits):
                minutes = float(np.median(hits)) * self.interval / timedelta(minutes=1)
                line += f", the median of the leads is {minutes:g} min"
            lines.append(line)
        return lines


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.0%}" if whole else "–"
