"""The day of the hold-out that a report draws: forecast lines against what was observed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from luigi_traffic.training.charts import Band, Panel
from luigi_traffic.training.fit_span import FitSpan
from luigi_traffic.training.forecaster import Forecaster
from luigi_traffic.training.holdout_days import HoldoutDay, HoldoutDays
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


@dataclass(frozen=True)
class ChampionLines:
    """The forecasts of the champion on the day, which it was not trained on either."""

    label: str
    by_link: Mapping[str, NDArray[np.float32]]
    """`(T,)` of the links that it knows."""


def champion_lines(
    champion: Forecaster, span: FitSpan, series: Series, choice: Choice, steps: int
) -> ChampionLines | None:
    """Of the champion, fitted on `span`, at the last of `steps` that it forecasts.

    None if it was trained on a target of that day, or if the series begins too late for its input.
    """
    rows = choice.rows
    seen = span.covers(series.timestamps[rows.start : rows.stop]).any()
    known = tuple(link for link in choice.links if link in set(champion.links(series)))
    if seen or not known or rows.start < champion.input_steps + champion.output_steps:
        return None
    step = min(steps, champion.output_steps)
    ahead = horizon(step * series.interval.total_seconds())
    values = HoldoutDays(champion, series, (rows,), 1, known).day(rows).values[step - 1]
    return ChampionLines(
        f"champion, {ahead} ahead", {link: values[:, at] for at, link in enumerate(known)}
    )


def panels(
    day: HoldoutDay,
    series: Series,
    links: Sequence[str],
    holdout: HoldoutDays,
    intervals: Intervals | None = None,
    champion: ChampionLines | None = None,
) -> list[Panel]:
    """A panel for each of `links`; `day` and `intervals` are of the links of `holdout`."""
    last, bundle = len(day.values), holdout.forecaster.bundle
    ahead = {step: horizon(step * series.interval.total_seconds()) for step in
             sorted({reported(last)[0], last})}  # fmt: skip
    ends = intervals.around(day.values.transpose(1, 0, 2)) if intervals else None
    made = []
    for link in links:
        at = holdout.links.index(link)
        trained = bundle.links.index(link) if link in bundle.links else None
        flow = bundle.free_flow[trained] if trained is not None else np.nan
        lines = {f"{MODEL}, {text} ahead": day.values[step - 1, :, at] for step, text in
                 ahead.items()}  # fmt: skip
        band = None
        if intervals and ends:
            label = f"{100 * intervals.level:.3g}% interval, {ahead[last]} ahead"
            lower, upper = (end[:, last - 1, at] for end in ends)
            band = Band(label, list(lines)[-1], lower, upper)
        if champion and link in champion.by_link:
            lines[champion.label] = champion.by_link[link]
        lines[f"{PERSISTENCE}, {ahead[last]} ahead"] = day.persistence[last - 1, :, at]
        made.append(
            Panel(
                title=f"link {link}",
                hours=hours(day, series),
                actual=day.actual[:, at],
                lines=lines,
                limit=float(CONGESTED_SHARE * flow),
                band=band,
            )
        )
    return made
