"""Scores of an evaluation, and where a baseline beats the model.

A report and `luigi-traffic status` say the latter first. The scores of the ledger may be of an
earlier version, with other baselines or fewer measures.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

#: Forecaster → step ("3", …, "mean") → measure → error.
Scores = Mapping[str, Mapping[str, Mapping[str, float | None]]]

#: Names of the forecasters in scores.
MODEL, PERSISTENCE, DAY_BEFORE = "model", "persistence", "day before"
HISTORICAL_MEDIAN = "historical median"
#: In the order of tables; the last one is what earlier versions had.
FORECASTERS = (MODEL, PERSISTENCE, DAY_BEFORE, HISTORICAL_MEDIAN, "historical average")
#: Key of a measure in scores → its name.
MEASURES = {"mae": "MAE", "rmse": "RMSE", "mape": "MAPE", "wape": "WAPE", "f1": "F1"}
#: The measures of which more is better.
HIGHER_IS_BETTER = ("f1",)
_PERCENT = ("mape", "wape")
NO_WIN = "No baseline is better than the model at any horizon or measure."


def in_order(scores: Scores) -> list[str]:
    """The forecasters of `scores`: in a ledger row they have no order."""
    known = [name for name in FORECASTERS if name in scores]
    return known + sorted(set(scores) - set(known))


def steps_in_order(steps: Mapping[str, object]) -> list[str]:
    """The keys of `steps`: the steps by their number, then "mean"."""
    return sorted(steps, key=lambda step: (not step.isdigit(), int(step) if step.isdigit() else 0))


@dataclass(frozen=True)
class Win:
    """A horizon and measure at which a baseline is better than the model."""

    horizon: str
    """As `horizon` names it, or "mean" of all steps."""
    measure: str
    """A key of `MEASURES`."""
    baseline: str
    """The best of the baselines."""
    value: float
    """The baseline's score; in the target's unit, in percent, or from 0 to 1 (F1)."""
    model: float
    """The model's."""


def baseline_wins(scores: Scores, interval_seconds: int) -> list[Win]:
    """Every horizon and measure at which a baseline is better, the nearest horizon first."""
    ours = scores[MODEL]
    found = []
    for step in steps_in_order(ours):
        for measure in MEASURES:
            sign = -1 if measure in HIGHER_IS_BETTER else 1
            known = [
                (sign * value, name, value)
                for name, steps in scores.items()
                if (value := steps[step].get(measure)) is not None
            ]
            mine = ours[step].get(measure)
            if mine is not None and (best := min(known))[0] < sign * mine:
                ahead = step_horizon(step, interval_seconds)
                found.append(Win(ahead, measure, best[1], best[2], mine))
    return found


def best_baseline(scores: Scores) -> tuple[str, float] | None:
    """The baseline with the smallest MAE over all steps, and that MAE; None if there is none."""
    known = [(steps["mean"]["mae"], name) for name, steps in scores.items() if name != MODEL]
    mae, name = min(((mae, name) for mae, name in known if mae is not None), default=(None, ""))
    return None if mae is None else (name, mae)


def win_lines(wins: Sequence[Win]) -> list[str]:
    """One line a horizon: "60 min: RMSE (historical median 7.930, model 8.180)"."""
    lines = []
    for ahead, group in groupby(wins, key=lambda win: win.horizon):
        parts = [
            f"{MEASURES[w.measure]} ({w.baseline} {shown(w.measure, w.value)}, "
            f"model {shown(w.measure, w.model)})"
            for w in group
        ]
        lines.append(f"{ahead}: {', '.join(parts)}")
    return lines


def win_title(wins: Sequence[Win]) -> str:
    """The sentence above `win_lines`, or instead of them."""
    return "A baseline is better than the model at:" if wins else NO_WIN


def shown(measure: str, value: float) -> str:
    """A score as tables have it."""
    return f"{value:.2f}" if measure in _PERCENT else f"{value:.3f}"


def step_horizon(step: str, interval_seconds: int) -> str:
    """A step of scores for people: "15 min" for "3", "mean" as it is."""
    return horizon(int(step) * interval_seconds) if step.isdigit() else step


def horizon(seconds: float) -> str:
    """A lead time for people: "15 min", "3 h"."""
    whole_hours = seconds > 3600 and seconds % 3600 == 0
    return f"{seconds / 3600:g} h" if whole_hours else f"{seconds / 60:g} min"
