"""Errors of forecasts, masked, over a whole evaluation set.

Sums and counts a step are kept, never forecasts, so the set may be of any size; RMSE is
the root of the mean over the whole set, not a mean of roots a batch. As in the
literature on METR-LA, an error is reported at single steps (3, 6, 12) and as `mean` over
all steps of all forecasts, and an unobserved target is never scored.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from luigi_traffic.training.link_blocks import link_blocks

#: Steps the literature reports: 15, 30 and 60 minutes at 5-minute intervals.
REPORTED_STEPS = (3, 6, 12)
#: Free flow is the 85th percentile of speeds, as in FHWA's Urban Congestion Report
#: (https://ops.fhwa.dot.gov/perf_measurement/ucr/documentation.htm); it takes off-peak hours,
#: we all hours of the training rows, since off-peak is not at the same hours everywhere.
FREE_FLOW_PERCENTILE = 85.0
#: A link is congested below this share of its free-flow speed. FHWA's line is at 0.9, which
#: takes in every slow-down; 0.6 is ours, and keeps to congestion that a driver would call so.
CONGESTED_SHARE = 0.6
MEAN = "mean"


@dataclass
class Errors:
    """Running sums a step, over `(W, t_out, N)` forecasts."""

    steps: int
    free_flow: NDArray[np.float32] | None = None
    """`(N,)`; without it there is no F1."""
    count: NDArray[np.int64] = field(init=False)
    absolute: NDArray[np.float64] = field(init=False)
    squared: NDArray[np.float64] = field(init=False)
    truth: NDArray[np.float64] = field(init=False)
    relative: NDArray[np.float64] = field(init=False)
    relative_count: NDArray[np.int64] = field(init=False)
    hits: NDArray[np.int64] = field(init=False)
    false_alarms: NDArray[np.int64] = field(init=False)
    misses: NDArray[np.int64] = field(init=False)
    hour_absolute: NDArray[np.float64] = field(init=False)
    hour_count: NDArray[np.int64] = field(init=False)
    link_absolute: NDArray[np.float64] | None = field(init=False, default=None)
    """`(N,)` of all steps, as `link_count`; None before the first forecast."""
    link_count: NDArray[np.int64] | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        for name in ("count", "relative_count", "hits", "false_alarms", "misses"):
            setattr(self, name, np.zeros(self.steps, dtype=np.int64))
        for name in ("absolute", "squared", "truth", "relative"):
            setattr(self, name, np.zeros(self.steps, dtype=np.float64))
        self.hour_absolute = np.zeros(24, dtype=np.float64)
        self.hour_count = np.zeros(24, dtype=np.int64)

    def update(
        self,
        forecast: NDArray[Any],
        actual: NDArray[Any],
        mask: NDArray[np.bool_],
        hours: NDArray[np.int64] | None = None,
    ) -> None:
        """Add forecasts `(W, t_out, N)`; `mask` is True where `actual` was observed.

        `hours` `(W, t_out)` is the hour of day of each target. A target of 0 counts for
        all errors but the relative one (MAPE), which it has none of.
        """
        truth = np.where(mask, actual, 0).astype(np.float64)
        error = np.where(mask, forecast - truth, 0.0)
        size = np.abs(error)
        over = (0, 2)
        self.count += mask.sum(axis=over)
        self.absolute += size.sum(axis=over)
        self.squared += (error**2).sum(axis=over)
        self.truth += np.abs(truth).sum(axis=over)
        by_link = size.sum(axis=(0, 1)), mask.sum(axis=(0, 1))
        if self.link_absolute is None or self.link_count is None:
            self.link_absolute, self.link_count = by_link
        else:
            self.link_absolute += by_link[0]
            self.link_count += by_link[1]
        ratio = mask & (truth != 0)
        self.relative += np.divide(size, np.abs(truth), out=np.zeros_like(size), where=ratio).sum(
            axis=over
        )
        self.relative_count += ratio.sum(axis=over)
        if self.free_flow is not None:
            limit = CONGESTED_SHARE * self.free_flow  # NaN where unknown: never congested
            slow, said = mask & (truth < limit), mask & (forecast < limit)
            self.hits += (slow & said).sum(axis=over)
            self.false_alarms += (~slow & said).sum(axis=over)
            self.misses += (slow & ~said).sum(axis=over)
        if hours is not None:
            flat = hours.ravel()
            self.hour_absolute += np.bincount(flat, size.sum(axis=2).ravel(), minlength=24)
            self.hour_count += np.bincount(flat, mask.sum(axis=2).ravel(), minlength=24).astype(
                np.int64
            )

    def at(self, steps: slice) -> dict[str, float | None]:
        """MAE, RMSE (dataset's unit), MAPE, WAPE (percent), F1 and count of a range of steps.

        MAPE is the mean of the errors' shares of their targets, so that small targets weigh most;
        WAPE is the sum of the errors as a share of the sum of the targets. None if there was
        nothing to score.
        """
        count = int(self.count[steps].sum())
        hits = int(self.hits[steps].sum())
        wrong = int(self.false_alarms[steps].sum() + self.misses[steps].sum())
        return {
            "mae": _ratio(self.absolute[steps].sum(), count),
            "rmse": _root(_ratio(self.squared[steps].sum(), count)),
            "mape": _ratio(100 * self.relative[steps].sum(), int(self.relative_count[steps].sum())),
            "wape": _ratio(100 * self.absolute[steps].sum(), self.truth[steps].sum()),
            "f1": _ratio(2.0 * hits, 2 * hits + wrong),
            "count": count,
        }

    def summary(self) -> dict[str, dict[str, float | None]]:
        """`at` of the reported steps (as "3", "6", "12", where forecast) and of all ("mean")."""
        out = {str(step): self.at(slice(step - 1, step)) for step in reported(self.steps)}
        out[MEAN] = self.at(slice(0, self.steps))
        return out

    def by_step(self) -> list[float | None]:
        """MAE of each step."""
        return [self.at(slice(step, step + 1))["mae"] for step in range(self.steps)]

    def by_link(self) -> list[float | None]:
        """MAE of each link, all steps together."""
        if self.link_absolute is None or self.link_count is None:
            return []
        return [_ratio(a, int(n)) for a, n in zip(self.link_absolute, self.link_count, strict=True)]

    def by_hour(self) -> list[float | None]:
        """MAE by the target's hour of day, all steps together."""
        return [_ratio(self.hour_absolute[h], int(self.hour_count[h])) for h in range(24)]


def reported(steps: int) -> tuple[int, ...]:
    """The reported steps among `steps`; the last one where it is shorter than all of them."""
    return tuple(s for s in REPORTED_STEPS if s <= steps) or (steps,)


def free_flow(speed: NDArray[np.float32]) -> NDArray[np.float32]:
    """`(N,)` free-flow speeds of `(T, N)` observed speeds; NaN for a link without any."""
    out = np.full(speed.shape[1], np.nan, dtype=np.float32)
    for block in link_blocks(speed):
        here = speed[:, block]
        some = ~np.isnan(here).all(axis=0)
        if some.any():
            found = np.nanpercentile(here[:, some], FREE_FLOW_PERCENTILE, axis=0)
            out[np.arange(len(out))[block][some]] = found
    return out


def _ratio(total: float, count: float) -> float | None:
    return float(total) / float(count) if count else None


def _root(value: float | None) -> float | None:
    return None if value is None else float(np.sqrt(value))
