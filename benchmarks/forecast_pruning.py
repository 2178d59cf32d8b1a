"""What years of forecasts cost a question before its first row: three ways, side by side.

    python benchmarks/forecast_pruning.py [DAYS [MODELS]]

Default: 1095 days of 2 versions, 24 rows each, in an embedded server of its own. "part" is a LIST
partition a (day, model) as the first layout had it; "all" the table of today, a range a day with a
partition a version; "view" what is published of it, one version a day. Medians of 9: planning in
ms, scans in the plan, locks of the transaction.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import date, timedelta
from pathlib import Path

import psycopg2
from psycopg2.extensions import connection as Connection

from luigi_traffic.processes.postgres.embedded import EmbeddedServer
from luigi_traffic.warehouse import published, schema
from luigi_traffic.warehouse.ledger import LedgerRow
from luigi_traffic.warehouse.tables import forecast_bounds, forecast_table

LAST = date(2012, 3, 28)
REPEATS = 9
DAY = "'2012-03-20'"
NEXT = "'2012-03-21'"
QUESTIONS = {
    "a day by issued_at": f"issued_at > {DAY} AND issued_at <= {NEXT}",
    "one issued_at": f"issued_at = {NEXT}",
    "an hour by timestamp": f"timestamp >= {DAY} AND timestamp < '2012-03-20 01:00'",
    "that, with issued_at": (
        f"timestamp >= {DAY} AND timestamp < '2012-03-20 01:00' "
        f"AND issued_at > '2012-03-19 23:00' AND issued_at < '2012-03-20 01:00'"
    ),
    "one part": "part = '2012-03-20/m0'",
    "no condition": "true",
}
ROWS = """
INSERT INTO {table} SELECT '{day}/{model}', '{model}', i,
    CASE n WHEN 24 THEN 'next' ELSE 'rolling' END, 1, i, 'l', 7
FROM generate_series(1, 24) n, LATERAL (SELECT timestamp '{day}' + n * interval '1 hour' AS i) x"""
LOCKS = (
    "SELECT count(*) FROM pg_locks l JOIN pg_class c ON c.oid = l.relation WHERE l.pid ="
    " pg_backend_pid() AND c.relnamespace::regnamespace::text LIKE 'forecast%'"
)


def run(conn: Connection, sql: str) -> list[tuple[object, ...]]:
    with conn.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchall() if cursor.description else []


def fill_old(conn: Connection, days: list[date], models: list[str]) -> None:
    """forecast.old as version 1 made it."""
    columns = ", ".join(f'"{c.name}" {c.type}' for c in forecast_table("old").columns)
    run(conn, f"CREATE TABLE forecast.old ({columns}) PARTITION BY LIST (part)")
    conn.commit()
    for day in days:
        for model in models:
            table, part = f"forecast.old_{day:%Y%m%d}_{model}", f"{day}/{model}"
            run(conn, f"CREATE TABLE {table} ({columns})")
            run(conn, ROWS.format(table=table, day=day, model=model))
            run(
                conn,
                f"ALTER TABLE {table} ADD PRIMARY KEY (part, issued_at, step, link_id),"
                f" ADD CONSTRAINT partition_bounds CHECK (part IS NOT NULL AND part = '{part}');"
                f" ALTER TABLE forecast.old ATTACH PARTITION {table} FOR VALUES IN ('{part}')",
            )
        conn.commit()


def fill_new(conn: Connection, days: list[date], models: list[str]) -> None:
    """forecast_versions.new by the code of today; the first version is published."""
    table = forecast_table("new")
    published.ensure(conn, table)
    conn.commit()
    for day in days:
        for model in models:
            staged = table.stage(conn, f"{day:%Y%m%d}")
            run(conn, ROWS.format(table=staged, day=day, model=model))
            part = f"{day}/{model}"
            row = LedgerRow("forecast", "new", part, part, {}, [], 24, "", {})
            assert table.commit(conn, staged, forecast_bounds(day, part), row)
            if model == models[0]:
                published.publish(conn, "new", "", day, part, published.now(conn))
            conn.commit()


def ask(conn: Connection, table: str, condition: str) -> tuple[float, int, int]:
    """Planning in ms (median), scans in the plan, locks."""
    question = f"SELECT count(*) FROM {table} WHERE {condition}"
    planning = []
    for _ in range(REPEATS + 1):
        explained = run(conn, f"EXPLAIN (SUMMARY, COSTS off) {question}")
        lines = [str(line) for (line,) in explained]
        told = next(line for line in lines if line.startswith("Planning Time"))
        planning.append(float(told.split()[-2]))
        conn.commit()
    run(conn, question)
    ((locks,),) = run(conn, LOCKS)
    conn.commit()
    # The first of them also reads the catalogue.
    return statistics.median(planning[1:]), sum("Scan" in line for line in lines), int(str(locks))


@contextmanager
def server() -> Iterator[Connection]:
    with tempfile.TemporaryDirectory(prefix="luigi-traffic-bench-") as folder:
        Path(folder).chmod(0o711)
        embedded = EmbeddedServer(Path(folder) / "postgres")
        try:
            with closing(psycopg2.connect(**embedded.ensure_running().kwargs())) as conn:
                yield conn
        finally:
            embedded.destroy()


def main(days: str = "1095", models: str = "2") -> None:
    """Build both, ask both, print."""
    every = [LAST - timedelta(days=n) for n in reversed(range(int(days)))]
    names = [f"m{n}" for n in range(int(models))]
    with server() as conn:
        schema.migrate(conn)
        run(conn, "CREATE SCHEMA IF NOT EXISTS forecast")
        fill_old(conn, every, names)
        fill_new(conn, every, names)
        print(f"{len(every)} days of {len(names)} models, medians of {REPEATS}")
        tables = {"part": "forecast.old", "all": "forecast_versions.new", "view": "forecast.new"}
        print(f"{'':22}" + "".join(f"{name + ': ms, scans, locks':>26}" for name in tables))
        run(conn, "ANALYZE meta.published")
        for name, condition in QUESTIONS.items():
            asked = (ask(conn, table, condition) for table in tables.values())
            print(f"{name:22}" + "".join(f"{ms:13.2f}{n:6}{locks:7}" for ms, n, locks in asked))


if __name__ == "__main__":
    main(*sys.argv[1:])
