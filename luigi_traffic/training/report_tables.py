"""The tables of a training's report."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from luigi_traffic.training.evaluate import Evaluation
from luigi_traffic.training.scores import (
    HIGHER_IS_BETTER,
    MEASURES,
    MODEL,
    PERSISTENCE,
    shown,
)

#: Links with the largest errors that are listed, and as many with the smallest.
SHOWN_LINKS = 5
#: Key of a measure → what stands behind its name in a table.
_UNITS = {
    "mae": ", {unit}",
    "rmse": ", {unit}",
    "mape": ", %",
    "wape": ", %",
    "f1": " of congestion",
}


def score_tables(evaluation: Evaluation, unit: str) -> list[dict[str, Any]]:
    """For each measure that has a value: its label, and forecaster → (text, best of its column)."""
    out = []
    for key, name in MEASURES.items():
        rows = {
            forecaster: [values[key] for values in steps.values()]
            for forecaster, steps in evaluation.scores.items()
        }
        if all(value is None for values in rows.values() for value in values):
            continue  # congestion, if no speed is forecast
        best = []
        for column in zip(*rows.values(), strict=True):
            known = [v for v in column if v is not None]
            best.append((max if key in HIGHER_IS_BETTER else min)(known) if known else None)
        cells = {
            forecaster: [
                ("–" if v is None else shown(key, v), v == b and v is not None)
                for v, b in zip(values, best, strict=True)
            ]
            for forecaster, values in rows.items()
        }
        out.append({"label": name + _UNITS[key].format(unit=unit), "rows": cells})
    return out


def link_rows(links: Sequence[str], evaluation: Evaluation) -> list[tuple[str, str, str]]:
    """Link, MAE and MAE of persistence of the links with the largest errors, then the smallest.

    Empty if there are too few links to choose from.
    """
    ours, theirs = (evaluation.by_link.get(name, []) for name in (MODEL, PERSISTENCE))
    known = [
        (mae, link, last)
        for link, mae, last in zip(links, ours, theirs, strict=False)
        if mae is not None
    ]
    if len(known) < 2 * SHOWN_LINKS:
        return []
    known.sort(key=lambda one: (-one[0], one[1]))
    return [
        (link, shown("mae", mae), "–" if last is None else shown("mae", last))
        for mae, link, last in known[:SHOWN_LINKS] + known[-SHOWN_LINKS:]
    ]


def verdict(evaluation: Evaluation, unit: str) -> str:
    """The MAE of the model beside those of the baselines, a sentence."""
    ours = evaluation.mae()
    if ours is None:
        return ""
    parts = []
    for name in evaluation.scores:
        theirs = evaluation.mae(name)
        if name != MODEL and theirs:
            change = (ours - theirs) / theirs
            parts.append(
                f"{abs(change):.0%} {'below' if change < 0 else 'above'} {name} ({theirs:.2f})"
            )
    return f"Mean absolute error {ours:.2f} {unit}: {', '.join(parts)}."
