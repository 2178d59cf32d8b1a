"""`luigi-traffic rollback`: let the version forecast that was champion before."""

from __future__ import annotations

from typing import TYPE_CHECKING

from luigi_traffic.commands.models import model_name
from luigi_traffic.commands.output import Row, text
from luigi_traffic.commands.promote import able_to_forecast
from luigi_traffic.commands.warehouse import existing_warehouse
from luigi_traffic.errors import DataError, PluginError
from luigi_traffic.project import Project

if TYPE_CHECKING:
    from rich.console import Console

    from luigi_traffic.training.registry import Registered


def rollback(project: Project, dataset: str, target: str, reason: str, dry_run: bool) -> Row:
    """Give the alias back to the version that had it before the present champion.

    Raises `DataError` if the history does not name one, or that version cannot forecast here, and
    as `promote` for an unknown dataset or target. Then the alias stays where it is.
    """
    from luigi_traffic.training.alias import Alias, NoVersionBefore

    name, _ = model_name(project, dataset, target)
    option = f" --target {target}" if target else ""
    instead = (
        f"Choose a version yourself: luigi-traffic promote {dataset} VERSION{option} "
        f"(luigi-traffic models {dataset}{option} lists them)."
    )

    def usable(version: str) -> Registered:
        try:
            return able_to_forecast(project, name, version)
        except (DataError, PluginError) as e:
            cause = str(e).rstrip(".")
            raise DataError(
                f"version {version} of {name} was champion before, but it cannot forecast here: "
                f"{cause}. Nothing was changed. {instead}"
            ) from e

    alias = Alias(existing_warehouse(project), project.settings.tracking_uri, name)
    try:
        change, finished = alias.roll_back(reason, usable, dry_run)
    except NoVersionBefore as e:
        holder = f"version {e.holder}" if e.holder else "now"
        raise DataError(
            f"the history of {name} names no champion before {holder}: there was none, or that "
            f"was before luigi_traffic recorded the changes. Nothing was changed. {instead}"
        ) from None
    return {
        "name": name,
        "version": change.version,
        "before": change.before,
        "reason": change.reason,
        "dry_run": dry_run,
        "finished": finished,
    }


def draw(row: Row, console: Console) -> None:
    """Who forecasts from now on, and what stays."""
    version, name = row["version"], row["name"]
    was = f"; before it was version {row['before']}" if row["before"] else ""
    if row["dry_run"] and not row["finished"]:
        now = f" in place of version {row['before']}" if row["before"] else ""
        said = f"version {version} of {name} would be champion again{now}. Nothing was changed."
    elif row["finished"]:
        said = (
            f"version {version} of {name} is champion{was}: a rollback that was interrupted had "
            "got that far. To go further back, run it again."
        )
    else:
        said = f"version {version} of {name} is champion again{was}."
    console.print(text(f"{said} Days whose forecast is published stay as they are."))
