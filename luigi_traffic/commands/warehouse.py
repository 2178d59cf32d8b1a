"""The warehouse for commands that read: they create none where none was."""

from __future__ import annotations

from typing import TYPE_CHECKING

from luigi_traffic.errors import SettingsError
from luigi_traffic.project import current

if TYPE_CHECKING:
    from luigi_traffic.warehouse.connection import Warehouse


def is_new() -> bool:
    """Whether no run has ever been made here: the embedded database does not exist."""
    embedded = current().settings.warehouse.kind == "embedded"
    return embedded and not (current().home / "postgres" / "server.json").exists()


def nothing_yet() -> str:
    """What to tell where there is nothing to show."""
    run = "Run the pipeline (luigi --module luigi_traffic.run FullPipeline --local-scheduler)"
    if current().settings.lake.kind == "s3":
        return (
            f"Nothing is in {current().store.describe()} yet. {run}, or choose another lake by "
            "lake.*."
        )
    return (
        f"Nothing is in {current().home} yet: no pipeline has run with this home. {run}, or set "
        "LUIGI_TRAFFIC_HOME to the right home."
    )


def warehouse() -> Warehouse:
    """The warehouse. Raises `SettingsError` where `is_new`."""
    if is_new():
        raise SettingsError(nothing_yet())
    return current().warehouse


def reader() -> Warehouse:
    """As `warehouse`, for questions of the user: if it is embedded, as a role that only reads."""
    if is_new():
        raise SettingsError(nothing_yet())
    return current().reader
