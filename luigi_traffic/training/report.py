"""The report of a training: one HTML file that needs nothing beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from luigi_traffic.training import charts
from luigi_traffic.training.baselines import Persistence
from luigi_traffic.training.evaluate import Evaluation
from luigi_traffic.training.fit_result import Fit
from luigi_traffic.training.forecaster import Forecaster
from luigi_traffic.training.metrics import CONGESTED_SHARE, MEAN, reported
from luigi_traffic.training.scores import (
    HIGHER_IS_BETTER,
    MEASURES,
    MODEL,
    PERSISTENCE,
    baseline_wins,
    horizon,
    shown,
    step_horizon,
    win_lines,
    win_title,
)
from luigi_traffic.training.series import Series

#: Links drawn against their actual values.
DRAWN_LINKS = 4
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


@dataclass(frozen=True)
class Origin:
    """What the model is made of, as the caller knows it."""

    partition_id: str
    gold_digest: str
    """Hash over the gold partition ids that the model saw."""
    days: tuple[str, ...]
    """ISO dates in gold, in order."""
    absent_days: Mapping[str, str] = field(default_factory=dict)
    """Days of the window that the source did not have → reason."""
    decision: str = ""
    """Champion or not, and why, as `champion.Decision.reason`; empty where not decided yet."""
    sources: Mapping[str, str] = field(default_factory=dict)
    """Anything else worth a row, name → text."""


def write_report(
    path: Path,
    origin: Origin,
    fit: Fit,
    evaluation: Evaluation,
    forecaster: Forecaster,
    series: Series,
) -> Path:
    """Write the report to `path` and return it. Equal inputs give equal bytes."""
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    bundle = forecaster.bundle
    unit, seconds = bundle.unit, int(series.interval.total_seconds())
    wins = baseline_wins(evaluation.scores, seconds)
    steps = np.arange(1, forecaster.output_steps + 1) * seconds / 60
    title = f"{bundle.model.name} on {bundle.dataset}"
    drawings = {
        "learning": charts.learning_curve(fit.history, fit.best_epoch, unit),
        "by_step": charts.lines(
            steps.tolist(), evaluation.by_step, "minutes ahead", f"MAE, {unit}", "step"
        ),
        "by_hour": charts.lines(
            [float(hour) for hour in range(24)],
            evaluation.by_hour,
            "hour of day of the target",
            f"MAE, {unit}",
            "hour",
            ticks=range(0, 24, 3),
        ),
    }
    chosen, date, panels = _days_drawn(forecaster, series, fit.split.test)
    if panels:
        drawings["day"] = charts.day(panels, unit)
    loader = PackageLoader("luigi_traffic.training", "")
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    html = environment.get_template("report.html.jinja").render(
        title=title,
        unit=unit,
        target=bundle.target,
        facts=_facts(origin, fit, evaluation, forecaster, series),
        decision=origin.decision[:1].upper() + origin.decision[1:],
        columns=[step_horizon(step, seconds) for step in evaluation.scores[MODEL]],
        tables=_tables(evaluation, unit),
        verdict=_verdict(evaluation, unit),
        wins_title=win_title(wins),
        wins=win_lines(wins),
        link_rows=_link_rows(forecaster.links(series), evaluation),
        drawings={name: Markup(svg) for name, svg in drawings.items()},  # noqa: S704 - ours
        date=date,
        links=chosen,
        congested=f"{CONGESTED_SHARE:.0%}" if np.isfinite(bundle.free_flow).any() else "",
        config=[
            (name, "not set" if value is None else value)
            for name, value in sorted(bundle.config.model_dump(mode="json").items())
        ],
        absent=sorted(origin.absent_days.items()),
        best_epoch=fit.best_epoch,
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(html, encoding="utf-8")
    return path


def stored(network: torch.nn.Module) -> str:
    """What is stored of a network, for example "117,868 parameters (0.4 MiB)".

    What is fitted in one go lies in buffers. Numbers that are no fractions are not counted as
    parameters, such as the bytes of a text; all of them take space.
    """
    state = network.state_dict().values()
    numbers = sum(value.numel() for value in state if value.is_floating_point())
    size = sum(value.numel() * value.element_size() for value in state)
    return f"{numbers:,} parameters ({size / 2**20:.1f} MiB)"


def _facts(
    origin: Origin, fit: Fit, evaluation: Evaluation, forecaster: Forecaster, series: Series
) -> list[tuple[str, str]]:
    bundle = forecaster.bundle
    days = origin.days
    kind = "(window, link) pairs" if fit.per_link else "windows"
    observed = float(np.mean(~np.isnan(series.actual)))
    span = f"{len(days)} days, {days[0]} to {days[-1]}" if days else "no days"
    resumed = f", resumed at epoch {fit.resumed_at}" if fit.resumed_at else ""
    stopped = ", stopped early" if fit.stopped_early else ""
    return [
        ("Model", f"{bundle.model.name} {bundle.model.version}, {stored(bundle.network)}"),
        (
            "Dataset",
            f"{bundle.dataset}: {len(series.links):,} links every "
            f"{horizon(series.interval.total_seconds())}",
        ),
        ("Target", f"{bundle.target}, {bundle.unit}" if bundle.unit else bundle.target),
        ("Days", span + (f"; {len(origin.absent_days)} absent" if origin.absent_days else "")),
        ("Observed", f"{observed:.1%} of all link intervals"),
        (
            "Training",
            f"{len(fit.history)} epochs, the best was {fit.best_epoch}{stopped}{resumed}; "
            f"{fit.seconds:,.0f} s on {fit.device}",
        ),
        ("Forecasts", _forecasting(fit)),
        (
            "Seen",
            f"{fit.samples_seen:,} of {fit.samples_total:,} training {kind} "
            f"({fit.samples_seen / fit.samples_total:.1%}), {fit.samples_drawn:,} drawn",
        ),
        (
            "Hold-out",
            f"{evaluation.windows:,} of {evaluation.windows_total:,} windows "
            f"({evaluation.windows / evaluation.windows_total:.0%}), targets from "
            f"{evaluation.first_target} to {evaluation.last_target}; "
            f"{evaluation.scores[MODEL][MEAN]['count']:,} observed values of "
            f"{bundle.target} scored",
        ),
        ("Gold", f"digest {origin.gold_digest}"),
        ("Partition id", origin.partition_id),
        *((name, text) for name, text in origin.sources.items()),
    ]


def _forecasting(fit: Fit) -> str:
    if fit.refit is None:
        return "come from the network that is scored here"
    return (
        "come from the same network trained once more on all windows, "
        f"{fit.refit.epochs} epochs in {fit.refit.seconds:,.0f} s; the one that is scored here did "
        "not see the hold-out"
    )


def _tables(evaluation: Evaluation, unit: str) -> list[dict[str, Any]]:
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


def _link_rows(links: Sequence[str], evaluation: Evaluation) -> list[tuple[str, str, str]]:
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


def _verdict(evaluation: Evaluation, unit: str) -> str:
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


def _days_drawn(
    forecaster: Forecaster, series: Series, test: range
) -> tuple[
    list[str], str, list[tuple[str, NDArray[Any], NDArray[Any], dict[str, NDArray[Any]], float]]
]:
    """The hold-out's day whose targets vary most, four of its links, and their forecasts.

    Links are taken from the most variable down to the median one, so that the picture is
    neither of the calmest nor of one incident that neighbours share.
    """
    t_in, t_out = forecaster.input_steps, forecaster.output_steps
    per_day = series.steps_per_day
    rows = np.arange(test.start + t_in + t_out - 1, test.stop + t_in + t_out - 1)
    day_of_row = series.timestamps[rows].astype("datetime64[D]")
    days, counts = np.unique(day_of_row, return_counts=True)
    whole = days[counts == per_day]
    candidates = whole if len(whole) else days[[int(np.argmax(counts))]]
    # Variance a day and link; links with less than half of the day observed are not drawn.
    variance = np.full((len(candidates), len(series.links)), -1.0)
    for index, date in enumerate(candidates):
        part = series.actual[rows[day_of_row == date]]
        good = (~np.isnan(part)).mean(axis=0) > 0.5
        if good.any():
            variance[index, good] = np.nanvar(part[:, good], axis=0)
    best = int(np.argmax(np.maximum(variance, 0).sum(axis=1)))
    order = np.argsort(-variance[best], kind="stable")
    order = order[variance[best, order] >= 0]
    if not len(order):
        return [], "", []
    last_rank = min(len(order) - 1, max(len(order) // 2, DRAWN_LINKS - 1))
    ranks = np.unique(np.linspace(0, last_rank, DRAWN_LINKS).round().astype(int))
    links = [series.links[order[rank]] for rank in ranks]

    rows = rows[day_of_row == candidates[best]]
    drawn = series.aligned(links) if forecaster.bundle.model.per_link else series
    names = forecaster.links(drawn)
    ahead = sorted({reported(t_out)[0], t_out})
    # Row r at step s is forecast by the window that begins t_in + s - 1 rows earlier.
    forecasts = {step: forecaster.predict(drawn, rows - t_in - step + 1) for step in ahead}
    unseen = np.full(len(series.links), np.nan, dtype=np.float32)
    persistence = Persistence.of(series, t_in, t_out, unseen).predict(rows - t_in - t_out + 1)
    hours = series.slot_of_day[rows] * 24 / per_day
    seconds = series.interval.total_seconds()
    panels = []
    for link in links:
        at, own = names.index(link), series.links.index(link)
        trained = forecaster.bundle.links.index(link) if link in forecaster.bundle.links else None
        flow = forecaster.bundle.free_flow[trained] if trained is not None else np.nan
        lines = {
            f"model, {horizon(step * seconds)} ahead": forecasts[step][:, step - 1, at]
            for step in ahead
        }
        lines[f"persistence, {horizon(t_out * seconds)} ahead"] = persistence[:, -1, own]
        limit = float(CONGESTED_SHARE * flow)
        panels.append((f"link {link}", hours, series.actual[rows, own], lines, limit))
    return links, str(candidates[best]), panels
