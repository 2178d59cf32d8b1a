# ruff: noqa: D102, RUF012 - what a server's methods and attributes are says server.py
"""Spark: a standalone master, two workers, and a Connect server that is their driver.

Executors take credentials from the environment of their worker, never from a property:
Spark's pages show those.
"""

from __future__ import annotations

import json
import subprocess
import sys
from http.client import HTTPException
from pathlib import Path
from typing import Any, ClassVar

import artifacts
import inherited
import pyspark
from inherited import HOST
from server import Server, Stack, get, http_probe, java, tcp_probe

from luigi_traffic.errors import StoreError
from luigi_traffic.processes import private_folder
from luigi_traffic.project import current
from luigi_traffic.settings.keys import Settings
from luigi_traffic.spark import s3a
from luigi_traffic.spark import server as connect_server
from luigi_traffic.spark.session import connect

HOME = Path(pyspark.__file__).parent
WORKER_MEMORY = "2g"
_DAEMON = "org.apache.spark.deploy"
# As Spark's own start scripts set it.
_SCALA = next(HOME.glob("jars/spark-core_*.jar")).name.split("_")[1].split("-")[0]


class SparkServer(Server):
    """A JVM of the Spark that pip installed."""

    variable = "LUIGI_TRAFFIC__SPARK__REMOTE"
    needs_java = True

    @property
    def master(self) -> str:
        """The address of the cluster."""
        return f"spark://{HOST}:{self.stack.ports['spark-master']}"

    def words(self) -> list[str]:
        """Main class and its arguments."""
        raise NotImplementedError

    def prepare(self) -> None:
        # Without a secret every user of this machine could run jobs, with the lake's keys.
        # Drivers take it from a property only; Spark's pages redact that one.
        secret = self.stack.passwords["SPARK_AUTHENTICATE_SECRET"]
        private_folder.write_private(
            conf_folder(self.stack) / "spark-defaults.conf",
            f"spark.authenticate true\nspark.authenticate.secret {secret}\n",
        )

    def command(self) -> list[str]:
        return _launched(self.words(), self.environment())

    def environment(self) -> dict[str, str]:
        return {
            "SPARK_HOME": str(HOME),
            "SPARK_SCALA_VERSION": _SCALA,
            "SPARK_CONF_DIR": str(conf_folder(self.stack)),  # not the user's own
            "SPARK_LOCAL_IP": HOST,
            "SPARK_PUBLIC_DNS": HOST,
            "SPARK_DAEMON_MEMORY": "512m",
            "PYSPARK_PYTHON": sys.executable,
        }


class SparkMaster(SparkServer):
    """Knows the workers, hands out their cores."""

    name = "spark-master"
    default_ports = {"spark-master": 7077, "spark-master-ui": 8080}

    @property
    def address(self) -> str:
        return f"{self.master}, pages at {self.stack.url('spark-master-ui')}"

    def words(self) -> list[str]:
        ui = str(self.stack.ports["spark-master-ui"])
        words = [f"{_DAEMON}.master.Master", "--host", HOST, "--port", str(self.port)]
        return [*words, "--webui-port", ui]

    def probe(self) -> str | None:
        return http_probe(self.stack.ports["spark-master-ui"], "/json/")


class SparkWorker(SparkServer):
    """One core, and the credentials that executors need."""

    needs = ("spark-master",)
    number: ClassVar[int]

    @property
    def address(self) -> str:
        return self.stack.url(self.name)

    def words(self) -> list[str]:
        words = [f"{_DAEMON}.worker.Worker", "--host", HOST, "--webui-port", str(self.port)]
        words += ["--cores", "1", "--memory", WORKER_MEMORY, "--work-dir", str(self.data / "work")]
        return [*words, self.master]

    def environment(self) -> dict[str, str]:
        chosen = current().settings
        mine: dict[str, str] = {}
        s3a.put_credentials(chosen.lake, mine)
        scratch = self.data / "scratch"
        scratch.mkdir(exist_ok=True)
        cleanup = {"enabled": "true", "interval": "1800", "appDataTtl": "86400"}
        return {
            **super().environment(),
            **mine,
            "LUIGI_TRAFFIC__WAREHOUSE__PASSWORD": chosen.warehouse.secret(),
            "SPARK_LOCAL_DIRS": str(scratch),
            "SPARK_WORKER_OPTS": " ".join(
                f"-Dspark.worker.cleanup.{key}={value}" for key, value in cleanup.items()
            ),
        }

    def probe(self) -> str | None:
        own = _page(self.port)
        if isinstance(own, str):
            return own
        cluster = _page(self.stack.ports["spark-master-ui"])
        if isinstance(cluster, str):
            return f"master: {cluster}"
        states = [w["state"] for w in cluster["workers"] if w["id"] == own["id"]]
        return None if states == ["ALIVE"] else f"the master says {states or 'nothing'} of it"


class SparkWorker1(SparkWorker):
    """The first."""

    name = "spark-worker-1"
    default_ports = {"spark-worker-1": 8081}


class SparkWorker2(SparkWorker):
    """The second; 8082 is luigid's."""

    name = "spark-worker-2"
    default_ports = {"spark-worker-2": 8083}


class SparkConnect(SparkServer):
    """What clients talk to: any number of sessions share its cores."""

    name = "spark-connect"
    default_ports = {"spark-connect": 15002, "spark-connect-ui": 4040}
    needs = ("spark-worker-1", "spark-worker-2")
    artifact = artifacts.SPARK_S3A

    @property
    def address(self) -> str:
        # Spark's client sends its token without TLS to a host of this name only.
        return f"sc://localhost:{self.port}"

    def words(self) -> list[str]:
        command, _ = connect_server.prepare(self._settings(), self.data)
        return [f"{_DAEMON}.SparkSubmit", *command[1:]]

    def environment(self) -> dict[str, str]:
        _, mine = connect_server.prepare(self._settings(), self.data)
        return {**super().environment(), **mine}

    def probe(self) -> str | None:
        if closed := tcp_probe(self.port):
            return closed
        session = None
        try:
            session = connect(current().settings.spark)
        except StoreError as error:
            return str(error)
        finally:
            if session is not None:
                session.stop()
        return None

    def _settings(self) -> Settings:
        whole = current().settings
        conf = {
            "spark.connect.grpc.binding.port": str(self.port),
            "spark.ui.port": str(self.stack.ports["spark-connect-ui"]),
            "spark.executor.memory": WORKER_MEMORY,
            "spark.local.dir": str(self.data / "scratch"),
            "spark.sql.warehouse.dir": str(self.data / "warehouse"),
        }
        spark = whole.spark.model_copy(
            update={
                "master": self.master,
                "driver_memory": "2g",
                "jars": self.files(),
                "conf": {**whole.spark.conf, **conf},
            }
        )
        return whole.model_copy(update={"spark": spark})


SPARK_SERVERS = (SparkMaster, SparkWorker1, SparkWorker2, SparkConnect)


def conf_folder(stack: Stack) -> Path:
    """SPARK_CONF_DIR of the cluster and of its drivers."""
    return stack.state.data("spark-conf")


def _launched(words: list[str], environment: dict[str, str]) -> list[str]:
    """The command that `spark-class` would become: with that one, a shell came first."""
    launcher = [java(), "-Xmx128m", "-cp", f"{HOME}/jars/*", "org.apache.spark.launcher.Main"]
    done = subprocess.run(
        [*launcher, *words],
        env={**inherited.environment(), **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    # Words end with NUL; before the first come a line with NUL, and what the JVM had to say.
    _, begun, command = done.stdout.partition("\0\n")
    if done.returncode != 0 or not begun:
        raise StoreError(f"Spark's launcher gives no command for {words[0]}: {done.stderr.strip()}")
    return command.split("\0")[:-1]


def _page(port: int) -> dict[str, Any] | str:
    """A page of a master or worker as data, or why there is none."""
    try:
        status, body = get(port, "/json/")
        return json.loads(body) if status == 200 else f"GET /json/: status {status}"
    except (OSError, HTTPException, ValueError) as error:
        return f"GET /json/: {error}"
