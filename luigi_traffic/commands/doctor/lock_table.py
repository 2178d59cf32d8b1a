"""Check of the warehouse's lock table: has it room for a query over all the partitions there are?

A transaction locks each partition that it plans to read, and its index. The table of all locks has
max_locks_per_transaction × (max_connections + max_prepared_transactions) places, fixed when the
server starts; when it is full, whoever comes next fails with "out of shared memory".
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING

from luigi_traffic.commands.doctor.finding import NOTE, Finding, Problem
from luigi_traffic.commands.warehouse import is_new
from luigi_traffic.errors import TrafficError
from luigi_traffic.project import Project

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection

#: So many sessions may read all that one dataset has at once: a dashboard, a report, a run.
SESSIONS = 4

# Of the dataset that has most: gold, forecasts, evaluations and insight, a lock each, and one for
# the index of a partition.
_MOST = """
SELECT coalesce(max(locks), 0) FROM (
    SELECT sum(CASE c.relkind WHEN 'r' THEN 2 ELSE 1 END) AS locks
    FROM pg_class c
    JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_class root ON root.oid = pg_partition_root(c.oid)
    WHERE n.nspname IN ('gold', 'forecast_versions', 'evaluation', 'insight')
        AND c.relkind IN ('r', 'p')
    GROUP BY root.relname
) AS datasets"""


def lock_checks(project: Project) -> Iterator[tuple[str, Callable[[], Finding]]]:
    """One check, unless the embedded server is not up."""
    if project.settings.warehouse.kind == "embedded":
        from luigi_traffic.processes.postgres.embedded import EmbeddedServer

        if is_new(project) or not EmbeddedServer(project.home / "postgres").running():
            return
    yield "warehouse locks", partial(_asked, project)


def _asked(project: Project) -> Finding:
    import psycopg2

    from luigi_traffic.warehouse.connect import connect

    try:
        with closing(connect(project.warehouse.dsn())) as connection:
            return room(connection, project.settings.warehouse.kind)
    except (TrafficError, psycopg2.Error) as e:  # told by the check of the warehouse
        return Finding(f"not known: {e.__class__.__name__}", NOTE)


def room(connection: Connection, kind: str) -> Finding:
    """Places there are, against the locks of a query over all partitions of one dataset.

    `kind` is that of the settings: who runs the server decides what helps.
    Raises `Problem` if that query does not fit. (The server keeps some places in reserve, which it
    does not promise.)
    """
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT ({_MOST}), current_setting('max_locks_per_transaction')::int,"
            " current_setting('max_connections')::int"
            " + current_setting('max_prepared_transactions')::int"
        )
        needed, each, transactions = (int(value) for value in cursor.fetchone() or (0, 0, 0))
    places = each * transactions
    found = f"a query over all days takes {needed:,} of {places:,} locks"
    if places >= SESSIONS * needed:
        return Finding(found)
    todo = _todo(kind, each, math.ceil(SESSIONS * needed / transactions / 64) * 64)
    if places >= needed:
        return Finding(f"{found}: {SESSIONS} such queries at once do not fit", NOTE, todo)
    raise Problem(f"{found}: the query does not fit", todo)


def _todo(kind: str, each: int, wanted: int) -> str:
    from luigi_traffic.processes.postgres.embedded import SETTINGS

    if kind == "server":
        return (
            f"Set max_locks_per_transaction = {wanted} in its postgresql.conf (in "
            "docker/compose.yml: in the command of postgres), and restart the server."
        )
    ours = int(SETTINGS["max_locks_per_transaction"])
    if each < ours:
        return (
            f"Run luigi-traffic down: the next run starts the database with {ours} locks per "
            "transaction."
        )
    return (
        "Limit queries by time, or use your own PostgreSQL server: warehouse.kind, docs/stack.md."
    )
