"""`luigi-traffic doctor`: what is wrong with this machine or these settings, and what to do."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from luigi_traffic.commands.doctor import clocks, lock_table, machine, reach, servers
from luigi_traffic.commands.doctor.finding import NOTE, OK, PROBLEM, Finding, Problem
from luigi_traffic.commands.doctor.side_by_side import Named, together
from luigi_traffic.commands.output import Row, text
from luigi_traffic.errors import TrafficError, missing_extra
from luigi_traffic.project import Project
from luigi_traffic.settings.reading import unread

if TYPE_CHECKING:
    from rich.console import Console


def rows(project: Project, deep: bool) -> list[Row]:
    """One row a check: check, state (ok, note, problem), found, todo.

    Servers are asked at the same time, and for 20 s at most. Starts nothing, unless `deep`:
    then the embedded database, a Spark session with a tiny job, and a connection to the
    source of each dataset.
    """
    return [
        {"check": name, "state": f.state, "found": f.found, "todo": f.todo}
        for name, f in _findings(project, deep)
    ]


def _findings(project: Project, deep: bool) -> Iterator[tuple[str, Finding]]:
    # What can be looked at whatever the settings are.
    yield "Python", _run(machine.python)
    yield "disk", _run(partial(machine.disk, project.home))
    yield "home", _run(partial(machine.home_folder, project.home))
    valid = _run(partial(_settings, project))
    yield "settings", valid
    if valid.state == PROBLEM:
        return  # all that follows depends on them
    settings = project.settings
    # Before there are threads: what two ask for at once, is made twice.
    with suppress(TrafficError):  # told below
        _ = project.plugins
    if deep and settings.warehouse.kind == "embedded":
        yield "database", _run(partial(reach.embedded_started, project.home))
    yield "engine", Finding(f"{settings.engine} (compute.engine: {settings.compute.engine})")
    if settings.engine == "duckdb":
        yield "DuckDB", _run(machine.duckdb_package)
    elif not settings.spark.remote:  # else these are the server's concern
        yield "Java", _run(machine.java)
        yield "Spark", _run(machine.spark_jar)
        yield "memory", _run(partial(machine.memory, settings.spark.driver_memory))
    reached: list[Named] = [
        ("lake", partial(reach.lake, project)),
        ("events", partial(reach.events, project)),
        ("warehouse", partial(reach.warehouse, project)),
        *lock_table.lock_checks(project),
        ("MLflow store", partial(reach.tracking, settings.tracking_uri)),
        *(servers.spark(settings.spark) if settings.engine == "spark" else ()),
        *clocks.clock_checks(project),
        *reach.ports(project),
    ]
    yield from together([(name, partial(_run, check)) for name, check in reached])
    yield from ((name, _run(check)) for name, check in reach.plugin_checks(project))
    yield from ((name, _run(check)) for name, check in reach.dataset_checks(project, deep))
    if deep:
        yield f"{settings.engine} job", _run(partial(machine.job, settings))


def _run(check: Callable[[], Finding]) -> Finding:
    try:
        return check()
    except Problem as e:
        return Finding(str(e), PROBLEM, e.todo)
    except TrafficError as e:  # its text says what to do
        return Finding(str(e), PROBLEM)
    except ModuleNotFoundError as e:
        if (missing := missing_extra(e)) is None:
            raise
        return Finding(missing, PROBLEM)


def _settings(project: Project) -> Finding:
    _ = project.settings
    files = [place for place in project.layers.places if place.endswith((".yml", ".yaml"))]
    found = f"valid, profile {project.profile}, {len(files)} files in {project.conf}"
    if not files:
        return Finding(
            f"valid, profile {project.profile}; no settings file in {project.conf}: packaged "
            "defaults",
            NOTE,
            "Run in the folder that contains conf, or set LUIGI_TRAFFIC_CONF to its path.",
        )
    if others := unread(project.conf):
        return Finding(
            f"{found}; these files are never read: {', '.join(str(file) for file in others)}",
            NOTE,
            "Settings of a dataset belong in conf/datasets/<name>.yml, those of a model in "
            "conf/models.",
        )
    return Finding(found, OK)


def draw(rows: Sequence[Row], console: Console) -> None:
    """A line a check, and below a problem what to do."""
    from rich.padding import Padding
    from rich.table import Table

    shown = Table.grid(padding=(0, 2))
    shown.add_column(no_wrap=True)
    shown.add_column(no_wrap=True)
    shown.add_column(overflow="fold")
    styles = {OK: "green", NOTE: "yellow", PROBLEM: "red"}
    for row in rows:
        told = text(row["found"])
        if row["todo"]:
            told.append(f"\n→ {row['todo']}", style="bold")
        shown.add_row(text(row["state"], styles[row["state"]]), text(row["check"]), told)
    console.print(Padding(shown, (0, 0, 1, 0)))
    problems = sum(row["state"] == PROBLEM for row in rows)
    said = f"{problems} problem{'' if problems == 1 else 's'}" if problems else "no problem"
    console.print(said)
