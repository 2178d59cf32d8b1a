"""What `luigi-traffic status` tells of models: errors beside the baselines', and the decision."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict

from luigi_traffic.commands.output import Row
from luigi_traffic.commands.trained_model import Trained
from luigi_traffic.training.scores import (
    Scores,
    baseline_wins,
    in_order,
    step_horizon,
    steps_in_order,
)


def model_rows(trained: Iterable[Trained]) -> list[Row]:
    """One row a model, the newest last.

    `target` is the measure that it forecasts; `mae` is forecaster → horizon ("15 min", …, "mean")
    → MAE in `unit`, of the forecasters that it was scored with when it was trained;
    `baseline_wins` where one of them was better, by any measure; `windows_seen` the share of the
    training samples that were seen at all.
    """
    newest_last = sorted(trained, key=lambda t: str(t.row.committed_at))
    return [_row(one) for one in newest_last]


def _row(trained: Trained) -> Row:
    row, details = trained.row, trained.row.details
    why = trained.stale()
    samples, scores, seconds = details["samples"], details["scores"], details["interval_seconds"]
    days = [i.part for i in row.inputs]
    return {
        "kind": "model",
        "dataset": row.dataset,
        "model": details["model"],
        "target": trained.target,
        "version": details["version"],
        "state": "stale" if why else "done",
        "complete": why is None,
        "reason": why,
        "partition_id": row.partition_id,
        "first_day": min(days),
        "last_day": trained.last_day,
        "days": len(days),
        "unit": details["unit"],
        "mae": errors_by_horizon(scores, seconds),
        "baseline_wins": [asdict(win) for win in baseline_wins(scores, seconds)],
        "windows_seen": samples["seen"] / samples["total"] if samples["total"] else None,
        "windows": samples["total"],
        "epochs": details["epochs"],
        "device": details["device"],
        "seconds": details["seconds"],
        "promoted": details["promoted"],
        "decision": details["decision"],
        "report": details["report"],
        "run_id": details["run_id"],
        "committed_at": row.committed_at,
    }


def errors_by_horizon(scores: Scores, interval_seconds: int) -> dict[str, dict[str, float | None]]:
    """Forecaster, with "_" for blanks → horizon ("15 min", …, "mean") → MAE."""
    return {
        name.replace(" ", "_"): {
            step_horizon(s, interval_seconds): scores[name][s]["mae"]
            for s in steps_in_order(scores[name])
        }
        for name in in_order(scores)
    }
