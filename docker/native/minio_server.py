# ruff: noqa: D102, RUF012 - what a server's methods and attributes are says server.py
"""MinIO: the lake, and the artifacts of MLflow. Each has a user that sees its bucket only."""

from __future__ import annotations

import artifacts
import minio_users
from inherited import HOST
from minio.error import MinioAdminException, S3Error
from server import Server, http_probe
from urllib3.exceptions import HTTPError

from luigi_traffic.errors import StoreError
from luigi_traffic.project import current


class MinioServer(Server):
    """One server, one folder."""

    name = "minio"
    variable = "LUIGI_TRAFFIC__LAKE__ENDPOINT"
    default_ports = {"minio": 9000}
    artifact = artifacts.MINIO

    @property
    def address(self) -> str:
        return self.stack.url("minio")

    def command(self) -> list[str]:
        program = str(self.files() / "minio")
        return [program, "server", "--address", f"{HOST}:{self.port}", str(self.data)]

    def environment(self) -> dict[str, str]:
        names = ("MINIO_ROOT_USER", "MINIO_ROOT_PASSWORD")
        own = {name: self.stack.passwords[name] for name in names}
        return {**own, "MINIO_BROWSER": "off", "MINIO_UPDATE": "off"}

    def probe(self) -> str | None:
        return http_probe(self.port, "/minio/health/ready")

    def finish(self) -> None:
        try:
            minio_users.provide(
                f"{HOST}:{self.port}", current().settings.lake.bucket, self.stack.passwords
            )
        except (S3Error, MinioAdminException, HTTPError) as error:
            raise StoreError(f"minio: buckets and users cannot be made: {error}") from error
