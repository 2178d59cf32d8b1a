"""The environment and the commands of the compose file, read by those who will read them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from datetime import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from luigi_traffic.cli import app
from luigi_traffic.commands import daily, listen
from luigi_traffic.project import current
from luigi_traffic.spark.server import prepare

REPOSITORY = Path(__file__).parents[3]
RUNS = ("scheduler", "listener", "worker")


@pytest.fixture
def read(isolated, compose, tmp_path):
    """The settings of a service: its environment and our conf/, which is mounted."""

    def of(service: str):
        isolated.monkeypatch.setenv("LUIGI_TRAFFIC_CONF", str(REPOSITORY / "conf"))
        for name, value in compose.environment(service).items():
            isolated.monkeypatch.setenv(name, value)
        jars = tmp_path / "jars"
        jars.mkdir(exist_ok=True)
        (jars / "hadoop-aws-1.jar").touch()
        isolated.set(SPARK__JARS=str(jars))
        return current().settings

    return of


@pytest.mark.parametrize("service", RUNS)
def test_runs_use_the_servers_of_the_file(read, compose, service) -> None:
    found = read(service)
    addresses = {
        "minio": found.lake.endpoint,
        "kafka": found.events.servers[0],
        "postgres": f"{found.warehouse.host}:{found.warehouse.port}",
        "mlflow": found.tracking_uri,
        "spark-tls": found.spark.remote,
    }
    for server, address in addresses.items():
        assert server in compose.services
        assert re.search(rf"(^|//){server}:\d+(/|$)", address), address
    assert found.lake.kind == "s3"
    assert found.events.kind == "kafka"
    assert found.warehouse.kind == "server"
    assert found.warehouse.sslmode == "verify-full"
    # Spark's client asks for TLS with a token; the authority is the one that is mounted.
    assert found.spark.remote.endswith("/;use_ssl=true")
    mounted = {v["target"] for v in compose.services[service]["volumes"] if isinstance(v, dict)}
    roots = compose.environment(service)["GRPC_DEFAULT_SSL_ROOTS_FILE_PATH"]
    assert {roots, str(found.warehouse.ca_file)} <= mounted
    assert (
        f"//:{found.events.servers[0].split(':')[1]},"
        in (compose.environment("kafka")["KAFKA_LISTENERS"])
    )


def test_the_authority_lies_where_executors_look_for_it(read, compose) -> None:
    authority = str(read("scheduler").warehouse.ca_file)
    for name in ("spark-worker-1", "spark-worker-2", "spark-connect"):
        targets = [v["target"] for v in compose.services[name]["volumes"] if isinstance(v, dict)]
        assert authority in targets, name


def test_spark_connect_is_the_driver_of_the_cluster(read, isolated) -> None:
    whole = read("spark-connect")
    command, environment = prepare(whole, isolated.home / "spark")
    file = Path(command[command.index("--properties-file") + 1])
    found = dict(line.split("=", 1) for line in file.read_text().splitlines())
    assert "--load-spark-defaults" in command, "the cluster's secret is in spark-defaults.conf"
    assert found["spark.master"] == "spark://spark-master:7077"
    assert found["spark.connect.grpc.binding.address"] == "0.0.0.0"
    assert found["spark.driver.host"] == "spark-connect"
    assert found["spark.driver.bindAddress"] == "0.0.0.0"
    assert found["spark.executor.memory"] == "3g"
    assert found["spark.hadoop.fs.s3a.endpoint"] == "http://minio:9000"
    assert environment["AWS_SECRET_ACCESS_KEY"] == "value-of-luigi_traffic__lake__secret_key"
    shown = [*command, file.read_text()]
    assert not any("value-of-" in text for text in shown), "a secret that everybody can read"


@pytest.mark.parametrize(
    "service", ["spark-master", "spark-worker-1", "spark-worker-2", "spark-connect"]
)
def test_sparks_secret_goes_into_a_file_and_no_further(compose, tmp_path, service) -> None:
    conf = tmp_path / "conf"
    words = [word.replace("$$", "$") for word in compose.services[service]["entrypoint"]]
    given = {"SPARK_AUTHENTICATE_SECRET": "a1%s", "SPARK_CONF_DIR": str(conf)}
    done = subprocess.run(
        [*words, "sh", "-c", 'echo "$1 ${SPARK_AUTHENTICATE_SECRET-unset}"', "sh", "began"],
        env={"PATH": os.environ["PATH"], **given},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout == "began unset\n"
    file = conf / "spark-defaults.conf"
    assert file.read_text() == "spark.authenticate true\nspark.authenticate.secret a1%s\n"
    assert file.stat().st_mode & 0o777 == 0o600


def test_luigi_finds_luigid(compose) -> None:
    for service in RUNS:
        (mounted,) = [
            v["source"]
            for v in compose.services[service]["volumes"]
            if isinstance(v, dict)
            and v["target"] == compose.environment(service)["LUIGI_CONFIG_PATH"]
        ]
        done = subprocess.run(
            [sys.executable, "-c", "from luigi.interface import core; print(core().scheduler_url)"],
            env={**os.environ, "LUIGI_CONFIG_PATH": str(REPOSITORY / "docker" / mounted)},
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert done.stdout.strip() == "http://luigid:8082"
        assert compose.environment(service)["LUIGI_TRAFFIC_LUIGID"] == "http://luigid:8082"
    words = compose.command("luigid")
    assert words[words.index("--port") + 1] == "8082"


def invoked(command: list[str]) -> None:
    assert command[0] == "luigi-traffic"
    done = CliRunner().invoke(app, command[1:])
    assert done.exit_code == 0, done.output


def test_the_scheduler_is_understood(compose, monkeypatch) -> None:
    seen = []
    monkeypatch.setattr(daily, "daily", lambda _, options: seen.append(options) or True)
    invoked(compose.command("scheduler"))
    assert seen == [daily.Options(at=time(3, 30), luigi_arguments=["--workers", "2"])]


def test_the_listener_is_understood(compose, monkeypatch) -> None:
    seen = []
    monkeypatch.setattr(listen, "listen", lambda _, options: seen.append(options))
    invoked(compose.command("listener"))
    assert list(seen[0].datasets) == ["its"]
    listen.check_task(seen[0].task, seen[0].first)


def test_the_proxy_of_spark_connect(compose) -> None:
    text = (REPOSITORY / "docker" / "nginx" / "connect.conf").read_text(encoding="utf-8")
    assert "listen 15002 ssl http2;" in text
    assert "set $connect spark-connect:15002;" in text
    targets = [v["target"] for v in compose.services["spark-tls"]["volumes"]]
    for file in re.findall(r"ssl_certificate(?:_key)? +(\S+);", text):
        assert file in targets
