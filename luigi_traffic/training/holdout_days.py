"""Days of the hold-out, forecast once more by the network that was scored, one day at a time.

The evaluation keeps sums alone. What needs forecasts in the order of time (onsets, a drawn day)
takes them from here, laid out by target as published forecasts are (see `issued`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from luigi_traffic.training.baselines import Persistence
from luigi_traffic.training.evaluate import drawn
from luigi_traffic.training.forecaster import Forecaster
from luigi_traffic.training.series import Series

#: At most so many links and days are looked at, and about so many windows of a link.
MOST_LINKS, MOST_DAYS, MOST_LINK_WINDOWS = 2_000, 7, 1_000_000


@dataclass(frozen=True)
class HoldoutDay:
    """One day, or the part of it that is in the hold-out: T intervals, N links."""

    rows: range
    """Of the series."""
    date: str
    values: NDArray[np.float32]
    """`(S, T, N)`: for interval t, issued s intervals before it begins; in the target's unit."""
    persistence: NDArray[np.float32]
    """The same of persistence; NaN if nothing was observed in the window."""
    actual: NDArray[np.float32]
    """`(T, N)`, NaN = missing."""
    before: NDArray[np.float32]
    """`(D, N)`: what was observed in the rows before the day, up to a day of them."""


@dataclass(frozen=True)
class HoldoutDays:
    """What is looked at. `days` and `links` are drawn from all, always the same ones."""

    forecaster: Forecaster
    series: Series
    days: tuple[range, ...]
    """Rows of the series of each day."""
    days_total: int
    links: tuple[str, ...]
    """In the order of the forecaster's links."""

    @classmethod
    def of(
        cls, forecaster: Forecaster, series: Series, days: Sequence[range], also: Sequence[str] = ()
    ) -> HoldoutDays:
        """Of `days`, see `days_of`; `also` are links that must be among them."""
        links = forecaster.links(series)
        some = set(drawn(np.arange(len(links)), MOST_LINKS).tolist())
        chosen = tuple(link for at, link in enumerate(links) if at in some or link in also)
        width = len(chosen) if forecaster.bundle.model.per_link else len(links)
        most = MOST_LINK_WINDOWS // max(1, series.steps_per_day * width)
        at = drawn(np.arange(len(days)), min(MOST_DAYS, max(1, most)))
        return cls(forecaster, series, tuple(days[i] for i in at), len(days), chosen)

    def __iter__(self) -> Iterator[HoldoutDay]:
        return (self.day(rows) for rows in self.days)

    @property
    def said(self) -> str:
        """What is looked at of the hold-out, for people."""
        total = len(self.forecaster.links(self.series))
        links = f"{total:,}" if len(self.links) == total else f"{len(self.links):,} of {total:,}"
        days = f"{self.days_total}"
        if len(self.days) < self.days_total:
            days = f"{len(self.days)} of {self.days_total}"
        return f"{days} {'day' if self.days_total == 1 else 'days'} and {links} links"

    def day(self, rows: range, forecaster: Forecaster | None = None) -> HoldoutDay:
        """The forecasts of one day, by another `forecaster` if one is given."""
        judge = forecaster or self.forecaster
        t_in, t_out = judge.input_steps, judge.output_steps
        first = rows.start - t_in - t_out + 1
        near = part(self.series, range(first, rows.stop))
        if judge.bundle.model.per_link:
            near = near.aligned(self.links)
        position = {link: at for at, link in enumerate(judge.links(near))}
        columns = [position[link] for link in self.links]
        values = np.full((t_out, len(rows), len(columns)), np.nan, np.float32)
        for windows, said in judge.stream(near, np.arange(len(rows) + t_out - 1)):
            for step in range(t_out):
                slot = windows + step - t_out + 1
                inside = (slot >= 0) & (slot < len(rows))
                values[step, slot[inside]] = said[inside, step][:, columns]
        near = near.aligned(self.links)
        unseen = np.full(len(self.links), np.nan, np.float32)
        persistence = Persistence.of(near, t_in, 1, unseen)
        last = persistence.predict(np.arange(len(rows) + t_out - 1))[:, 0]
        issued = t_out - 1 - np.arange(t_out)[:, None] + np.arange(len(rows))
        earlier = range(max(0, rows.start - self.series.steps_per_day), rows.start)
        return HoldoutDay(
            rows,
            str(self.series.timestamps[rows.start].astype("datetime64[D]")),
            values,
            last[issued],
            near.actual[t_in + t_out - 1 :],
            part(self.series, earlier).aligned(self.links).actual,
        )


def days_of(series: Series, test: range, t_in: int, t_out: int) -> list[range]:
    """Rows of each day for which windows of the hold-out forecast all intervals at all steps.

    If there is no whole day, of the one with the most intervals. None of the targets is one of
    validation.
    """
    rows = np.arange(test.start + t_in + t_out - 1, test.stop + t_in + t_out - 1)
    day = series.timestamps[rows].astype("datetime64[D]")
    _, first, count = np.unique(day, return_index=True, return_counts=True)
    wanted = min(series.steps_per_day, count.max())
    return [
        range(int(rows[at]), int(rows[at] + size))
        for at, size in zip(first, count, strict=True)
        if size == wanted
    ]


def part(series: Series, rows: range) -> Series:
    """Those rows of a series, a view."""
    return replace(
        series,
        start=series.timestamps[rows.start],
        values=series.values[rows.start : rows.stop],
    )
