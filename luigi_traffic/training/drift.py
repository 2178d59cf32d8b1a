"""Whether a day is unlike the days that a model was trained on, and whether the model errs more.

Four checks, each a number with a limit (settings `drift`):

    coverage      how much less of the day was observed than of the days of the training
    links         share of links that are new or silent, of those of the training
    distribution  population stability index (PSI) of the target, by deciles of the training days
                  of the same kind (Monday to Friday, or the weekend); above 0.25 is the usual line
                  for a change (Siddiqi 2006, "Credit risk scorecards", chapter 6)
    error         the model's MAE as a share of that of persistence, against the same share on the
                  hold-out of its training: a day that is hard for both is no drift
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from luigi_traffic.training.baselines import Persistence, link_means
from luigi_traffic.training.evaluate import drawn
from luigi_traffic.training.forecaster import Forecaster
from luigi_traffic.training.intervals import unseen
from luigi_traffic.training.metrics import MEAN, Errors
from luigi_traffic.training.scores import MODEL, PERSISTENCE
from luigi_traffic.training.series import Series

if TYPE_CHECKING:
    from luigi_traffic.settings.training_keys import DriftSettings

#: Fewest values of a day, and of the days of its training, whose distributions are compared.
FEWEST_VALUES = 100
#: A decile without a value counts as this share, so that the index stays finite.
_SMALLEST_SHARE = 1e-4
#: Windows of the day that the model forecasts for the error, drawn from all.
_WINDOWS = 300
#: Monday to Friday, or the weekend.
_WEEKEND = 5


@dataclass(frozen=True)
class Check:
    """One number beside its limit; above it is drift. None: it could not be computed."""

    name: str
    value: float | None
    limit: float
    text: str

    @property
    def drifted(self) -> bool:
        """Whether the value is above the limit."""
        return self.value is not None and self.value > self.limit

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "name": self.name, "value": self.value, "limit": self.limit, "text": self.text,
            "drifted": self.drifted,
        }  # fmt: skip


def checks(
    forecaster: Forecaster,
    scores: Mapping[str, Any],
    reference: Series,
    recent: Series,
    settings: DriftSettings,
) -> list[Check]:
    """All four, of the last day of `recent`, which also has what its first windows need.

    `forecaster` is of the network that was scored, with the `scores` of its training; `reference`
    has days of its training. Its links are those of the training.
    """
    size = recent.steps_per_day
    links = forecaster.bundle.links
    before = reference.aligned(links)
    today = recent.aligned(links).actual[-size:]
    return [
        _coverage(before, today, settings.coverage),
        _links(links, before, recent, today, settings.links),
        _distribution(before, recent, today, settings.distribution),
        _error(forecaster, scores, before, recent, settings.error),
    ]


def psi(expected: NDArray[Any], found: NDArray[Any]) -> float:
    """The population stability index of two samples without NaN, by deciles of `expected`."""
    edges = np.unique(np.quantile(expected, np.arange(1, 10) / 10))
    shares = []
    for sample in (expected, found):
        counted = np.bincount(np.searchsorted(edges, sample), minlength=len(edges) + 1)
        shares.append(np.maximum(counted / len(sample), _SMALLEST_SHARE))
    before, now = shares
    return float(((now - before) * np.log(now / before)).sum())


def same_kind(series: Series, weekend: bool) -> NDArray[np.float32]:
    """Observed targets on its workdays, or its weekends; on all days if there are too few."""
    of_kind = (series.day_of_week >= _WEEKEND) == weekend
    found = _observed(series.actual[of_kind])
    return found if len(found) >= FEWEST_VALUES else _observed(series.actual)


def _observed(values: NDArray[np.float32]) -> NDArray[np.float32]:
    return values[~np.isnan(values)]


def _coverage(before: Series, today: NDArray[np.float32], limit: float) -> Check:
    usual, now = (float(np.mean(~np.isnan(part))) for part in (before.actual, today))
    text = f"{now:.1%} of the intervals of the links were observed, {usual:.1%} in the training"
    return Check("coverage", usual - now, limit, text)


def _links(
    links: Sequence[str], before: Series, recent: Series, today: NDArray[np.float32], limit: float
) -> Check:
    had = ~np.isnan(before.actual).all(axis=0)
    has = ~np.isnan(today).all(axis=0)
    silent = int((had & ~has).sum())
    own = np.flatnonzero(~np.isnan(recent.actual[-recent.steps_per_day :]).all(axis=0))
    new = len({recent.links[at] for at in own} - set(links))
    text = f"{silent} links of the training are silent, {new} links are new, of {had.sum()}"
    return Check("links", (silent + new) / max(1, int(had.sum())), limit, text)


def _distribution(
    before: Series, recent: Series, today: NDArray[np.float32], limit: float
) -> Check:
    usual = same_kind(before, bool(recent.day_of_week[-1] >= _WEEKEND))
    now = _observed(today)
    if min(len(usual), len(now)) < FEWEST_VALUES:
        return Check("distribution", None, limit, "too few values to compare")
    half, of_before = np.median(now), np.median(usual)
    text = f"the median is {half:.1f}, {of_before:.1f} in the training"
    return Check("distribution", psi(usual, now), limit, text)


def _error(
    forecaster: Forecaster,
    scores: Mapping[str, Any],
    before: Series,
    recent: Series,
    limit: float,
) -> Check:
    held_out, last = (scores[name][MEAN]["mae"] for name in (MODEL, PERSISTENCE))
    windows = unseen(forecaster, recent, forecaster.bundle.fit_span, len(recent))
    windows = windows[windows + forecaster.input_steps >= len(recent) - recent.steps_per_day]
    ours, theirs = _maes(forecaster, before, recent, drawn(windows, _WINDOWS))
    if ours is None or not theirs or not held_out or not last:
        return Check("error", None, limit, "nothing to score that the model was not trained on")
    share, usual = ours / theirs, held_out / last
    text = (
        f"the MAE is {ours:.3f}, {share:.2f} of that of persistence; on the hold-out it was "
        f"{held_out:.3f}, {usual:.2f} of it"
    )
    return Check("error", share / usual, limit, text)


def _maes(
    forecaster: Forecaster, before: Series, recent: Series, windows: NDArray[np.int64]
) -> tuple[float | None, float | None]:
    """Of the model and of persistence, over all steps of these windows."""
    known = recent.aligned(forecaster.links(recent))
    t_in, t_out = forecaster.input_steps, forecaster.output_steps
    means = link_means(before.aligned(known.links).actual)
    last = Persistence.of(known, t_in, t_out, means)
    errors = Errors(t_out), Errors(t_out)
    for piece, said in forecaster.stream(recent, windows):
        actual = known.actual[piece[:, None] + t_in + np.arange(t_out)]
        mask = ~np.isnan(actual)
        errors[0].update(said, actual, mask)
        errors[1].update(last.predict(piece), actual, mask)
    ours, theirs = (one.summary()[MEAN]["mae"] for one in errors)
    return ours, theirs


def reasons(found: Sequence[Check]) -> str:
    """What says drift, in one line; empty if nothing does."""
    return "; ".join(f"{check.name}: {check.text}" for check in found if check.drifted)
