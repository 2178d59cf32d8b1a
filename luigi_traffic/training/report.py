"""The report of a training: one HTML file that needs nothing beside it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import numpy as np

from luigi_traffic.training import charts, drawn_day, page
from luigi_traffic.training.compared_days import ComparedDays
from luigi_traffic.training.evaluate import Evaluation
from luigi_traffic.training.fit_result import Fit
from luigi_traffic.training.forecaster import Forecaster
from luigi_traffic.training.heat_map import HeatMap
from luigi_traffic.training.holdout_coverage import (
    Coverage,
    validation_intervals,
    validation_targets,
)
from luigi_traffic.training.holdout_days import HoldoutDays, days_of
from luigi_traffic.training.holdout_onsets import OnsetSkill
from luigi_traffic.training.link_map import LinkMap
from luigi_traffic.training.metrics import CONGESTED_SHARE
from luigi_traffic.training.onsets import TOLERANCE
from luigi_traffic.training.report_facts import Origin, facts
from luigi_traffic.training.report_tables import link_rows, score_tables, verdict
from luigi_traffic.training.scores import (
    MODEL,
    baseline_wins,
    horizon,
    step_horizon,
    win_lines,
    win_title,
)
from luigi_traffic.training.series import Series


def write_report(
    path: Path,
    origin: Origin,
    fit: Fit,
    evaluation: Evaluation,
    forecaster: Forecaster,
    series: Series,
    level: float = 0.9,
    compared: ComparedDays | None = None,
) -> Path:
    """Write the report to `path` and return it. Equal inputs give equal bytes.

    `level` is the share of the values that an interval should hold; `compared`, the comparison with
    the champion if one was made.
    """
    bundle = forecaster.bundle
    unit, seconds = bundle.unit, int(series.interval.total_seconds())
    wins = baseline_wins(evaluation.scores, seconds)
    days = days_of(series, fit.split.test, forecaster.input_steps, forecaster.output_steps)
    choice = drawn_day.Choice.of(series, days)
    holdout = HoldoutDays.of(forecaster, series, days, choice.links)
    day = holdout.day(choice.rows)
    intervals = validation_intervals(forecaster, series, fit.split, holdout.links, level)
    coverage = Coverage(intervals) if intervals else None
    skill = OnsetSkill.of(holdout)
    for one in holdout:
        skill.add(one)
        if coverage:
            coverage.add(one)
    rival = compared.lines if compared else None
    panels = drawn_day.panels(day, series, choice.links, holdout, intervals, rival)
    heat = HeatMap.of(day, drawn_day.hours(day, series), holdout.links, bundle.context)
    ahead = horizon(forecaster.output_steps * seconds)
    places = LinkMap.of(bundle.context, evaluation.by_link[MODEL])
    html = page.render(
        "report.html.jinja",
        title=f"{bundle.model.name} on {bundle.dataset}",
        verdict=verdict(evaluation, unit),
        unit=unit,
        target=bundle.target,
        facts=facts(origin, fit, evaluation, forecaster, series),
        reason=origin.decision,
        decision=origin.decision[:1].upper() + origin.decision[1:],
        columns=[step_horizon(step, seconds) for step in evaluation.scores[MODEL]],
        score_tables=score_tables(evaluation, unit),
        wins_title=win_title(wins),
        wins=win_lines(wins),
        link_rows=link_rows(forecaster.links(series), evaluation),
        drawings=_drawings(fit, evaluation, unit, seconds),
        date=day.date,
        day=charts.day(panels, unit) if panels else "",
        tolerance=TOLERANCE // timedelta(minutes=1),
        level=f"{100 * level:.3g}%",
        calibrated=validation_targets(forecaster, series, fit.split),
        coverage=coverage.rows(series) if coverage else [],
        compared=compared,
        rival=rival is not None,
        heat=heat,
        heat_drawing=heat.drawing(unit, bundle.target, ahead) if heat else "",
        ahead=ahead,
        map=places,
        map_drawing=places.drawing(unit) if places else "",
        skill=skill,
        looked_at=holdout.said,
        congested=f"{CONGESTED_SHARE:.0%}" if np.isfinite(bundle.free_flow).any() else "",
        config=[
            (name, "not set" if value is None else value)
            for name, value in sorted(bundle.config.model_dump(mode="json").items())
        ],
        best_epoch=fit.best_epoch,
    )
    return page.write(path, html)


def _drawings(fit: Fit, evaluation: Evaluation, unit: str, seconds: int) -> dict[str, str]:
    y = f"MAE, {unit}" if unit else "MAE"
    steps = np.arange(1, len(evaluation.by_step[MODEL]) + 1) * seconds / 60
    return {
        "learning": charts.learning_curve(fit.history, fit.best_epoch, unit),
        "by_step": charts.lines(steps.tolist(), evaluation.by_step, "minutes ahead", y, "step"),
        "by_hour": charts.lines(
            [float(hour) for hour in range(24)],
            evaluation.by_hour,
            "hour of day of the target",
            y,
            "hour",
            ticks=range(0, 24, 3),
        ),
    }
