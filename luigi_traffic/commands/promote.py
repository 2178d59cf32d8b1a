"""`luigi-traffic promote`: let a version of a model be champion, whatever the comparison said."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from luigi_traffic.commands.models import model_name
from luigi_traffic.commands.output import Row, text
from luigi_traffic.errors import DataError, did_you_mean
from luigi_traffic.project import Project

if TYPE_CHECKING:
    from rich.console import Console

    from luigi_traffic.training.registry import Registered


def promote(project: Project, dataset: str, version: str, target: str, reason: str) -> Row:
    """Give a registered version the alias `champion`, if it can forecast here.

    target  the measure that it forecasts, empty for the dataset's own
    reason  kept beside the version in MLflow

    Raises `SettingsError` for an unknown dataset or target, `DataError` if there is no such version
    or its files are not those that were registered, `PluginError` if its plugin is not installed in
    the version that trained it. Then the alias stays where it is.
    """
    from luigi_traffic.training.alias import Alias

    name, _ = model_name(project, dataset, target)
    chosen = able_to_forecast(project, name, version)
    alias = Alias(project.warehouse, project.settings.tracking_uri, name)
    before = alias.promote(chosen, reason)
    return {"name": name, "version": version, "before": before, "reason": reason}


def able_to_forecast(project: Project, name: str, version: str) -> Registered:
    """That version, if its files are whole and its plugin is the one that trained it.

    Raises `DataError` or `PluginError` that says what is wrong.
    """
    from luigi_traffic.training import registry
    from luigi_traffic.training.bundle import Bundle

    uri = project.settings.tracking_uri
    known = registry.versions(uri, name)
    if version not in known:
        there = did_you_mean(version, known) or f" There are {', '.join(known) or 'none yet'}."
        raise DataError(f"there is no version {version!r} of {name} in MLflow.{there}")
    chosen = registry.get_version(uri, name, version)
    if registry.DIGEST not in chosen.tags:
        raise DataError(f"version {version} of {name} was not registered by luigi_traffic")
    with tempfile.TemporaryDirectory(prefix="luigi-traffic-champion-") as scratch:
        folder = registry.load_version(uri, name, version, Path(scratch))
        Bundle.load(folder, project.plugins.model, expected=chosen.tags[registry.DIGEST])
    return chosen


def draw(row: Row, console: Console) -> None:
    """Who forecasts from now on, and how to take it back."""
    name, before = row["name"], row["before"]
    if before == row["version"]:
        console.print(text(f"version {before} of {name} is the champion already"))
        return
    was = f"; before it was version {before}" if before else ""
    console.print(
        text(
            f"version {row['version']} of {name} is champion now{was}. Days whose forecast is "
            "published stay as they are."
        )
    )
