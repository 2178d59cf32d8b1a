"""The page of a drift comparison: the checks, and the two distributions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from luigi_traffic.training import charts, page
from luigi_traffic.training.drift import Check, reasons, same_kind
from luigi_traffic.training.series import Series

#: Bars of the distributions, from the smallest to the largest value.
_BINS = 30


def write_drift_report(
    path: Path,
    title: str,
    version: str,
    reference: Series,
    recent: Series,
    found: Sequence[Check],
) -> Path:
    """Write it to `path` and return it. Equal inputs give equal bytes."""
    said = reasons(found)
    days = reference.timestamps[[0, -1]].astype("datetime64[D]").astype(str)
    html = page.render(
        "drift.html.jinja",
        title=title,
        verdict=f"Drift. {said}." if said else "No drift.",
        version=version,
        reference=f"{days[0]} to {days[1]}",
        target=recent.target,
        checks=[
            (check.name, "–" if check.value is None else f"{check.value:.3f}", f"{check.limit:g}",
             check.text, check.drifted)
            for check in found
        ],
        drawing=_distributions(reference, recent),
    )  # fmt: skip
    return page.write(path, html)


def _distributions(reference: Series, recent: Series) -> str:
    """Share of the values by size, of the day and of the training."""
    today = recent.actual[-recent.steps_per_day :]
    samples = {
        "the day": today[~np.isnan(today)],
        "the training": same_kind(reference, bool(recent.day_of_week[-1] >= 5)),
    }
    every = np.concatenate(list(samples.values()))
    edges = np.linspace(float(every.min(initial=0)), float(every.max(initial=1)), _BINS + 1)
    lines = {
        name: (np.histogram(values, edges)[0] / max(1, len(values)) * 100).tolist()
        for name, values in samples.items()
    }
    middle = (edges[:-1] + edges[1:]) / 2
    return charts.lines(middle.tolist(), lines, recent.target, "share of values, %", "drift")
