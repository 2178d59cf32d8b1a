"""`luigi-traffic up` and `down`: luigid and the MLflow UI, and the database of this home."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from luigi_traffic.commands.output import Row, text
from luigi_traffic.processes import services
from luigi_traffic.project import Project

if TYPE_CHECKING:
    from rich.console import Console

_WHAT = {services.LUIGID: "luigid, the scheduler", services.MLFLOW: "MLflow UI"}


def up(project: Project) -> list[Row]:
    """Start what is not up yet; one row a service: name, url, pid, started, log."""
    rows: list[Row] = []
    for name in (services.LUIGID, services.MLFLOW):
        if name == services.MLFLOW and project.settings.tracking_uri.startswith(
            ("http://", "https://")
        ):
            url = project.services.ui_url()
            rows.append({"name": name, "url": url, "pid": None, "started": False, "log": None})
            continue
        service, fresh = project.services.start(name)
        rows.append(
            {
                "name": name,
                "url": service.url,
                "pid": service.pid,
                "port": service.port,
                "started": fresh,
                "log": str(project.services.log_file(name)),
            }
        )
    return rows


def draw_up(rows: Sequence[Row], console: Console) -> None:
    """Addresses, then the command that uses them."""
    for row in rows:
        if row["pid"] is None:
            state = "a separate server, set by tracking.uri"
        else:
            state = f"{'started' if row['started'] else 'was already up'}, process {row['pid']}"
        console.print(text(f"{_WHAT[row['name']]:22} {row['url']}  ({state})"), soft_wrap=True)
    console.print("\nTo start a run that luigid shows:\n")
    console.print(text(f"  {luigi_command(rows)}"), soft_wrap=True)
    console.print("\nTo stop the services: luigi-traffic down")


def luigi_command(rows: Sequence[Row]) -> str:
    """The pipeline's command with luigid instead of --local-scheduler."""
    port = next(row["port"] for row in rows if row["name"] == services.LUIGID)
    default = port == services.DEFAULT_PORTS[services.LUIGID]
    command = "luigi --module luigi_traffic.run FullPipeline"
    return command if default else f"{command} --scheduler-port {port}"


def down(project: Project) -> list[Row]:
    """Stop what this home started; one row a service: name, stopped."""
    rows = [
        {"name": name, "stopped": project.services.stop(name)}
        for name in (services.MLFLOW, services.LUIGID)
    ]
    return [*rows, {"name": "postgresql", "stopped": _stop_database(project.home / "postgres")}]


def _stop_database(folder: Path) -> bool:
    if not (folder / "server.json").exists():
        return False
    from luigi_traffic.processes.postgres.embedded import EmbeddedServer

    return EmbeddedServer(folder).stop()


def draw_down(project: Project, rows: Sequence[Row], console: Console) -> None:
    """What was stopped."""
    names = {"postgresql": "embedded PostgreSQL", "luigid": "luigid", "mlflow": "MLflow UI"}
    stopped = [names[row["name"]] for row in rows if row["stopped"]]
    told = f"stopped: {', '.join(stopped)}" if stopped else "nothing was running"
    console.print(text(f"{told} ({project.home})"), soft_wrap=True)
