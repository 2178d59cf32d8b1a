# ruff: noqa: D102, RUF012 - what a server's methods and attributes are says server.py
"""The MLflow tracking server, and luigid."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from urllib.parse import urlencode

from certificates import Certificates
from inherited import HOST
from minio_server import MinioServer
from minio_users import MLFLOW_BUCKET
from postgres_server import PostgresServer
from server import Server, http_probe

from luigi_traffic.errors import SettingsError
from luigi_traffic.project import current
from luigi_traffic.spark import s3a


class MlflowServer(Server):
    """Runs in PostgreSQL, artifacts in the bucket: clients need no key of either."""

    name = "mlflow"
    variable = "LUIGI_TRAFFIC__TRACKING__URI"
    default_ports = {"mlflow": 5000}
    needs = ("minio", "postgres")

    @property
    def address(self) -> str:
        return self.stack.url("mlflow")

    def command(self) -> list[str]:
        words = [sys.executable, "-m", "mlflow", "server", "--host", HOST, "--port", str(self.port)]
        return [*words, "--workers", "1", "--artifacts-destination", f"s3://{MLFLOW_BUCKET}/"]

    def environment(self) -> dict[str, str]:
        lake = current().settings.lake
        return {
            "MLFLOW_BACKEND_STORE_URI": self._store(),
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "MLFLOW_S3_ENDPOINT_URL": lake.endpoint,
            "MLFLOW_BOTO_CLIENT_ADDRESSING_STYLE": "path" if lake.path_style else "virtual",
            **self._keys(),
            "AWS_DEFAULT_REGION": lake.region,
            "AWS_EC2_METADATA_DISABLED": "true",
            **({"AWS_CA_BUNDLE": str(lake.ca_file)} if lake.ca_file else {}),
        }

    def probe(self) -> str | None:
        return http_probe(self.port, "/health")

    def _keys(self) -> dict[str, str]:
        if MinioServer.variable in self.stack.given:
            found: dict[str, str] = {}
            s3a.put_credentials(current().settings.lake, found)
            return found
        return {
            "AWS_ACCESS_KEY_ID": self.stack.passwords["MLFLOW_S3_ACCESS_KEY"],
            "AWS_SECRET_ACCESS_KEY": self.stack.passwords["MLFLOW_S3_SECRET_KEY"],
        }

    def _store(self) -> str:
        if PostgresServer.variable in self.stack.given:
            named = os.environ.get("MLFLOW_BACKEND_STORE_URI")
            if not named:
                raise SettingsError(
                    "LUIGI_TRAFFIC__WAREHOUSE__HOST names a PostgreSQL of yours: set "
                    "MLFLOW_BACKEND_STORE_URI to MLflow's database too, or "
                    "LUIGI_TRAFFIC__TRACKING__URI to an MLflow server of yours."
                )
            return named
        authority = Certificates.at(self.stack.state.tls).authority
        tls = urlencode({"sslmode": "verify-full", "sslrootcert": str(authority)})
        password = self.stack.passwords["MLFLOW_DB_PASSWORD"]
        return f"postgresql+psycopg2://mlflow:{password}@localhost:{self.stack.ports['postgres']}/mlflow?{tls}"


class Luigid(Server):
    """Luigi's central scheduler, its state on disk."""

    name = "luigid"
    variable = "LUIGI_TRAFFIC_LUIGID"
    default_ports = {"luigid": 8082}

    @property
    def address(self) -> str:
        return self.stack.url("luigid")

    def command(self) -> list[str]:
        words = [sys.executable, "-c", "from luigi.cmdline import luigid; luigid()"]
        words += ["--address", HOST, "--port", str(self.port)]
        return [*words, "--state-path", str(self.data / "state.pickle")]

    def environment(self) -> dict[str, str]:
        return {"LUIGI_CONFIG_PATH": str(Path(__file__).with_name("luigid.cfg"))}

    def probe(self) -> str | None:
        return http_probe(self.port, "/static/visualiser/index.html")
