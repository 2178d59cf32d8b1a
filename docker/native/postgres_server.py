# ruff: noqa: D102, RUF012 - what a server's methods and attributes are says server.py
"""PostgreSQL from the pip wheel: TLS and SCRAM only, roles and databases by docker/postgres."""

from __future__ import annotations

import shutil
import signal
import subprocess
from functools import cached_property
from pathlib import Path
from typing import Any

import inherited
import psutil
import psycopg2
from artifacts import DOCKER
from certificates import Certificates
from inherited import HOST
from server import PROBE_TIMEOUT_S, Server

from luigi_traffic.errors import StoreError
from luigi_traffic.processes import private_folder
from luigi_traffic.processes.postgres import initdb, server_home
from luigi_traffic.processes.postgres.embedded import SETTINGS
from luigi_traffic.processes.postgres.postgres_wheel import Binaries
from luigi_traffic.processes.postgres.postmaster import Cluster
from luigi_traffic.processes.postgres.server_user import ServerUser

SUPERUSER = "postgres"
_HBA = """\
# Nobody without TLS, nobody without a password.
hostssl all all 127.0.0.1/32 scram-sha-256
"""


class PostgresServer(Server):
    """One server; its data lies where the user can go that runs it for root."""

    name = "postgres"
    variable = "LUIGI_TRAFFIC__WAREHOUSE__HOST"
    default_ports = {"postgres": 5432}
    # Fast shutdown: SIGTERM would wait until every client has gone.
    stop_signal = signal.SIGINT

    def prepare(self) -> None:
        private_folder.prepare(self.data, traversable=self._user.switch)
        if not (self.data / "home").exists():
            home = server_home.choose(self.data, self._user)
            private_folder.write_private(self.data / "home", str(home))
        if not self._cluster.data.exists():
            password = self.stack.passwords["POSTGRES_PASSWORD"]
            initdb.create(self._cluster.data, password, self._user, superuser=SUPERUSER)
        certificates = self._certificates
        certificates.ensure()
        hba = Path(self._cluster.home) / "pg_hba.conf"
        private_folder.write_private(hba, _HBA)
        files = {"server.pem": certificates.certificate, "server.key": certificates.key}
        for name, source in files.items():
            copy = Path(self._cluster.home) / name
            private_folder.write_private(copy, source.read_text(encoding="utf-8"))
            self._user.own(copy)
        self._user.own(hba)
        self._cluster.clear_stale_pid_file()

    def command(self) -> list[str]:
        home = Path(self._cluster.home)
        settings = {
            **SETTINGS,
            "port": str(self.port),
            "cluster_name": self._cluster.name,
            "max_connections": "100",
            "hba_file": str(home / "pg_hba.conf"),
            "ssl": "on",
            "ssl_cert_file": str(home / "server.pem"),
            "ssl_key_file": str(home / "server.key"),
            "ssl_min_protocol_version": "TLSv1.2",
            "password_encryption": "scram-sha-256",
        }
        words = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        return [str(self._tool("postgres")), "-D", str(self._cluster.data), *words]

    def environment(self) -> dict[str, str]:
        return {"LC_ALL": "C"}

    def identity(self) -> dict[str, Any]:
        return self._user.identity()

    def probe(self) -> str | None:
        try:
            connection = psycopg2.connect(
                host="localhost",
                hostaddr=HOST,
                port=self.port,
                dbname="postgres",
                user=SUPERUSER,
                password=self.stack.passwords["POSTGRES_PASSWORD"],
                sslmode="verify-full",
                sslrootcert=str(self._certificates.authority),
                connect_timeout=PROBE_TIMEOUT_S,
            )
        except psycopg2.OperationalError as error:
            return f"SELECT 1: {str(error).strip()}"
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1")
        except psycopg2.Error as error:
            return f"SELECT 1: {str(error).strip()}"
        finally:
            connection.close()
        return None

    def finish(self) -> None:
        passwords = self.stack.passwords
        environment = {
            **inherited.environment(),
            "PGHOST": "localhost",
            "PGHOSTADDR": HOST,
            "PGPORT": str(self.port),
            "PGUSER": SUPERUSER,
            "PGPASSWORD": passwords["POSTGRES_PASSWORD"],
            "PGSSLMODE": "verify-full",
            "PGSSLROOTCERT": str(self._certificates.authority),
            "LUIGI_TRAFFIC_WRITER_PASSWORD": passwords["LUIGI_TRAFFIC__WAREHOUSE__PASSWORD"],
            "LUIGI_TRAFFIC_READER_PASSWORD": passwords["LUIGI_TRAFFIC_READER_PASSWORD"],
            "MLFLOW_DB_PASSWORD": passwords["MLFLOW_DB_PASSWORD"],
        }
        script = DOCKER / "postgres" / "roles.sql"
        done = subprocess.run(
            [self._tool("psql"), "--no-psqlrc", "--quiet", "--file", script, "postgres"],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise StoreError(f"postgres: {script.name} failed: {done.stderr.strip()}")

    def strays(self) -> list[psutil.Process]:
        # Each child of the server has a session of its own.
        return self._cluster.processes() if (self.data / "home").exists() else []

    def delete(self) -> None:
        """Its data where that is not in the state folder."""
        record = self.data / "home"
        if record.exists() and (home := Path(record.read_text(encoding="utf-8"))) != self.data:
            shutil.rmtree(home)

    @cached_property
    def _user(self) -> ServerUser:
        return ServerUser.choose()

    @property
    def _certificates(self) -> Certificates:
        return Certificates.at(self.stack.state.tls)

    @property
    def _cluster(self) -> Cluster:
        return Cluster((self.data / "home").read_text(encoding="utf-8"), self.port)

    def _tool(self, name: str) -> Path:
        return Binaries.usable_by(self._user, Path(self._cluster.home)).tool(name)
