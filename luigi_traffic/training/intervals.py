"""Prediction intervals of forecasts, from the errors that the model made on days it had not seen.

Split conformal prediction (Papadopoulos et al. 2002; Lei et al. 2018, "Distribution-free predictive
inference for regression") by group (Vovk et al. 2005, "Algorithmic learning in a random world",
chapter 4.5): of each step ahead and each group of links, the interval reaches from the
forecast plus a low quantile of the errors to the forecast plus a high one. Traffic drifts, so the
errors are those of the most recent days before the forecast.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from luigi_traffic.training.evaluate import drawn
from luigi_traffic.training.fit_span import FitSpan
from luigi_traffic.training.forecaster import Forecaster
from luigi_traffic.training.series import Series

if TYPE_CHECKING:
    from luigi_traffic.settings.training_keys import ForecastSettings

#: Links of similar errors are one group: at most so many groups, of so many links at least.
GROUPS, LINKS_A_GROUP = 10, 5
#: Fewest errors of a step and group that an interval is made from.
FEWEST_ERRORS = 100
#: About so many errors are looked at, of windows that are drawn from all, and fewest windows.
MOST_ERRORS, FEWEST_WINDOWS = 2_000_000, 100


@dataclass(frozen=True)
class Intervals:
    """The reach of the intervals below and above a forecast, in the target's unit."""

    level: float
    """Share of the targets that should lie in their interval."""
    group: NDArray[np.int64]
    """`(N,)`: the group of each link, in the order of the forecaster's links."""
    low: NDArray[np.float32]
    """`(steps, groups)`: quantile of actual minus forecast; NaN if there were too few errors."""
    high: NDArray[np.float32]

    def around(
        self, forecast: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Lower and upper ends, each `(W, steps, N)` like the forecast; 0 or more."""
        low, high = (end[:, self.group] for end in (self.low, self.high))
        return np.maximum(forecast + low, 0), np.maximum(forecast + high, 0)


def recent_intervals(
    forecaster: Forecaster, series: Series, settings: ForecastSettings, befores: Sequence[int]
) -> list[Intervals | None]:
    """For each of `befores`, from the errors on the `calibration_days` that end at that row.

    The errors are those of the network that was scored: the one that forecasts may have been
    trained on these days. None if there are too few.
    """
    rows = settings.calibration_days * series.steps_per_day
    scored = forecaster.bundle.comparable
    judge = forecaster if scored is forecaster.bundle else Forecaster(scored)
    windows = unseen(judge, series, scored.fit_span, max(befores))
    windows = _drawn(judge, series, windows[windows + judge.input_steps >= min(befores) - rows])
    errors = _errors(judge, series, windows)
    first = windows + judge.input_steps
    return [
        _intervals(
            errors[(first >= before - rows) & (first + judge.output_steps <= before)],
            settings.interval,
        )
        for before in befores
    ]


def unseen(
    forecaster: Forecaster, series: Series, span: FitSpan | None, before: int
) -> NDArray[np.int64]:
    """Windows whose targets all lie after `span` and in rows before row `before`.

    None of them if `span` is not known, as of a model of an earlier version.
    """
    if span is None:
        return np.empty(0, np.int64)
    t_in, t_out = forecaster.input_steps, forecaster.output_steps
    windows = np.arange(max(0, before - t_in - t_out + 1), dtype=np.int64)
    first_targets = series.timestamps[windows + t_in]
    return windows[first_targets > np.datetime64(span.last)]


def calibrate(
    forecaster: Forecaster, series: Series, windows: NDArray[np.int64], level: float
) -> Intervals | None:
    """Intervals from the errors of these windows; None if they hold too few targets.

    `forecaster` must not have been trained on the targets, see `unseen`. They are in the unit of
    the target.
    """
    return _intervals(_errors(forecaster, series, _drawn(forecaster, series, windows)), level)


def _drawn(forecaster: Forecaster, series: Series, windows: NDArray[np.int64]) -> NDArray[np.int64]:
    size = max(1, len(forecaster.links(series)) * forecaster.output_steps)
    return drawn(windows, max(FEWEST_WINDOWS, MOST_ERRORS // size))


def _errors(
    forecaster: Forecaster, series: Series, windows: NDArray[np.int64]
) -> NDArray[np.float32]:
    """`(W, steps, N)`, actual minus forecast; NaN where nothing was observed."""
    links, t_in, t_out = forecaster.links(series), forecaster.input_steps, forecaster.output_steps
    actual = series.aligned(links).actual
    errors = np.empty((len(windows), t_out, len(links)), np.float32)
    done = 0
    for piece, forecast in forecaster.stream(series, windows):
        rows = piece[:, None] + t_in + np.arange(t_out)
        errors[done : done + len(piece)] = actual[rows] - forecast
        done += len(piece)
    return errors


def _intervals(errors: NDArray[np.float32], level: float) -> Intervals | None:
    """Of errors `(W, steps, N)`."""
    if not errors.size:
        return None
    group = _groups(_mean_size(errors))
    low = np.full((errors.shape[1], group.max() + 1), np.nan, np.float32)
    high = low.copy()
    for step in range(len(low)):
        for at in range(low.shape[1]):
            low[step, at], high[step, at] = _ends(errors[:, step, group == at], level)
    return None if np.isnan(low).all() else Intervals(level, group, low, high)


def _mean_size(errors: NDArray[np.float32]) -> NDArray[np.float32]:
    """`(N,)`, NaN for a link without any error."""
    count = (~np.isnan(errors)).sum(axis=(0, 1))
    total = np.nansum(np.abs(errors), axis=(0, 1))
    return np.where(count > 0, total / np.maximum(count, 1), np.nan).astype(np.float32)


def _groups(size: NDArray[np.float32]) -> NDArray[np.int64]:
    """`(N,)`: links by the size of their errors, in groups of about equal number.

    A link whose errors are not known is taken for one of the worst.
    """
    count = max(1, min(GROUPS, len(size) // LINKS_A_GROUP))
    rank = np.empty(len(size), np.int64)
    rank[np.argsort(np.nan_to_num(size, nan=np.inf), kind="stable")] = np.arange(len(size))
    return rank * count // len(size)


def _ends(errors: NDArray[np.float32], level: float) -> tuple[float, float]:
    """The two quantiles of `level`, with the correction for a finite sample on both sides.

    Zero lies between them, so that a forecast lies in its interval though it erred to one side.
    """
    known = np.sort(errors[~np.isnan(errors)])
    beyond = math.floor((len(known) + 1) * (1 - level) / 2) - 1  # errors left out on each side
    if len(known) < FEWEST_ERRORS or beyond < 0:
        return math.nan, math.nan
    return min(float(known[beyond]), 0.0), max(float(known[len(known) - 1 - beyond]), 0.0)
