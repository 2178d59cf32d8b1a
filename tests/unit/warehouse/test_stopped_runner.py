"""A runner that is stopped (SIGSTOP) in the middle of its commit stops nobody else for long."""

from __future__ import annotations

import os
import pickle
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import psutil
import psycopg2
import pytest

import luigi_traffic
from luigi_traffic.crashpoints import STOP_VARIABLE, CrashPoint
from luigi_traffic.errors import StoreError
from luigi_traffic.processes.postgres.embedded import EmbeddedServer
from luigi_traffic.warehouse import ledger
from luigi_traffic.warehouse.connect import connect, connect_patiently
from luigi_traffic.warehouse.connection import Warehouse
from luigi_traffic.warehouse.limits import Limits
from luigi_traffic.warehouse.partitions import freeze
from luigi_traffic.warehouse.tables import gold_table

LIMIT_S = 3.0
TABLE = gold_table("tiny", ["timestamp", "link_id", "speed"])

#: A runner of its own that replaces one day of gold.
RUNNER = """
import json, os, sys
from dataclasses import replace
from datetime import date
from pathlib import Path
from luigi_traffic.crashpoints import CrashPoint, crash_point
from luigi_traffic.errors import TrafficError
from luigi_traffic.warehouse.commit import staging
from luigi_traffic.warehouse.connection import Warehouse
from luigi_traffic.processes.postgres.embedded import EmbeddedServer
from luigi_traffic.warehouse.ledger import LedgerRow
from luigi_traffic.warehouse.limits import Limits
from luigi_traffic.warehouse.partitions import Bounds
from luigi_traffic.warehouse.tables import gold_table

folder, partition_id, limit = sys.argv[1:]
# Longer than a writer pauses between two tries.
limits = Limits(idle_transaction_s=2 * float(limit), idle_commit_s=float(limit))
server = EmbeddedServer(Path(folder))
warehouse = Warehouse(lambda: replace(server.ensure_running(), limits=limits))
day = date(2012, 3, 28)


try:
    with staging(
        warehouse, gold_table("tiny", ["timestamp", "link_id", "speed"]), "20120328"
    ) as attempt:
        with warehouse.connect() as conn, conn.cursor() as cursor:
            cursor.execute(
                f"INSERT INTO {attempt.name} VALUES ('2012-03-28 00:05', 'a', 50.0)"
            )
            crash_point(CrashPoint.GOLD_COMMITTED)  # stands for one inside the filling transaction
        row = LedgerRow(
            "gold", "tiny", day.isoformat(), partition_id, {}, [], 1, attempt.checksum(), {}
        )
        won = attempt.commit(
            Bounds.day(day), row, before_commit=lambda _: crash_point(CrashPoint.GOLD_ATTACHED)
        )
except TrafficError as error:
    sys.exit(f"{type(error).__name__}: {error}")
print("won" if won else "done before")
"""


def runner(server: EmbeddedServer, partition_id: str, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", RUNNER, str(server.folder), partition_id, str(LIMIT_S)],
        env={**os.environ, **environment}, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


@contextmanager
def stopped(
    server: EmbeddedServer, partition_id: str, point: CrashPoint
) -> Iterator[subprocess.Popen[str]]:
    """A runner that has stopped itself there."""
    process = runner(server, partition_id, **{STOP_VARIABLE: point.value})
    try:
        _, status = os.waitpid(process.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status), process.communicate()
        yield process
    finally:
        process.kill()
        process.wait()


def committed(server: EmbeddedServer, partition_id: str) -> None:
    process = runner(server, partition_id)
    try:
        said, errors = process.communicate(timeout=60)
    finally:
        process.kill()
    assert (process.returncode, said) == (0, "won\n"), errors


def continued(process: subprocess.Popen[str]) -> str:
    """What the stopped runner says when it goes on."""
    process.send_signal(signal.SIGCONT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    return errors


def live_ids(conn) -> list[str]:
    return list(ledger.current_ids(conn, "gold", "tiny").values())


def test_a_runner_stopped_between_attach_and_commit_stops_no_reader(
    server: EmbeddedServer, warehouse: Warehouse
) -> None:
    committed(server, "id-1")
    with stopped(server, "id-2", CrashPoint.GOLD_ATTACHED) as process:
        began = time.monotonic()
        with warehouse.connect() as conn, conn.cursor() as cursor:
            cursor.execute("SET LOCAL lock_timeout = '60s'")
            freeze(conn, "gold", "tiny")
            cursor.execute("SELECT count(*) FROM gold.tiny")
            assert cursor.fetchone() == (1,)
            assert live_ids(conn) == ["id-1"]
        assert time.monotonic() - began < LIMIT_S + 10
        assert psutil.Process(process.pid).status() == psutil.STATUS_STOPPED

        errors = continued(process)
    assert "StoreError: " in errors
    assert "it was stopped or its machine slept" in errors
    assert f"warehouse.idle_commit_seconds ({LIMIT_S:g})" in errors
    committed(server, "id-2")
    with warehouse.connect() as conn:
        assert live_ids(conn) == ["id-2"]


def test_one_stopped_while_it_fills_its_table_keeps_nobody_from_removing_that(
    server: EmbeddedServer, warehouse: Warehouse
) -> None:
    committed(server, "id-1")
    with stopped(server, "id-2", CrashPoint.GOLD_COMMITTED) as process:
        with warehouse.connect() as conn:
            (staged,) = TABLE.orphans(conn)
        deadline = time.monotonic() + 2 * LIMIT_S + 10
        while True:
            with warehouse.connect() as conn:
                TABLE.discard(conn, staged)
                if not TABLE.orphans(conn):
                    break
            assert time.monotonic() < deadline
        assert "StoreError: " in continued(process)
    committed(server, "id-2")


READER = """
import os, signal, sys
from dataclasses import replace
from pathlib import Path
from luigi_traffic.errors import TrafficError
from luigi_traffic.warehouse.connection import Warehouse
from luigi_traffic.processes.postgres.embedded import EmbeddedServer
from luigi_traffic.warehouse.limits import Limits

server = EmbeddedServer(Path(sys.argv[1]))
warehouse = Warehouse(lambda: replace(server.ensure_running(), limits=Limits(dead_host_s=4)))


class Stops:
    seen = 0

    def write(self, data):
        Stops.seen += len(data)
        if Stops.seen == len(data):
            os.kill(os.getpid(), signal.SIGSTOP)


try:
    with warehouse.connect() as conn, conn.cursor() as cursor:
        rows = "SELECT repeat('x', 1000) FROM gold.tiny, generate_series(1, 200000)"
        cursor.copy_expert(f"COPY ({rows}) TO STDOUT", Stops())
except TrafficError as error:
    sys.exit(f"{type(error).__name__}: {error}")
"""


def test_a_reader_stopped_while_rows_are_sent_to_it_stops_no_writer(
    server: EmbeddedServer, warehouse: Warehouse
) -> None:
    """It is active, not idle: what ends it is that it takes nothing in."""
    committed(server, "id-1")
    reader = subprocess.Popen(
        [sys.executable, "-c", READER, str(server.folder)], text=True, stderr=subprocess.PIPE
    )
    try:
        _, status = os.waitpid(reader.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status), reader.communicate()
        began = time.monotonic()
        committed(server, "id-2")
        assert time.monotonic() - began < 45
        assert psutil.Process(reader.pid).status() == psutil.STATUS_STOPPED
        assert "StoreError: " in continued(reader)
    finally:
        reader.kill()


def test_a_lock_held_past_our_limits_is_an_error_that_names_its_holder(
    server: EmbeddedServer, warehouse: Warehouse
) -> None:
    committed(server, "id-1")
    other = psycopg2.connect(**server.ensure_running().kwargs())
    with other.cursor() as cursor:  # not one of ours: nothing ends it
        cursor.execute("LOCK TABLE gold.tiny IN ACCESS EXCLUSIVE MODE")
    hasty = Warehouse(lambda: replace(server.ensure_running(), limits=Limits(lock_wait_s=0.3)))

    def read() -> None:
        with hasty.connect() as conn:
            freeze(conn, "gold", "tiny")

    with pytest.raises(
        StoreError, match=rf"process {other.info.backend_pid} of luigi_traffic"
    ) as e:
        read()
    assert "warehouse.lock_wait_seconds" in str(e.value)
    other.close()
    read()
    hasty.close()


def test_every_connection_has_limits_on_both_sides(server: EmbeddedServer) -> None:
    limits = Limits(dead_host_s=40, idle_transaction_s=7, lock_wait_s=9)
    dsn = pickle.loads(pickle.dumps(replace(server.ensure_running(), limits=limits)))
    opened = [connect(dsn), connect_patiently(dsn, 1), psycopg2.connect(**dsn.kwargs())]
    for conn in opened:
        with conn.cursor() as cursor:
            for name, value in {
                "idle_in_transaction_session_timeout": "7s",
                "lock_timeout": "9s",
                "tcp_keepalives_idle": "10",
                "tcp_keepalives_interval": "10",
                "tcp_keepalives_count": "3",
                "tcp_user_timeout": "40000",
            }.items():
                cursor.execute(f"SHOW {name}")
                assert cursor.fetchone() == (value,), name
        ours = conn.info.dsn_parameters
        assert (ours["keepalives"], ours["keepalives_idle"], ours["tcp_user_timeout"]) == (
            "1", "10", "40000",
        )  # fmt: skip
        assert ours["connect_timeout"] == "5"
        conn.close()


def test_nothing_opens_a_connection_past_these_limits() -> None:
    """Every `psycopg2.connect` of the package is handed the keywords of a `Dsn`."""
    package = Path(luigi_traffic.__file__).parent
    calls = [
        (file.name, call)
        for file in package.rglob("*.py")
        for call in re.findall(r"psycopg2\.connect[(,][^)]*", file.read_text(encoding="utf-8"))
    ]
    assert calls
    for file, call in calls:
        assert "**dsn.kwargs(" in call, (file, call)
