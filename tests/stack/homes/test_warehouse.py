"""The warehouse of the stack: TLS, roles, workers that fork, and commands of who only reads."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime, timedelta
from multiprocessing import get_context
from pathlib import Path

import psycopg2
import pyarrow as pa
import pytest
from small import SMALL
from stack_home import StackHome

from luigi_traffic.warehouse.binary import copy_in
from luigi_traffic.warehouse.commit import staging
from luigi_traffic.warehouse.connection import Warehouse
from luigi_traffic.warehouse.dsn import Dsn
from luigi_traffic.warehouse.ledger import LedgerRow
from luigi_traffic.warehouse.partitions import Bounds
from luigi_traffic.warehouse.tables import gold_table

fork = get_context("fork")
TABLE = gold_table("made", ["timestamp", "link_id", "speed"])
FIRST = date(2024, 1, 1)


def as_reader(home: StackHome) -> dict[str, str]:
    return {
        "LUIGI_TRAFFIC__WAREHOUSE__USER": "luigi_traffic_reader",
        "LUIGI_TRAFFIC__WAREHOUSE__PASSWORD": home.stack.secrets["LUIGI_TRAFFIC_READER_PASSWORD"],
    }


@pytest.fixture
def home(make_stack_home: Callable[..., StackHome]) -> StackHome:
    return make_stack_home("warehouse", **SMALL)


def warehouse_of(home: StackHome) -> Warehouse:
    """As the writer, the way a task opens it."""
    setting = home.stack.setting
    dsn = Dsn(
        "localhost", int(setting("WAREHOUSE__PORT", "5432")), home.database,
        "luigi_traffic_writer", home.stack.secrets["LUIGI_TRAFFIC__WAREHOUSE__PASSWORD"],
        "verify-full", Path(setting("WAREHOUSE__CA_FILE", "")),
    )  # fmt: skip
    return Warehouse(lambda: dsn)


def commit(warehouse: Warehouse, day: date, rows: int, partition_id: str) -> bool:
    start = datetime(day.year, day.month, day.day)
    made = pa.table(
        {
            "timestamp": [start] * rows,
            "link_id": [f"l{n}" for n in range(rows)],
            "speed": pa.array([50.0] * rows, pa.float64()),
        }
    )

    with staging(warehouse, TABLE, f"{day:%Y%m%d}") as attempt:
        with warehouse.connect() as connection:
            copy_in(connection, attempt.name, TABLE.columns, made)
        row = LedgerRow(
            "gold", "made", day.isoformat(), partition_id, {}, [], rows, attempt.checksum(), {}
        )
        return attempt.commit(Bounds.day(day), row)


def test_forked_workers_commit_days_and_replace_them(home: StackHome) -> None:
    """As `luigi --workers 4`: the parent has a TLS connection open when it forks."""
    warehouse = warehouse_of(home)
    with warehouse.connect() as connection:
        assert connection.info.ssl_in_use
    backend = warehouse.query("SELECT pg_backend_pid()", 1)[1]

    def work(number: int, rows: int) -> None:
        for day in (FIRST + timedelta(days=n) for n in range(number, 12, 4)):
            assert commit(warehouse, day, rows, f"{day}-{rows}")

    for rows in (3, 5):  # the second time all days are replaced
        workers = [fork.Process(target=work, args=(number, rows)) for number in range(4)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join(120)
        assert [worker.exitcode for worker in workers] == [0] * 4
    assert warehouse.query("SELECT pg_backend_pid()", 1)[1] == backend
    counted = "SELECT count(*), count(DISTINCT tableoid) FROM gold.made"
    assert warehouse.query(counted, 1)[1] == [(60, 12)]
    with warehouse.connect() as connection:
        assert TABLE.orphans(connection) == []
    warehouse.close()
    owners = "SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname IN ('gold', 'meta')"
    assert home.sql(owners) == [("luigi_traffic_owner",)]


def test_one_of_eight_runners_commits_a_day(home: StackHome) -> None:
    warehouse_of(home).migrate()

    def run(_: int) -> bool:
        warehouse = warehouse_of(home)
        try:
            return commit(warehouse, FIRST, 3, "the-same")
        finally:
            warehouse.close()

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(run, range(8))) == [False] * 7 + [True]
    assert home.sql("SELECT count(*) FROM gold.made") == [(3,)]


def test_a_password_and_a_name_that_are_wrong(home: StackHome) -> None:
    wrong = {
        "WAREHOUSE__PASSWORD": ("wr0ng-wr0ng", "PASSWORD to the password of luigi_traffic_writer"),
        "WAREHOUSE__DBNAME": ("test_missing", "warehouse.dbname"),
        "WAREHOUSE__CA_FILE": ("/nowhere/ca.pem", "warehouse.ca_file"),
    }
    for key, (value, words) in wrong.items():
        variable = f"LUIGI_TRAFFIC__{key}"
        code, output = home.run("luigi-traffic", "query", "SELECT 1", **{variable: value})
        assert code == 1
        assert words in output and "wr0ng" not in output, output
        assert "Waiting" not in output  # told at once


def test_the_server_takes_nobody_without_tls(home: StackHome) -> None:
    dsn = warehouse_of(home).dsn()
    with pytest.raises(psycopg2.OperationalError, match="no encryption"):
        psycopg2.connect(**{**dsn.kwargs(), "sslmode": "disable"})


def test_the_reader_is_told_that_tables_are_missing(home: StackHome) -> None:
    code, output = home.run("luigi-traffic", "query", "SELECT 1", **as_reader(home))
    assert code == 1
    assert "luigi_traffic_reader may not change that" in output
    assert "Traceback" not in output


def test_commands_of_the_reader(finished: StackHome) -> None:
    reader = as_reader(finished)
    sql = "SELECT count(*) AS rows, count(DISTINCT link_id) AS links FROM gold.its_sim"
    code, output = finished.run("luigi-traffic", "query", sql, "--json", **reader)
    assert code == 0, output
    ((rows,),) = finished.sql("SELECT sum(rows) FROM meta.ledger WHERE stage = 'gold'")
    assert json.loads(output) == [{"rows": rows, "links": 8}]
    for write in ("DELETE FROM gold.its_sim", "CREATE TABLE gold.mine (a int)"):
        code, output = finished.run("luigi-traffic", "query", write, **reader)
        assert code == 1
        assert "The query was refused" in output
    code, output = finished.run("luigi-traffic", "status", "--json", **reader)
    assert code == 0, output
    shown = json.loads(output)
    states = {(row["stage"], row["state"]) for row in shown if row["kind"] == "partition"}
    assert states >= {(stage, "done") for stage in ("raw", "bronze", "silver", "gold", "forecast")}
    assert [row["state"] for row in shown if row["kind"] == "model"] == ["done"]
    code, output = finished.run("luigi-traffic", "lineage", **reader)
    assert code == 0 and "sha256" in output, output
