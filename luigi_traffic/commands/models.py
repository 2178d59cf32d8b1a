"""`luigi-traffic models`: every registered version of a dataset's model, the newest first."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from luigi_traffic.commands.output import Row, table, text
from luigi_traffic.commands.warehouse import is_new
from luigi_traffic.errors import PluginError
from luigi_traffic.project import Project
from luigi_traffic.training.scores import MODEL, Scores, best_baseline

if TYPE_CHECKING:
    from rich.console import Console

    from luigi_traffic.training.registry import Listed
    from luigi_traffic.warehouse.ledger import LedgerRow

#: Where a reason of a decision becomes long: what stands before says what was decided.
_LONG = re.compile(r"[;(]|\. |, since | that neither ")


def model_name(project: Project, dataset: str, target: str) -> tuple[str, str]:
    """The name of the registered model, and its target: empty for the dataset's own.

    Raises `PluginError` for an unknown dataset, `SettingsError` for an unknown target.
    """
    from luigi_traffic.targets.training import other_target
    from luigi_traffic.training.registry import registered_name

    plugin = project.plugins.dataset(dataset)
    other = other_target(plugin, plugin.measure_to_forecast(target, "--target"))
    return registered_name(plugin.name, other), other


def rows(project: Project, dataset: str, target: str) -> list[Row]:
    """One row a version, whoever registered it; what is not known of it is None.

    alias            "champion" or None
    model            name of the plugin's model; `model_version` is the plugin's when it trained
    first_day, last_day, days   of gold that it was trained on
    mae              on its hold-out, over all steps; `baseline` is the best one, `baseline_mae` its
    decision         of its training, in full; `short` in a few words
    published_days   number of days whose published forecast is its own
    gold_digest      hash over the ids of the gold that it saw
    problem          why it cannot forecast here; None if it can

    Raises as `model_name`, and `StoreError` if MLflow or the warehouse does not answer.
    """
    name, other = model_name(project, dataset, target)
    if is_new(project):
        return []
    from luigi_traffic.training import registry
    from luigi_traffic.warehouse import published

    uri = project.settings.tracking_uri
    holder = registry.champion(uri, name)
    trained = trained_rows(project, dataset, name)
    with project.warehouse.connect() as connection:
        days = published.days_by_version(connection, dataset, other)
    return [
        {
            "name": name,
            "version": one.version,
            "alias": registry.CHAMPION if holder and holder.version == one.version else None,
            **_facts(uri, one, trained.get(one.version)),
            "registered_at": one.registered_at,
            "published_days": days.get(one.version, 0),
            "problem": problem(project, name, one, trained.get(one.version)),
            "run_id": one.run_id or None,
            "partition_id": one.tags.get(registry.PARTITION_ID),
            "gold_digest": one.tags.get("gold_ids_digest"),
        }
        for one in registry.listed(uri, name)
    ]


def trained_rows(project: Project, dataset: str, name: str) -> dict[str, LedgerRow]:
    """Version → its training's row of the ledger, also of one that counts no more."""
    from luigi_traffic.warehouse import ledger

    with project.warehouse.connect() as connection:
        found = ledger.every(connection, "model", dataset)
    return {row.details["version"]: row for row in found if row.details["name"] == name}


def problem(project: Project, name: str, one: Listed, row: LedgerRow | None) -> str | None:
    """Why that version cannot forecast here, None if nothing is known to be wrong."""
    from luigi_traffic.training import registry

    if not {"model", registry.DIGEST, registry.PARTITION_ID} <= one.tags.keys():
        return "it was not registered by luigi_traffic"
    if not registry.has_bundle(project.settings.tracking_uri, name, one.version):
        return "its files are missing from MLflow"
    try:
        installed = project.plugins.model(one.tags["model"]).version
    except PluginError as e:
        return str(e).splitlines()[0]
    if row and str(row.recipe["version"]) != str(installed):
        return (
            f"it was trained by {one.tags['model']} {row.recipe['version']}, but {installed} is "
            "installed"
        )
    return None


def _facts(uri: str, one: Listed, row: LedgerRow | None) -> Row:
    """What a training has recorded: in the ledger, or else in MLflow."""
    if row is None:
        return _facts_of_run(uri, one)
    details = row.details
    days = [i.part for i in row.inputs if i.stage == "gold"]
    return {
        "model": details["model"],
        "model_version": row.recipe["version"],
        "first_day": min(days),
        "last_day": max(days),
        "days": len(days),
        "target": row.recipe.get("target", "speed"),
        "unit": details["unit"],
        **_errors(details["scores"]),
        **_decision(details["decision"]),
    }


def _facts_of_run(uri: str, one: Listed) -> Row:
    """Of a version that the ledger does not know: by hand, or of a run that was killed."""
    from luigi_traffic.training import registry
    from luigi_traffic.training.champion import recorded_in

    found = registry.run_of(uri, one.run_id) if one.run_id else None
    params, metrics = found or ({}, {})
    ends = "_mae_mean"
    scores: Scores = {
        key.removesuffix(ends).replace("_", " "): {"mean": {"mae": value}}
        for key, value in metrics.items()
        if key.endswith(ends)
    }
    # Somebody else's tag of that name is not ours to read.
    decision = recorded_in(one.tags) if registry.DIGEST in one.tags else None
    return {
        "model": one.tags.get("model"),
        "model_version": params.get("model_version"),
        "first_day": params.get("first_day"),
        "last_day": params.get("last_day"),
        "days": int(params["days"]) if "days" in params else None,
        "target": params.get("target"),
        "unit": None,
        **_errors(scores),
        **_decision(decision.reason if decision else None),
    }


def _errors(scores: Scores) -> Row:
    baseline, mae = best_baseline(scores) or (None, None)
    ours: Mapping[str, Any] = scores.get(MODEL, {}).get("mean", {})
    return {"mae": ours.get("mae"), "baseline": baseline, "baseline_mae": mae}


def _decision(reason: str | None) -> Row:
    return {"decision": reason, "short": reason and _LONG.split(reason)[0].strip()}


def draw(rows: Sequence[Row], console: Console, name: str) -> None:
    """A table; below it, what was decided, and what is wrong with those that cannot forecast."""
    if not rows:
        console.print(text(f"No version of {name} is registered yet: no training has ended."))
        return
    unit = next((row["unit"] for row in rows if row["unit"]), "")
    shown = table(
        "version", "model", "trained on", f"MAE{', ' if unit else ''}{unit}", "best baseline",
        "published", "registered",
        right=("version", "published"), title=name,
    )  # fmt: skip
    for row in rows:
        baseline = f"{_number(row['baseline_mae'])} {row['baseline'] or ''}"
        shown.add_row(
            text(f"{row['alias'] or ''} {row['version']}".strip()),
            text(" ".join(str(row[k]) for k in ("model", "model_version") if row[k]) or "unknown"),
            text(_window(row)),
            text(_number(row["mae"])),
            text(baseline.strip()),
            text(count(row["published_days"])),
            text(f"{row['registered_at']:%Y-%m-%d}"),
        )
    console.print(shown)
    console.print()
    for row in rows:
        said = row["short"] or "no decision of a training is known"
        console.print(text(f"version {row['version']}: {said}"))
        if row["problem"]:
            console.print(text(f"  It cannot forecast here: {row['problem']}", "yellow"))


def _window(row: Row) -> str:
    if row["first_day"] is None:
        return "unknown"
    days = f" ({count(row['days'])})" if row["days"] else ""
    return f"{row['first_day']} to {row['last_day']}{days}"


def count(days: int) -> str:
    """A number of days in words."""
    return f"{days} day{'' if days == 1 else 's'}"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"
