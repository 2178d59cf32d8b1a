"""Checks of the parts: is each reachable, does it do what the pipeline needs of it."""

from __future__ import annotations

import os
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from luigi_traffic.api.builtin_sources import without_credentials
from luigi_traffic.api.settled import last_settled_day
from luigi_traffic.commands.doctor import servers
from luigi_traffic.commands.doctor.finding import NOTE, PROBLEM, Finding, Problem
from luigi_traffic.commands.settings import masked
from luigi_traffic.commands.warehouse import is_new
from luigi_traffic.errors import SourceAbsent, TrafficError
from luigi_traffic.lake.attempt import Attempt
from luigi_traffic.plugins.isolation import Found
from luigi_traffic.plugins.loading import Plugins
from luigi_traffic.processes import services
from luigi_traffic.processes.postgres.postmaster import port_is_free
from luigi_traffic.project import Project
from luigi_traffic.targets.stage_settings import dataset_for

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection

    from luigi_traffic.lake.store import ObjectStore
    from luigi_traffic.warehouse.dsn import Dsn

Check = Callable[[], Finding]


def lake(project: Project) -> Finding:
    """Whether objects can be written, and created only where there is none: the commit."""
    store = _store(project)
    # An attempt, so that gc finds what a doctor that was killed has left.
    attempt = Attempt.fresh("raw", "_doctor", datetime.now(UTC).date())
    key = attempt.key("probe")
    try:
        first, second = store.create(key, b"1"), store.create(key, b"2")
        kept = store.read(key)
        store.delete(attempt, [key])
    except OSError as e:
        raise Problem(
            f"{store.describe()} cannot be written: {e}",
            "Set lake.path to a folder that you can write to.",
        ) from e
    except KeyError as e:
        raise Problem(
            f"{store.describe()} does not have what was just written",
            "The pipeline needs a store that shows a new object immediately.",
        ) from e
    if not first or second or kept != b"1":
        raise Problem(
            f"{store.describe()} overwrites an object that it should create only if it does not "
            "exist",
            "Commits need this: put the lake on a store or file system that honours it.",
        )
    return Finding(f"{store.describe()}: writable, conditional create works")


def _store(project: Project) -> ObjectStore:
    chosen = project.settings.lake
    if chosen.kind != "s3":
        return project.store
    address = urlsplit(chosen.endpoint)
    servers.knock(address.netloc, "lake.endpoint", 443 if address.scheme == "https" else 80)
    from luigi_traffic.lake.s3 import S3Store

    return S3Store(chosen, patience_s=servers.TIMEOUT_S)


def events(project: Project) -> Finding:
    """Whether announcements can be appended."""
    if project.settings.events.kind == "kafka":
        return servers.kafka(project)
    folder = project.home / "events"
    place = folder
    while not place.exists():
        place = place.parent
    logs = sorted(folder.glob("*.jsonl"))
    closed = [log for log in logs if not os.access(log, os.W_OK)]
    try:
        with tempfile.TemporaryFile(dir=place):
            pass
    except OSError as e:
        raise Problem(
            f"{place} cannot be written: {e.strerror}", "Make it writable, or move the home folder."
        ) from e
    if closed:
        raise Problem(f"{closed[0]} cannot be written", "Make the user who runs this its owner.")
    return Finding(f"journal {folder}, {len(logs)} topic{'' if len(logs) == 1 else 's'}, writable")


def embedded_started(home: Path) -> Finding:
    """Start the embedded server, and create it where it is new."""
    from luigi_traffic.processes.postgres.embedded import EmbeddedServer

    dsn = EmbeddedServer(home / "postgres").ensure_running()
    return Finding(f"embedded PostgreSQL is running: {dsn}")


def warehouse(project: Project) -> Finding:
    """The ledger; an embedded server that is stopped is left so."""
    if project.settings.warehouse.kind == "server":
        return _server(project.warehouse.dsn())
    if is_new(project):
        return Finding("embedded PostgreSQL; the first run creates it")
    from luigi_traffic.processes.postgres.embedded import EmbeddedServer

    if not EmbeddedServer(project.home / "postgres").running():
        return Finding("embedded PostgreSQL, stopped; the next run starts it", NOTE)
    found = project.warehouse
    with found.connect() as connection:
        return Finding(f"{found.dsn()}: {_ledger(connection)}")


def _server(dsn: Dsn) -> Finding:
    """A server that others look after: one try, and nothing is created there."""
    import psycopg2

    from luigi_traffic.warehouse.connect import connect

    try:
        with closing(connect(dsn)) as connection, connection.cursor() as cursor:
            cursor.execute(
                "SELECT has_database_privilege(current_database(), 'CREATE'),"
                " to_regclass('meta.ledger') IS NOT NULL"
            )
            writes, migrated = cursor.fetchone() or (False, False)
            encrypted = "TLS" if connection.info.ssl_in_use else "no TLS"
            told = _ledger(connection) if migrated else "empty, the first run creates its tables"
    except psycopg2.OperationalError as e:
        raise Problem(
            f"no connection to the warehouse {dsn}: {' '.join(str(e).split())}",
            "Start the server, or correct warehouse.host and warehouse.port.",
        ) from e
    except psycopg2.Error as e:
        raise Problem(
            f"the warehouse {dsn} does not let {dsn.user} read the ledger: {e}".strip(),
            "Run docker/postgres/roles.sql there, or set warehouse.user to one of its roles.",
        ) from e
    if not writes:
        return Finding(
            f"{dsn}: {told}, {encrypted}; {dsn.user} may only read", NOTE,
            "Runs need a role that can write: set warehouse.user to luigi_traffic_writer.",
        )  # fmt: skip
    return Finding(f"{dsn}: {told}, {encrypted}")


def _ledger(connection: Connection) -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM meta.ledger WHERE superseded_at IS NULL")
        (live,) = cursor.fetchone() or (0,)
    return f"ledger readable, {live} live partitions"


def tracking(uri: str) -> Finding:
    """The MLflow store at the tracking URI, without importing MLflow."""
    shown = masked("tracking.uri", uri)
    if uri.startswith(("http://", "https://")):
        return _mlflow_server(uri.rstrip("/"), shown)
    if not uri.startswith("sqlite:///"):
        return Finding(f"{shown}: not checked", NOTE)
    path = Path(uri.removeprefix("sqlite:///"))
    if not path.exists():
        return Finding(f"{path}; the first training creates it")
    if not os.access(path, os.W_OK):
        raise Problem(f"{path} cannot be written", "Make the user who runs this its owner.")
    try:
        connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5)
        try:
            connection.execute("SELECT version_num FROM alembic_version").fetchone()
            count = connection.execute("SELECT count(*) FROM model_versions").fetchone()[0]
        finally:
            connection.close()
    except sqlite3.Error as e:
        raise Problem(
            f"{path} is not readable as MLflow's database: {e}",
            "Restore it, or move it away: models are registered again when they are trained again.",
        ) from e
    return Finding(f"{path}: {count} registered versions")


def _mlflow_server(uri: str, shown: str) -> Finding:
    import requests

    user = os.environ.get("MLFLOW_TRACKING_USERNAME", "")
    try:
        # Unlike its /health, this asks its database.
        answer = requests.get(
            f"{uri}/api/2.0/mlflow/experiments/search",
            params={"max_results": 1},
            # What MLflow's own client takes them from.
            auth=(user, os.environ.get("MLFLOW_TRACKING_PASSWORD", "")) if user else None,
            timeout=servers.TIMEOUT_S,
        )
    except requests.RequestException as e:
        raise Problem(
            f"{shown} does not answer: {e.__class__.__name__}",
            "Start the server, or correct tracking.uri.",
        ) from e
    if answer.status_code in (401, 403):
        raise Problem(
            f"{shown} refuses the request with {answer.status_code}: {answer.text[:200]}",
            "Correct the user and password (MLFLOW_TRACKING_USERNAME, MLFLOW_TRACKING_PASSWORD), "
            "or the hosts that the server allows.",
        )
    if not answer.ok:
        raise Problem(
            f"{shown} answers {answer.status_code}: {answer.text[:200]}",
            "See its log (its database may be down), or correct tracking.uri.",
        )
    return Finding(f"{shown} answers, and so does its database")


def ports(project: Project) -> Iterator[tuple[str, Check]]:
    """The services' ports: ours, free, or somebody else's."""
    yield services.LUIGID, partial(_port, project, services.LUIGID)
    if not project.settings.tracking_uri.startswith(("http://", "https://")):
        yield services.MLFLOW, partial(_port, project, services.MLFLOW)


def _port(project: Project, name: str) -> Finding:
    service = project.services.running(name)
    if service:
        if service.answers():
            return Finding(f"up at {service.url}")
        raise Problem(
            f"process {service.pid} does not answer at {service.url}",
            f"See {project.services.log_file(name)}; then run luigi-traffic down and "
            "luigi-traffic up.",
        )
    if name == services.LUIGID and (found := servers.luigid(project.profile)):
        return found
    default = services.DEFAULT_PORTS[name]
    if port_is_free(default):
        return Finding(f"not up; port {default} is free")
    return Finding(f"not up; port {default} is in use: `up` will use another one", NOTE)


def plugin_checks(project: Project) -> Iterator[tuple[str, Check]]:
    """One check for all that loaded, one for each that did not, and for settings of neither."""
    try:
        found = project.plugins.found
    except TrafficError as e:
        told = str(e)
        yield "plugins", lambda: Finding(told, PROBLEM)
        return
    loaded = [p.name for p in found if not p.problem and not p.disabled]

    def summary() -> Finding:
        if not loaded:
            raise Problem("no plugin is loaded", "Install a plugin; see docs/hooks.")
        return Finding(", ".join(loaded))

    yield "plugins", summary
    for plugin in found:
        if plugin.problem:
            yield f"plugin {plugin.name}", _broken(plugin)
    for stray in project.plugins.strays():
        yield (
            f"settings {stray.key}",
            partial(
                Finding,
                stray.told,
                NOTE if stray.excused else PROBLEM,
                "Correct the name, install the plugin, or remove these settings.",
            ),
        )


def _broken(plugin: Found) -> Check:
    def check() -> Finding:
        raise Problem(
            f"{plugin.distribution} {plugin.version} did not load: {plugin.problem}",
            "Repair the plugin, or add it to plugins.disabled.",
        )

    return check


def dataset_checks(project: Project, deep: bool) -> Iterator[tuple[str, Check]]:
    """Settings, source and graph of each dataset; if `deep`, its source is asked for yesterday.

    Only the dataset that runs by default must be in order.
    """
    try:
        names = sorted(project.plugins.datasets)
    except TrafficError:  # told by `plugin_checks`
        return
    for name in names:
        yield f"dataset {name}", _dataset(project.plugins, name, deep)


def _dataset(plugins: Plugins, name: str, deep: bool) -> Check:
    def check() -> Finding:
        try:
            return Finding(_describe(plugins, name, deep))
        except TrafficError as e:
            told = str(e)
        # A plugin is somebody else's code.
        except Exception as e:  # noqa: BLE001
            told = f"its plugin failed: {e.__class__.__name__}: {e}"
        if name == plugins.settings.pipeline.dataset:
            return Finding(told, PROBLEM)
        return Finding(f"not ready: {told}", NOTE)

    return check


def _describe(plugins: Plugins, name: str, deep: bool) -> str:
    dataset = plugins.dataset(name)
    source = plugins.call(dataset, "source()", dataset_for(dataset, "raw").source)
    graph = plugins.call(dataset, "graph()", dataset.graph)
    said = {**source.address(), **source.recipe()}
    told = {k: v for k, v in said.items() if k != "kind" and v and isinstance(v, str)}
    told = {k: without_credentials(v) if "://" in v else v for k, v in told.items()}
    terms = ", ".join(f"{key} {masked(key, value)}" for key, value in told.items())
    links = f"graph of {len(graph.edges)} edges" if graph else "no graph"
    if not deep:
        return f"{terms}; {links}" if terms else links
    yesterday = last_settled_day(dataset)
    try:
        with source.open(yesterday):
            answer = f"its source has {yesterday}"
    except SourceAbsent:
        answer = f"its source answers, but has nothing for {yesterday}"
    return f"{terms}; {links}; {answer}"
