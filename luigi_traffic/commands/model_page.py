"""`luigi-traffic models DATASET VERSION`: all that is known of one registered version."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from luigi_traffic.commands import models
from luigi_traffic.commands.output import Row, text
from luigi_traffic.commands.status_models import errors_by_horizon
from luigi_traffic.commands.status_page import draw_errors
from luigi_traffic.errors import DataError, PluginError, did_you_mean
from luigi_traffic.project import Project
from luigi_traffic.training.scores import baseline_wins

if TYPE_CHECKING:
    from rich.console import Console

    from luigi_traffic.warehouse.ledger import LedgerRow


def row(project: Project, dataset: str, target: str, version: str) -> Row:
    """That version's row of the list, and more; what is not known of it is None.

    config         key → value, of the hyperparameters that differ from the model's defaults; all of
                   them if its plugin is not installed in the version that trained it
    absent_days    days of its window that are left out
    fit_span       first and last interval that it was fitted on
    scores         forecaster → step → measure → error, of its hold-out
    errors         forecaster → horizon → MAE; `baseline_wins` where a baseline is better
    changes        of the alias that it got or lost, the oldest first: at, before, version, kind,
                   reason, who

    Raises as `models.rows`, and `DataError` if there is no such version.
    """
    found = {one["version"]: one for one in models.rows(project, dataset, target)}
    if version not in found:
        name, _ = models.model_name(project, dataset, target)
        there = did_you_mean(version, found) or f" There are {', '.join(found) or 'none yet'}."
        raise DataError(f"there is no version {version!r} of {name} in MLflow.{there}")
    one = found[version]
    trained = models.trained_rows(project, dataset, one["name"]).get(version)
    return one | {
        "run": f"{one['run_id']} of experiment {one['name']}" if one["run_id"] else None,
        "fit_span": _fit_span(project, one),
        "changes": _changes(project, one),
        **_of_training(project, one, trained),
    }


def _of_training(project: Project, one: Row, trained: LedgerRow | None) -> Row:
    if trained is None:
        names = ("config", "absent_days", "scores", "errors", "baseline_wins", "report")
        return dict.fromkeys(names)
    details, scores = trained.details, trained.details["scores"]
    seconds = details["interval_seconds"]
    return {
        "config": _changed(project, one, trained.recipe["config"]),
        "absent_days": _absent(trained),
        "scores": scores,
        "errors": errors_by_horizon(scores, seconds),
        "baseline_wins": [asdict(win) for win in baseline_wins(scores, seconds)],
        "report": details["report"],
    }


def _changed(project: Project, one: Row, config: Mapping[str, Any]) -> dict[str, Any]:
    try:
        model = project.plugins.model(one["model"])
    except PluginError:
        return dict(config)
    if str(model.version) != str(one["model_version"]):
        return dict(config)
    defaults = model.Config().model_dump(mode="json")
    return {key: v for key, v in config.items() if key not in defaults or defaults[key] != v}


def _absent(trained: LedgerRow) -> list[str] | None:
    """Days of its window that are no inputs; None if an earlier version did not keep the window."""
    if "window" not in trained.recipe:
        return None
    first, last = (date.fromisoformat(day) for day in trained.recipe["window"])
    window = [str(first + timedelta(days=n)) for n in range((last - first).days + 1)]
    there = {i.part for i in trained.inputs}
    return [day for day in window if day not in there]


def _fit_span(project: Project, one: Row) -> dict[str, str] | None:
    """None if its files are lost, not ours, or of an earlier version, which does not say."""
    if one["partition_id"] is None:
        return None
    from luigi_traffic.training.bundle import CARD
    from luigi_traffic.training.registry import ModelLost, load_version

    with tempfile.TemporaryDirectory(prefix="luigi-traffic-model-") as scratch:
        try:
            folder = load_version(
                project.settings.tracking_uri, one["name"], one["version"], Path(scratch)
            )
        except ModelLost:
            return None
        span: dict[str, str] | None = json.loads((folder / CARD).read_bytes()).get("fit_span")
        return span


def _changes(project: Project, one: Row) -> list[Row]:
    from luigi_traffic.training.alias import Alias

    alias = Alias(project.warehouse, project.settings.tracking_uri, one["name"])
    keys = ("at", "before", "version", "kind", "reason", "who")
    return [
        {key: getattr(change, key) for key in keys}
        for change in alias.history()
        if one["version"] in (change.before, change.version)
    ]


def draw(row: Row, console: Console) -> None:
    """Line by line, then the errors."""
    holds = f", {row['alias']}" if row["alias"] else ""
    console.print(text(f"{row['name']}, version {row['version']}{holds}", "bold"))
    if row["problem"]:
        console.print(text(f"cannot forecast here: {row['problem']}", "yellow"))
    for key, value in _lines(row):
        # Never broken over lines: ids and paths are there to be copied.
        console.print(text(f"{key:<14}{value}"), soft_wrap=True)
    for change in row["changes"]:
        console.print(text(_told(row["version"], change)), soft_wrap=True)
    if row["errors"]:
        console.print(text(f"MAE on the hold-out, {row['unit']}", "bold"))
        draw_errors({**row, "mae": row["errors"]}, console)


def _lines(row: Row) -> list[tuple[str, str]]:
    span, absent, config = row["fit_span"], row["absent_days"], row["config"]
    model = " ".join(str(row[key]) for key in ("model", "model_version") if row[key])
    gold = f"{row['first_day']} to {row['last_day']}, {row['days']} of these days have gold"
    lines = [
        ("model", model or None),
        ("forecasts", row["target"] and f"{row['target']} in {row['unit']}"),
        ("registered", f"{row['registered_at']:%Y-%m-%d %H:%M} UTC"),
        ("decision", row["decision"]),
        ("published", f"its forecasts of {models.count(row['published_days'])}"),
        ("trained on", row["days"] and gold),
        ("absent days", None if absent is None else ", ".join(absent) or "none"),
        ("fitted on", span and f"{span['first']} to {span['last']}, with validation"),
        ("configuration", None if config is None else _settings(config)),
        ("gold digest", row["gold_digest"]),
        ("partition id", row["partition_id"]),
        ("MLflow run", row["run"]),
        ("report", row["report"]),
    ]
    return [(key, "not known" if value is None else str(value)) for key, value in lines]


def _told(version: str, change: Row) -> str:
    """A change of the alias, as the version that got it or lost it sees it."""
    if change["version"] == version:
        what = "became champion" + (f" after {change['before']}" if change["before"] else "")
    else:
        what = f"gave way to {change['version']}" if change["version"] else "lost the alias"
    at = f"{change['at']:%Y-%m-%d %H:%M} UTC" if change["at"] else "not recorded yet"
    return f"{what:<24}{at}, {change['kind']} by {change['who']}: {change['reason']}"


def _settings(config: Mapping[str, Any]) -> str:
    return ", ".join(f"{key}: {json.dumps(v)}" for key, v in config.items()) or "the defaults"
