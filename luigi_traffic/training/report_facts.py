"""What a trained model is made of, for its report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import torch

from luigi_traffic.training.evaluate import Evaluation
from luigi_traffic.training.fit_result import Fit
from luigi_traffic.training.forecaster import Forecaster
from luigi_traffic.training.metrics import MEAN
from luigi_traffic.training.scores import MODEL, horizon
from luigi_traffic.training.series import Series


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


def stored(network: torch.nn.Module) -> str:
    """What is stored of a network, for example "117,868 parameters (0.4 MiB)".

    What is fitted in one go lies in buffers. Numbers that are no fractions are not counted as
    parameters, such as the bytes of a text; all of them take space.
    """
    state = network.state_dict().values()
    numbers = sum(value.numel() for value in state if value.is_floating_point())
    size = sum(value.numel() * value.element_size() for value in state)
    return f"{numbers:,} parameters ({size / 2**20:.1f} MiB)"


def facts(
    origin: Origin, fit: Fit, evaluation: Evaluation, forecaster: Forecaster, series: Series
) -> list[tuple[str, str]]:
    """What the model is made of, name → text."""
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
        *(("Absent", f"{day}: {reason}") for day, reason in sorted(origin.absent_days.items())),
    ]


def _forecasting(fit: Fit) -> str:
    if fit.refit is None:
        return "come from the network that is scored here"
    return (
        "come from the same network trained once more on all windows, "
        f"{fit.refit.epochs} epochs in {fit.refit.seconds:,.0f} s; the one that is scored here did "
        "not see the hold-out"
    )
