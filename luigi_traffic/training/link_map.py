"""A map of the links by their error, where the dataset knows where they are: dots, and no tiles."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from luigi_traffic.api.context import ModelContext
from luigi_traffic.training import charts

#: Links with the largest errors that have their name beside them.
NAMED_LINKS = 5
#: More dots than that are drawn as one picture: a mark each would make the page large.
MOST_MARKS = 2_000


@dataclass(frozen=True)
class LinkMap:
    """M links whose places are known, of `total`."""

    links: tuple[str, ...]
    longitude: NDArray[np.float64]
    """`(M,)`, degrees, as `latitude`."""
    latitude: NDArray[np.float64]
    mae: NDArray[np.float64]
    """`(M,)`, NaN if nothing of the link was scored."""
    total: int

    @classmethod
    def of(cls, context: ModelContext, mae: Sequence[float | None]) -> LinkMap | None:
        """`mae` is of the links of `context`; None if no two links have a place."""
        if context.link_table is None:
            return None
        found = [
            (link.link_id, link.longitude, link.latitude, math.nan if error is None else error)
            for link, error in zip(context.link_table, mae, strict=True)
            if link.longitude is not None and link.latitude is not None
        ]
        if len(found) < 2:
            return None
        names, *numbers = zip(*found, strict=True)
        longitude, latitude, errors = (np.array(column, float) for column in numbers)
        return cls(tuple(map(str, names)), longitude, latitude, errors, len(context.links))

    @property
    def worst(self) -> list[int]:
        """Positions of the links with the largest errors, the largest first."""
        order = np.argsort(-np.nan_to_num(self.mae, nan=-1), kind="stable")[:NAMED_LINKS]
        return [int(at) for at in order if not np.isnan(self.mae[at])]

    def drawing(self, unit: str) -> Markup:
        """A dot for each link, the worst ones named; grey rings: nothing was scored."""
        # A degree of longitude is shorter than one of latitude.
        shorter = max(0.01, math.cos(math.radians(float(self.latitude.mean()))))
        wide, high = float(np.ptp(self.longitude)) * shorter, float(np.ptp(self.latitude))
        figure, (axes,) = charts.figure_of(1, 7.6, 6.2 * min(1.2, max(0.35, high / (wide or 1))))
        known = ~np.isnan(self.mae)
        many = len(self.links) > MOST_MARKS
        size = 5 if many else 22
        axes.scatter(
            self.longitude[~known], self.latitude[~known], s=size, facecolors="none",
            edgecolors=charts.FAINT, linewidths=0.8, rasterized=many,
        )  # fmt: skip
        # The worst lie on top, and one extreme does not take all the colours.
        order = np.argsort(self.mae[known], kind="stable")
        place = self.longitude[known][order], self.latitude[known][order]
        if known.any():
            dots = axes.scatter(
                *place, c=self.mae[known][order], s=size, cmap="viridis", vmin=0,
                vmax=float(np.percentile(self.mae[known], 98)) or 1.0, linewidths=0.4,
                edgecolors=charts.FAINT, rasterized=many,
            )  # fmt: skip
            charts.colour_bar(figure, axes, dots, f"MAE, {unit}" if unit else "MAE")
        for at in self.worst:
            axes.annotate(
                self.links[at], (self.longitude[at], self.latitude[at]), xytext=(5, 5),
                textcoords="offset points", fontsize=8, color=charts.INK,
            )  # fmt: skip
        axes.set_aspect(1 / shorter)
        axes.set_xlabel("longitude")
        axes.set_ylabel("latitude")
        axes.ticklabel_format(useOffset=False)
        axes.margins(0.08)
        return charts.svg(
            figure,
            "map",
            f"Map of {len(self.links)} links as dots, coloured by their MAE. The largest errors: "
            + ", ".join(f"{self.links[at]} {self.mae[at]:.2f}" for at in self.worst)
            + ".",
        )
