"""The warehouse for commands that read: they create none where none was."""

from __future__ import annotations

from typing import TYPE_CHECKING

from luigi_traffic.errors import SettingsError

if TYPE_CHECKING:
    from luigi_traffic.project import Project
    from luigi_traffic.warehouse.connection import Warehouse


def is_new(project: Project) -> bool:
    """Whether no run has ever been made here: the embedded database does not exist."""
    embedded = project.settings.warehouse.kind == "embedded"
    return embedded and not (project.home / "postgres" / "server.json").exists()


def nothing_yet(project: Project) -> str:
    """What to tell where there is nothing to show."""
    run = "Run the pipeline (luigi --module luigi_traffic.run FullPipeline --local-scheduler)"
    if project.settings.lake.kind == "s3":
        return (
            f"Nothing is in {project.store.describe()} yet. {run}, or choose another lake by "
            "lake.*."
        )
    return (
        f"Nothing is in {project.home} yet: no pipeline has run with this home. {run}, or set "
        "LUIGI_TRAFFIC_HOME to the right home."
    )


def existing_warehouse(project: Project) -> Warehouse:
    """The warehouse. Raises `SettingsError` if there is none yet, see `is_new`."""
    if is_new(project):
        raise SettingsError(nothing_yet(project))
    return project.warehouse


def existing_reader(project: Project) -> Warehouse:
    """The same for questions of the user: if it is embedded, as a role that only reads."""
    if is_new(project):
        raise SettingsError(nothing_yet(project))
    return project.reader
