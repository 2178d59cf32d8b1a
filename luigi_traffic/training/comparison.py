"""Challenger and champion on the same targets, which neither was fitted on.

A champion of a later or a shorter window was fitted on part of the challenger's hold-out, or on
all of it: its error there is no forecast error. What is left is compared a day at a time, since
the errors of one day have the same weather and the same jams: days, not targets, are the sample.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from luigi_traffic.errors import DataError
from luigi_traffic.training.evaluate import drawn
from luigi_traffic.training.fit_span import FitSpan
from luigi_traffic.training.forecaster import Forecaster
from luigi_traffic.training.series import Series
from luigi_traffic.training.windows import Split

RESAMPLES = 2_000
#: Draws of Student's t: its quantile is within 1 % of the exact one.
T_DRAWS = 100_000


@dataclass(frozen=True)
class Comparison:
    """Sums of absolute errors of both on the same targets, an entry a day `(D,)`.

    A day is the calendar day of the targets, in local wall time of the dataset. The unit is the
    dataset's.
    """

    dates: NDArray[np.datetime64]
    """datetime64[D], in order."""
    challenger: NDArray[np.float64]
    champion: NDArray[np.float64]
    targets: NDArray[np.int64]
    """Observed targets of each day, 1 or more."""
    seen_share: float
    """The share of the hold-out's observed targets that the champion was fitted on."""
    links: int
    """Links that both forecast, of `links_total` of the challenger."""
    links_total: int

    @property
    def days(self) -> int:
        """Days with at least half as many targets as the fullest one.

        A hold-out begins at any hour: an hour of a day must not count as a day.
        """
        return int((2 * self.targets >= self.targets.max(initial=0)).sum())

    @property
    def challenger_mae(self) -> float:
        """Over all targets of all days."""
        return float(self.challenger.sum() / self.targets.sum())

    @property
    def champion_mae(self) -> float:
        """Over the same targets."""
        return float(self.champion.sum() / self.targets.sum())

    @property
    def gain(self) -> float:
        """By how much the challenger's MAE is smaller."""
        return self.champion_mae - self.challenger_mae

    def least_gain(self, confidence: float) -> float:
        """The lower end of the one-sided interval of `gain`, for two days or more.

        Days are drawn with replacement, the same for both models, which gives the standard error
        of the gain. If days are few, this error is too small: it is widened by √(D / (D - 1)), and
        Student's t with D - 1 degrees of freedom stands for the normal distribution. The same
        comparison always gives the same answer.
        """
        random, days = np.random.default_rng(0), len(self.targets)
        times = random.multinomial(days, np.full(days, 1 / days), size=RESAMPLES)
        error = np.std(times @ (self.champion - self.challenger) / (times @ self.targets))
        t = np.quantile(random.standard_t(days - 1, T_DRAWS), confidence)
        return float(self.gain - t * error * np.sqrt(days / (days - 1)))


def compare(
    challenger: Forecaster,
    champion: Forecaster,
    champion_span: FitSpan,
    series: Series,
    split: Split,
    most_windows: int | None = None,
) -> Comparison:
    """Both on those targets of the challenger's hold-out that neither was fitted on.

    `split` is the challenger's. The two may differ in input and output steps: both are issued at
    the same moments, and the steps that both forecast are compared. Links are the challenger's
    that the champion can forecast. If more than `most_windows` windows have such a target, that
    many are drawn from them. There may be no target, and then no day, also if they have no link in
    common.
    Raises DataError if the hold-out has no observed target of those links.
    """
    known, total = set(champion.links(series)), challenger.links(series)
    links = [link for link in total if link in known]
    if not links:
        none = np.zeros(0)
        return Comparison(
            none.astype("datetime64[D]"), none, none, none.astype(np.int64), 0.0, 0, len(total)
        )
    part = series.aligned(links)
    steps = np.arange(min(challenger.output_steps, champion.output_steps))
    issued = np.arange(split.test.start, split.test.stop, dtype=np.int64) + challenger.input_steps
    issued = issued[issued >= champion.input_steps]
    rows = issued[:, None] + steps
    observed = (~np.isnan(part.actual)).sum(axis=1)
    if not observed[rows].sum():
        raise DataError(
            "Challenger and champion have no observed target of the hold-out in common."
        )
    own_span = FitSpan.of(series, split, challenger.input_steps, challenger.output_steps)
    seen = champion_span.covers(series.timestamps)
    # The first targets of the hold-out are also targets of the last windows of validation.
    usable = ~seen & ~own_span.covers(series.timestamps)
    share = float(observed[rows][seen[rows]].sum() / observed[rows].sum())
    issued = drawn(issued[(observed * usable)[rows].any(axis=1)], most_windows)
    rows, day = issued[:, None] + steps, _day(series)
    targets = np.bincount(day[rows].ravel(), (observed * usable)[rows].ravel())
    some = np.flatnonzero(targets)
    ours, theirs = (
        _errors_by_day(one, series, part, issued, steps, usable)[some]
        for one in (challenger, champion)
    )
    dates = series.timestamps[0].astype("datetime64[D]") + some
    return Comparison(
        dates, ours, theirs, targets[some].astype(np.int64), share, len(links), len(total)
    )


def _errors_by_day(
    forecaster: Forecaster,
    series: Series,
    part: Series,
    issued: NDArray[np.int64],
    steps: NDArray[np.int64],
    usable: NDArray[np.bool_],
) -> NDArray[np.float64]:
    """Sums of absolute errors of the links of `part`; day 0 is the first of the series."""
    column = {link: index for index, link in enumerate(forecaster.links(series))}
    chosen = [column[link] for link in part.links]
    day = _day(series)
    sums = np.zeros(day[-1] + 1)
    for piece, forecast in forecaster.stream(series, issued - forecaster.input_steps):
        rows = piece[:, None] + forecaster.input_steps + steps
        actual = part.actual[rows]
        mask = ~np.isnan(actual) & usable[rows][..., None]
        off = np.abs(forecast[:, : len(steps), chosen] - np.where(mask, actual, 0))
        off = np.where(mask, off, 0).sum(axis=2, dtype=np.float64)
        sums += np.bincount(day[rows].ravel(), off.ravel(), minlength=len(sums))
    return sums


def _day(series: Series) -> NDArray[np.int64]:
    """`(T,)`: the number of each interval's day, from 0."""
    days = series.timestamps.astype("datetime64[D]").astype(np.int64)
    return np.asarray(days - days[0])
