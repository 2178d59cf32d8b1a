"""`luigi-traffic doctor` on servers: small real ones that are down, refuse us, or are late."""

from __future__ import annotations

import socket
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import grpc
import pytest
from http_server import Answer, Request, http_server
from luigi.configuration import get_config
from process_state import forget
from pyspark.sql.connect.proto import base_pb2, base_pb2_grpc
from tls_server import PASSWORDS, TlsServer, tls_server

from luigi_traffic.commands.doctor import clocks, command, side_by_side
from luigi_traffic.project import current
from luigi_traffic.warehouse.connection import Warehouse

SECRETS = ("LAKE__ACCESS_KEY", "LAKE__SECRET_KEY")
CLOSED = "127.0.0.1:9"  # nobody has that port


def found(check: str) -> dict:
    (row,) = [r for r in command.rows(current(), deep=False) if r["check"] == check]
    return row


@contextmanager
def http(status: int = 200, body: str = "{}", ahead: timedelta = timedelta(0)) -> Iterator[str]:
    """A server that answers everything so, by a clock that is `ahead`; its host:port."""

    def answers(_: Request) -> Answer:
        date = format_datetime(datetime.now(UTC) + ahead, usegmt=True)
        return Answer(body, status, {"Date": date})

    with http_server(answers) as web:
        yield web.address


@contextmanager
def silent() -> Iterator[str]:
    """A server that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"127.0.0.1:{listening.getsockname()[1]}"


@pytest.fixture
def configured(empty, monkeypatch, anew) -> Callable[..., None]:
    def configure(**variables: str) -> None:
        for key, value in variables.items():
            monkeypatch.setenv(f"LUIGI_TRAFFIC__{key}", value)
        anew()

    return configure


@pytest.fixture
def on_s3(configured) -> Callable[[str], None]:
    return lambda address: configured(
        LAKE__KIND="s3", LAKE__ENDPOINT=f"http://{address}", **dict.fromkeys(SECRETS, "s3cret-x")
    )


def test_a_lake_that_is_down(on_s3) -> None:
    on_s3(CLOSED)
    row = found("lake")
    assert row["state"] == "problem"
    assert CLOSED in row["found"] and "lake.endpoint" in row["todo"]
    assert found("lake clock")["state"] == "note"  # told once


@pytest.mark.parametrize(
    ("ahead", "amount", "way"),
    [
        (timedelta(minutes=3, seconds=30), "is 3 min", "ahead of"),
        (timedelta(hours=-9, minutes=-30), "is 9 h", "behind"),
        (timedelta(seconds=-30), None, None),
    ],
)
def test_the_clock_of_the_lake(
    on_s3, ahead: timedelta, amount: str | None, way: str | None
) -> None:
    with http(status=403, ahead=ahead) as address:
        on_s3(address)
        row = found("lake clock")
    if amount is None:
        assert row["state"] == "ok"
    else:
        assert row["state"] == "problem"
        assert amount in row["found"] and way in row["found"]
        assert "NTP" in row["todo"]


def test_mlflow_and_its_clock(configured) -> None:
    with http(ahead=timedelta(minutes=2)) as address:
        configured(TRACKING__URI=f"http://{address}")
        assert found("MLflow store")["state"] == "ok"
        assert "ahead of" in found("MLflow clock")["found"]
        assert not [
            r for r in command.rows(current(), deep=False) if r["check"] == "mlflow"
        ]  # no UI of ours
    with http(status=500, body="no database") as address:
        configured(TRACKING__URI=f"http://{address}")
        row = found("MLflow store")
        assert row["state"] == "problem" and "no database" in row["found"]
    with http(status=403, body="Invalid Host header") as address:
        configured(TRACKING__URI=f"http://{address}")
        row = found("MLflow store")
        assert row["state"] == "problem" and "Invalid Host header" in row["found"]


def test_a_server_that_hangs_hides_no_other(on_s3, configured, monkeypatch) -> None:
    monkeypatch.setattr(side_by_side, "DEADLINE_S", 3.0)
    with silent() as address:
        on_s3(address)
        configured(
            EVENTS__KIND="kafka", EVENTS__SERVERS=f"[{address}]", TRACKING__URI=f"http://{CLOSED}"
        )
        rows = {r["check"]: r for r in command.rows(current(), deep=False)}
    assert "no answer within 3 s" in rows["lake"]["found"]
    assert rows["events"]["state"] == "problem"
    assert "does not answer" in rows["MLflow store"]["found"]
    assert rows["dataset tiny"]["state"] == "ok"


def test_kafka_that_is_down(configured) -> None:
    configured(EVENTS__KIND="kafka", EVENTS__SERVERS=f"[{CLOSED}]")
    row = found("events")
    assert row["state"] == "problem"
    assert CLOSED in row["found"] and "events.servers" in row["todo"]


def test_a_spark_master(configured) -> None:
    with silent() as address:
        configured(SPARK__MASTER=f"spark://{CLOSED},{address}")
        assert found("Spark master")["state"] == "ok"
    configured(SPARK__MASTER=f"spark://{CLOSED}")
    assert "spark.master" in found("Spark master")["todo"]


class Connect(base_pb2_grpc.SparkConnectServiceServicer):
    """As Spark's own server answers, with its check of the token."""

    def AnalyzePlan(self, request, context):
        if dict(context.invocation_metadata()).get("authorization") != "Bearer right":
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "Invalid authentication token")
        answer = base_pb2.AnalyzePlanResponse(session_id=request.session_id)
        answer.spark_version.version = "4.3.0"
        return answer


def test_spark_connect(configured) -> None:
    server = grpc.server(ThreadPoolExecutor(1))
    base_pb2_grpc.add_SparkConnectServiceServicer_to_server(Connect(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        remote = {"SPARK__REMOTE": f"sc://127.0.0.1:{port}"}
        configured(**remote, SPARK__TOKEN="right")
        row = found("Spark Connect")
        assert row["state"] == "ok" and "Spark 4.3.0" in row["found"]
        configured(**remote, SPARK__TOKEN="wr0ng-t0ken")
        row = found("Spark Connect")
        assert row["state"] == "problem" and "LUIGI_TRAFFIC__SPARK__TOKEN" in row["todo"]
        assert "wr0ng-t0ken" not in str(row)
    finally:
        server.stop(None).wait()
    assert "spark.remote" in found("Spark Connect")["todo"]
    assert not [r for r in command.rows(current(), deep=False) if r["check"] == "Java"]


def test_luigid_that_luigi_is_told_of(empty, scheduler, monkeypatch) -> None:
    (empty.conf / "stack.yml").write_text("{}")
    monkeypatch.setenv("LUIGI_TRAFFIC_PROFILE", "stack")
    with http(body="<title>Luigi Task Visualiser</title>") as address:
        scheduler(address)
        assert f"answers at http://{address}" in found("luigid")["found"]
    row = found("luigid")
    assert row["state"] == "problem" and address in row["found"]
    with http(body="a printer") as address:
        scheduler(address)
        assert "is not luigid" in found("luigid")["found"]
    monkeypatch.setenv("LUIGI_TRAFFIC_PROFILE", "local")
    forget()
    assert found("luigid")["state"] != "problem"  # it does without


@pytest.fixture
def scheduler() -> Iterator[Callable[[str], None]]:
    """Sets where Luigi looks for luigid."""
    config = get_config()
    yield lambda address: config.set("core", "default-scheduler-url", f"http://{address}")
    config.remove_option("core", "default-scheduler-url")


@pytest.fixture(scope="module")
def tls() -> Iterator[TlsServer]:
    with tempfile.TemporaryDirectory(prefix="luigi_traffic-test-") as folder:
        Path(folder).chmod(0o711)
        with tls_server(Path(folder)) as made:
            assert made.make_roles().returncode == 0
            yield made


@pytest.fixture
def on_postgres(configured, tls) -> Callable[..., None]:
    def configure(user: str = "writer", **more: str) -> None:
        named = {
            "WAREHOUSE__KIND": "server",
            "WAREHOUSE__HOST": "localhost",
            "WAREHOUSE__PORT": str(tls.admin.port),
            "WAREHOUSE__USER": f"luigi_traffic_{user}",
            "WAREHOUSE__PASSWORD": PASSWORDS[f"LUIGI_TRAFFIC_{user.upper()}_PASSWORD"],
            "WAREHOUSE__SSLMODE": "verify-full",
            "WAREHOUSE__CA_FILE": str(tls.ca),
        }
        configured(**(named | more))

    return configure


def test_postgres_before_and_after_the_first_run(on_postgres, tls) -> None:
    on_postgres()
    row = found("warehouse")
    assert row["state"] == "ok" and "the first run creates its tables" in row["found"]
    assert "TLS" in row["found"]
    warehouse = Warehouse(lambda: tls.role("writer"))
    assert warehouse.query("SELECT count(*) FROM meta.ledger", 1)[1] == [(0,)]
    warehouse.close()
    assert "0 live partitions" in found("warehouse")["found"]
    on_postgres("reader")
    row = found("warehouse")
    assert row["state"] == "note" and "may only read" in row["found"]


def test_postgres_that_refuses_or_is_down(on_postgres) -> None:
    on_postgres(WAREHOUSE__PASSWORD="wr0ng")
    row = found("warehouse")
    assert row["state"] == "problem"
    assert "LUIGI_TRAFFIC__WAREHOUSE__PASSWORD" in row["found"] and "wr0ng" not in str(row)
    on_postgres(WAREHOUSE__DBNAME="traffic_lights")
    assert "warehouse.dbname" in found("warehouse")["found"]
    on_postgres(WAREHOUSE__PORT="9")
    row = found("warehouse")
    assert row["state"] == "problem" and "warehouse.host" in row["todo"]
    assert found("warehouse clock")["state"] == "note"


def test_the_clock_of_postgres(on_postgres, monkeypatch) -> None:
    on_postgres()
    assert found("warehouse clock")["state"] == "ok"
    # This machine's clock instead of the server's: the server has no other one here.
    monkeypatch.setattr(clocks, "now", lambda: datetime.now(UTC) - timedelta(minutes=5))
    row = found("warehouse clock")
    assert row["state"] == "problem" and "ahead of" in row["found"]


def test_a_check_that_fails_is_no_server_that_hangs() -> None:
    def fail() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        list(side_by_side.together([("broken", fail)]))
