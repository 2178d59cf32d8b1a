"""Time × space of the drawn day: what was observed, what was forecast, and the difference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from luigi_traffic.api.context import ModelContext
from luigi_traffic.training import charts
from luigi_traffic.training.holdout_days import HoldoutDay

#: At most so many links have a row, and so many of them a name.
MOST_ROWS, MOST_NAMES = 300, 12
#: Few colours, so that the picture is small: a step is less than an eye tells apart.
_COLOURS = 48
#: Hours of a row of the table.
_HOURS = 3


@dataclass(frozen=True)
class HeatMap:
    """R links × T intervals."""

    links: tuple[str, ...]
    order: str
    """How they are ordered, for people."""
    total: int
    """Links of the model."""
    hours: NDArray[np.float64]
    """`(T,)`: hours since midnight of the beginning of each interval."""
    observed: NDArray[np.float32]
    """`(R, T)`, NaN = missing."""
    forecast: NDArray[np.float32]
    """`(R, T)`, at the last step."""

    @classmethod
    def of(
        cls,
        day: HoldoutDay,
        hours: NDArray[np.float64],
        links: Sequence[str],
        context: ModelContext,
    ) -> HeatMap | None:
        """Of a day, which has `links`; None if nothing was observed on it."""
        if np.isnan(day.actual).all():
            return None
        order, chain = "by their mean on that day, the smallest first", _along(context)
        if chain:
            order = "along the road graph"
            position = {link: at for at, link in enumerate(links)}
            rows = np.array([position[link] for link in chain if link in position])
        else:
            count = np.maximum((~np.isnan(day.actual)).sum(axis=0), 1)
            rows = np.argsort(np.nansum(day.actual, axis=0) / count, kind="stable")
        rows = rows[np.linspace(0, len(rows) - 1, min(len(rows), MOST_ROWS)).round().astype(int)]
        return cls(
            tuple(links[row] for row in rows),
            order,
            len(context.links),
            hours,
            day.actual[:, rows].T,
            day.values[-1][:, rows].T,
        )

    @property
    def missing(self) -> float:
        """Share of the cells in which nothing was observed."""
        return float(np.isnan(self.observed).mean())

    def rows(self) -> list[tuple[str, ...]]:
        """The same in numbers: part of the day, mean observed, mean forecast of the same cells,
        MAE, and share missing."""
        made = []
        for hour in range(0, 24, _HOURS):
            at = (self.hours >= hour) & (self.hours < hour + _HOURS)
            if not at.any():
                continue
            seen, said = self.observed[:, at].astype(float), self.forecast[:, at].astype(float)
            known = ~np.isnan(seen)
            cells = ["–"] * 3
            if known.any():
                seen, said = seen[known], said[known]
                means = seen.mean(), said.mean(), np.abs(said - seen).mean()
                cells = [f"{mean:.2f}" for mean in means]
            name = f"{hour:02}:00 to {hour + _HOURS:02}:00"
            made.append((name, *cells, f"{1 - known.mean():.1%}"))
        return made

    def drawing(self, unit: str, target: str, ahead: str) -> Markup:
        """Three pictures, one below the other; cells that are missing are hatched."""
        from matplotlib import colormaps

        figure, all_axes = charts.figure_of(3, 7.6, 8.4)
        error = self.forecast - self.observed
        both = np.concatenate([self.observed, self.forecast])
        low, high = np.nanpercentile(both, [1, 99])
        most = float(np.nanpercentile(np.abs(error), 98)) or 1.0
        # Both maps of colours are told apart by the colour-blind.
        values, errors = "viridis", "PuOr_r"
        panels = (
            ("observed", self.observed, values, low, high),
            (f"forecast, {ahead} ahead", self.forecast, values, low, high),
            ("forecast minus observed", error, errors, -most, most),
        )
        step = float(self.hours[1] - self.hours[0]) if len(self.hours) > 1 else 24.0
        extent = (self.hours[0], self.hours[-1] + step, len(self.links), 0)
        names = np.linspace(0, len(self.links) - 1, min(len(self.links), MOST_NAMES))
        for axes, (title, cells, colours, least, largest) in zip(all_axes, panels, strict=True):
            axes.patch.set(alpha=None, facecolor=(0.5, 0.5, 0.5, 0.25), lw=0)
            axes.patch.set(edgecolor=charts.FAINT, hatch="////")
            image = axes.imshow(
                np.ma.masked_invalid(cells), cmap=colormaps[colours].resampled(_COLOURS),
                vmin=least, vmax=largest, extent=extent, aspect="auto", interpolation="none",
            )  # fmt: skip
            axes.grid(False)
            axes.set_title(title, loc="left", fontsize=9, color=charts.INK)
            axes.set_xlim(0, 24)
            axes.set_xticks(range(0, 25, 3))
            axes.set_yticks([])
            for row in names.round().astype(int):
                # No tick labels, which matplotlib makes when it draws: see `charts.svg`.
                axes.annotate(
                    self.links[row], (0, row + 0.5), xycoords=("axes fraction", "data"),
                    xytext=(-4, 0), textcoords="offset points", ha="right", va="center",
                    fontsize=7, color=charts.INK,
                )  # fmt: skip
            charts.colour_bar(figure, axes, image, unit or target)
        all_axes[-1].set_xlabel("hour of day")
        return charts.svg(
            figure,
            "heat",
            f"Heat map of {len(self.links)} links by time of day: {target} observed, forecast "
            f"{ahead} ahead, and the difference. The table below has the same in numbers.",
        )


def _along(context: ModelContext) -> list[str]:
    """The links one after the other as traffic flows; none if there are no edges."""
    starts, ends = context.edge_index()
    if not len(starts):
        return []
    count = len(context.links)
    after: list[list[int]] = [[] for _ in range(count)]
    for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
        after[start].append(end)
    into = np.bincount(ends, minlength=count)
    order, seen = [], np.zeros(count, bool)
    # From each link that nothing flows into, then from what is left, downstream to a known one.
    for first in np.argsort(into, kind="stable").tolist():
        at: int | None = first
        while at is not None and not seen[at]:
            seen[at] = True
            order.append(context.links[at])
            at = next((link for link in after[at] if not seen[link]), None)
    return order
