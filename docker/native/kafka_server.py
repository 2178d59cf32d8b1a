# ruff: noqa: D102, RUF012 - what a server's methods and attributes are says server.py
"""Apache Kafka: one broker that is its own controller."""

from __future__ import annotations

import base64
import subprocess
import uuid
from pathlib import Path

import artifacts
from inherited import HOST
from kafka import KafkaAdminClient
from kafka.errors import KafkaError
from server import Server, java, tcp_probe
from talk import tail

from luigi_traffic.errors import StoreError

_FOLDER = artifacts.DOCKER / "kafka"


class KafkaServer(Server):
    """A broker on loopback without TLS or passwords."""

    name = "kafka"
    variable = "LUIGI_TRAFFIC__EVENTS__SERVERS"
    default_ports = {"kafka": 9092, "kafka-controller": 9093}
    artifact = artifacts.KAFKA
    needs_java = True

    def prepare(self) -> None:
        controller = f"{HOST}:{self.stack.ports['kafka-controller']}"
        mine = {
            "listeners": f"PLAINTEXT://{self.address},CONTROLLER://{controller}",
            "advertised.listeners": f"PLAINTEXT://{self.address}",
            "controller.quorum.voters": f"1@{controller}",
            "log.dirs": str(self.data / "topics"),
        }
        common = (_FOLDER / "server.properties").read_text(encoding="utf-8")
        lines = "".join(f"{key}={value}\n" for key, value in mine.items())
        self._properties.write_text(f"{common}\n{lines}", encoding="utf-8")
        if not (self.data / "topics" / "meta.properties").exists():
            self._format()

    def command(self) -> list[str]:
        return [*self._java(), "-Xms256m", "-Xmx512m", "kafka.Kafka", str(self._properties)]

    def probe(self) -> str | None:
        # The client would print what it thinks of a closed port.
        if closed := tcp_probe(self.port):
            return closed
        try:
            client = KafkaAdminClient(
                bootstrap_servers=[self.address], request_timeout_ms=5000, bootstrap_timeout_ms=5000
            )
            try:
                client.list_topics()
            finally:
                client.close()
        except (KafkaError, OSError) as error:
            return f"metadata request: {error!r}"
        return None

    @property
    def _properties(self) -> Path:
        return self.data / "server.properties"

    def _java(self) -> list[str]:
        log4j = f"-Dlog4j2.configurationFile=file:{_FOLDER / 'log4j2.properties'}"
        return [java(), "-cp", f"{self.files()}/*", log4j]

    def _format(self) -> None:
        # 22 characters of base64; one that begins with "-" would be taken for an option.
        cluster = "A" + base64.urlsafe_b64encode(uuid.uuid4().bytes).decode()[1:22]
        words = ["kafka.tools.StorageTool", "format", "--cluster-id", cluster]
        with self.log.open("ab") as output:
            done = subprocess.run(
                [*self._java(), *words, "--config", str(self._properties)],
                stdout=output,
                stderr=subprocess.STDOUT,
                check=False,
            )
        if done.returncode != 0:
            raise StoreError(f"kafka: the folder {self.data} was not formatted. {tail(self.log)}")
