"""What `luigi-traffic status` tells of models: errors beside the baselines', and the decision."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from luigi_traffic.commands.output import Row
from luigi_traffic.commands.trained_model import Trained

#: Key of a row → forecaster in the details of a model's ledger row.
FORECASTERS = {
    "model": "model",
    "persistence": "persistence",
    "historical_average": "historical average",
}


def model_rows(trained: Iterable[Trained]) -> list[Row]:
    """One row a model, the newest last.

    `target` is the measure that it forecasts; `mae` is forecaster → horizon ("15 min", …, "mean")
    → MAE in `unit`; `windows_seen` the share of the training samples that were seen at all.
    """
    newest_last = sorted(trained, key=lambda t: str(t.row.committed_at))
    return [_row(one) for one in newest_last]


def _row(trained: Trained) -> Row:
    row, details = trained.row, trained.row.details
    why = trained.stale()
    samples = details["samples"]
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
        "mae": {
            key: _errors(details["scores"][name], details["interval_seconds"])
            for key, name in FORECASTERS.items()
        },
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


def _errors(steps: dict[str, dict[str, Any]], interval_seconds: int) -> dict[str, float | None]:
    numbered = sorted(int(step) for step in steps if step.isdigit())
    found = {horizon(n * interval_seconds): steps[str(n)]["mae"] for n in numbered}
    return found | {step: steps[step]["mae"] for step in steps if not step.isdigit()}


def horizon(seconds: int) -> str:
    """A lead time for people: "15 min", "3 h"."""
    whole_hours = seconds > 3600 and seconds % 3600 == 0
    return f"{seconds // 3600} h" if whole_hours else f"{seconds / 60:g} min"
