"""Charts of a training report: SVG text that takes its ink from the page, light or dark."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from markupsafe import Markup, escape
from numpy.typing import NDArray

from luigi_traffic.training.chart_text import FONTS, LAYOUT_FONT, restored, stand_ins

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.cm import ScalarMappable
    from matplotlib.figure import Figure

#: Drawn as this, then replaced by `currentColor`.
INK = "#010203"
FAINT = "#8a909a"
#: Readable on white and on near-black; told apart without colour by their dashes.
COLOURS = ("#2f7fd6", "#d9742b", "#2f9e6b", "#8a909a")
_DASHES = ("-", "--", "-.", ":")


def learning_curve(history: Sequence[Mapping[str, float]], best: int, unit: str) -> Markup:
    """Training loss and validation MAE by epoch, the chosen epoch marked."""
    from matplotlib.ticker import MaxNLocator

    figure, (axes,) = figure_of(1, 4.4, 2.6)
    epochs = [row["epoch"] for row in history]
    axes.plot(
        epochs, [row["train_loss"] for row in history], color=FAINT, ls="--", label="training loss"
    )
    validation = [row["validation_mae"] for row in history]
    axes.plot(epochs, validation, color=COLOURS[0], marker="o", ms=3, label="validation MAE")
    axes.plot([best], [validation[best - 1]], "o", ms=9, mfc="none", color=COLOURS[0])
    axes.set_xlabel("epoch")
    axes.set_ylabel(unit)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend()
    return svg(figure, "learning")


def lines(
    x: Sequence[float],
    series: Mapping[str, Sequence[float | None]],
    xlabel: str,
    ylabel: str,
    name: str,
    ticks: Sequence[float] | None = None,
    tick_labels: Sequence[str] | None = None,
) -> Markup:
    """One line a forecaster, four of them at most, from 0 upwards; None leaves a gap."""
    figure, (axes,) = figure_of(1, 4.4, 2.6)
    styles = list(zip(COLOURS, _DASHES, strict=True))[: len(series)]
    for (label, values), (colour, dash) in zip(series.items(), styles, strict=True):
        y = [math.nan if v is None else v for v in values]
        axes.plot(x, y, color=colour, ls=dash, marker="o", ms=2.5, label=label)
    axes.set_xlabel(xlabel)
    axes.set_ylabel(ylabel)
    axes.set_ylim(bottom=0)
    if ticks is not None:
        axes.set_xticks(list(ticks), tick_labels)
    axes.legend()
    return svg(figure, name)


@dataclass(frozen=True)
class Band:
    """An interval around a line; NaN: none."""

    label: str
    line: str
    """The label of the line."""
    lower: NDArray[Any]
    """`(T,)`"""
    upper: NDArray[Any]


@dataclass(frozen=True)
class Panel:
    """A link on a day, T intervals; NaN: missing."""

    title: str
    hours: NDArray[Any]
    """`(T,)` since midnight."""
    actual: NDArray[Any]
    """`(T,)`"""
    lines: Mapping[str, NDArray[Any]]
    """Label → `(T,)`, four at most, the last of them the baseline."""
    limit: float
    """What is below it is congested; NaN: nothing is."""
    band: Band | None = None


def day(panels: Sequence[Panel], unit: str) -> Markup:
    """One panel a link.

    Congested hours are shaded; NaN leaves gaps, and a value between two gaps is a dot.
    """
    figure, all_axes = figure_of(len(panels), 9.0, 2.0 * len(panels))
    for axes, panel in zip(all_axes, panels, strict=True):
        hours, actual = panel.hours, panel.actual
        slow = actual < panel.limit
        if slow.any():
            axes.fill_between(
                hours, 0, 1, where=slow, step="mid", transform=axes.get_xaxis_transform(),
                color=FAINT, alpha=0.22, lw=0,
            )  # fmt: skip
        axes.plot(hours, actual, color=INK, lw=1.1, label="actual")
        alone = isolated(actual)  # a line of one point is not seen
        axes.plot(hours[alone], actual[alone], ".", color=INK, ms=3)
        # The last is the baseline, grey and dotted.
        styles = [*range(len(panel.lines) - 1), len(COLOURS) - 1]
        for index, (label, values) in zip(styles, panel.lines.items(), strict=True):
            if (band := panel.band) and band.line == label:
                axes.fill_between(
                    hours, band.lower, band.upper, color=COLOURS[index], alpha=0.2, lw=0,
                    label=band.label,
                )  # fmt: skip
            axes.plot(hours, values, color=COLOURS[index], ls=_DASHES[index], lw=1.3, label=label)
        axes.set_title(panel.title, loc="left", fontsize=9, color=INK)
        axes.set_xlim(0, 24)
        axes.set_xticks(range(0, 25, 3))
        axes.set_ylim(bottom=0)
        axes.set_ylabel(unit)
    all_axes[0].legend(ncols=3, loc="lower right", bbox_to_anchor=(1, 1.0), borderaxespad=0.1)
    all_axes[-1].set_xlabel("hour of day")
    return svg(figure, "day")


def isolated(values: NDArray[Any]) -> NDArray[np.bool_]:
    """`(T,)`: which values have no value on either side of them."""
    there = np.concatenate([[False], ~np.isnan(values), [False]])
    return np.asarray(there[1:-1] & ~there[:-2] & ~there[2:])


def figure_of(rows: int, width: float, height: float) -> tuple[Figure, Sequence[Axes]]:
    """A figure of `width` by `height` inches and its axes, one below the other."""
    from matplotlib.figure import Figure  # not pyplot: no global state, no display

    figure = Figure(figsize=(width, height), layout="constrained")
    all_axes = np.atleast_1d(figure.subplots(rows, 1))
    for axes in all_axes:
        axes.patch.set_alpha(0)
        axes.grid(axis="y", color=FAINT, alpha=0.3, lw=0.6)
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
        for side in ("left", "bottom"):
            axes.spines[side].set_color(FAINT)
        axes.tick_params(colors=INK, labelsize=8, color=FAINT)
        for label in (axes.xaxis.label, axes.yaxis.label):
            label.set_color(INK)
            label.set_fontsize(8)
    return figure, list(all_axes)


def colour_bar(figure: Figure, axes: Axes, drawn: ScalarMappable, label: str) -> None:
    """Beside the axes, what the colours mean."""
    bar = figure.colorbar(drawn, ax=axes, pad=0.01, aspect=16)
    bar.outline.set_visible(False)
    bar.ax.tick_params(colors=INK, labelsize=8, color=FAINT)
    bar.set_label(label, color=INK, fontsize=8)


def svg(figure: Figure, name: str, instead: str = "") -> Markup:
    """The figure as SVG; `name` differs from those of the other drawings on the page.

    `instead` is what it shows, for whoever cannot see it.
    """
    import matplotlib

    for axes in figure.axes:
        legend = axes.get_legend()
        if legend is not None:
            legend.set_frame_on(False)
            for text in legend.get_texts():
                text.set_color(INK)
                text.set_fontsize(8)
    texts = stand_ins(figure)
    out = io.StringIO()
    # The salt keeps the ids of two drawings on one page apart, and equal from run to run.
    settings: Any = {
        "svg.fonttype": "none", "svg.hashsalt": name,
        "font.family": "sans-serif", "font.sans-serif": [LAYOUT_FONT],
    }  # fmt: skip
    nothing = {"Date": None, "Creator": None}
    with matplotlib.rc_context(settings):
        figure.savefig(out, format="svg", facecolor="none", edgecolor="none", metadata=nothing)
    drawn = out.getvalue()
    drawn = drawn[drawn.index("<svg") :].replace(INK, "currentColor")
    drawn = drawn.replace(f"'{LAYOUT_FONT}'", FONTS)
    label = f'<svg role="img" aria-label="{escape(instead)}"' if instead else "<svg"
    drawn = drawn.replace("<svg", label, 1)
    return Markup(restored(drawn, texts))  # noqa: S704 - ours, and texts are escaped
