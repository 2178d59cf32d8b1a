"""A Kafka broker of one test, which may be killed, and which has users beside the open door."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from confluent_kafka.admin import (
    AdminClient,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)
from kafka_user import wait_until

from luigi_traffic.processes.postgres.postmaster import free_port

sys.path.append(str(Path(__file__).parents[1] / "docker" / "native"))

from kafka_server import KafkaServer
from server import Stack
from state import State

#: A listener that asks for a password. Java takes the last value of a key.
SASL = """
listeners={listeners},SASL_PLAINTEXT://{sasl}
advertised.listeners=PLAINTEXT://{plain},SASL_PLAINTEXT://{sasl}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT
sasl.enabled.mechanisms=SCRAM-SHA-512
listener.name.sasl_plaintext.scram-sha-512.sasl.jaas.config=\
org.apache.kafka.common.security.scram.ScramLoginModule required;
"""


class OwnBroker:
    """The broker of the native stack, in a folder and at ports of its own."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        state = State(folder)
        (folder / "logs").mkdir()
        ports = {"kafka": free_port(), "kafka-controller": free_port()}
        self.server = KafkaServer(Stack(state, ports, {}))
        self.address = f"127.0.0.1:{ports['kafka']}"
        self.controller = f"127.0.0.1:{ports['kafka-controller']}"
        self.sasl_address = f"127.0.0.1:{free_port()}"
        self.process: subprocess.Popen[bytes] | None = None
        assert self.server.artifact
        self.server.artifact.get(self.server.log)

    def start(self) -> None:
        self.server.prepare()
        listeners = f"PLAINTEXT://{self.address},CONTROLLER://{self.controller}"
        with (self.server.data / "server.properties").open("a", encoding="utf-8") as file:
            file.write(SASL.format(listeners=listeners, plain=self.address, sasl=self.sasl_address))
        with self.server.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.server.command(), stdout=log, stderr=subprocess.STDOUT, start_new_session=True
            )
        wait_until(lambda: self.server.probe() is None, f"the broker is up: {self.server.log}")

    def add_user(self, name: str, password: str) -> None:
        admin = AdminClient({"bootstrap.servers": self.address})
        user = UserScramCredentialUpsertion(
            name, ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 4096), password.encode()
        )
        for future in admin.alter_user_scram_credentials([user]).values():
            future.result(30)

    def kill(self) -> None:
        """SIGKILL, as a machine that loses power."""
        if self.process is not None and self.process.poll() is None:
            os.kill(self.process.pid, signal.SIGKILL)
            self.process.wait(30)
