"""The passwords and keys of the stack: made once, kept in one file that only we read."""

from __future__ import annotations

import secrets
from pathlib import Path

from luigi_traffic.processes import private_folder

#: By their names in the environment; the compose files' `.env` has the same.
NAMES = (
    "MINIO_ROOT_USER",
    "MINIO_ROOT_PASSWORD",
    "LUIGI_TRAFFIC__LAKE__ACCESS_KEY",
    "LUIGI_TRAFFIC__LAKE__SECRET_KEY",
    "MLFLOW_S3_ACCESS_KEY",
    "MLFLOW_S3_SECRET_KEY",
    "POSTGRES_PASSWORD",
    "LUIGI_TRAFFIC__WAREHOUSE__PASSWORD",
    "LUIGI_TRAFFIC_READER_PASSWORD",
    "MLFLOW_DB_PASSWORD",
    "LUIGI_TRAFFIC__SPARK__TOKEN",
    "SPARK_AUTHENTICATE_SECRET",
)


def load(file: Path) -> dict[str, str]:
    """All of them; those that `file` lacks are made and written to it."""
    found: dict[str, str] = {}
    if file.exists():
        lines = file.read_text(encoding="utf-8").splitlines()
        found = dict(line.split("=", 1) for line in lines if line)
    missing = [name for name in NAMES if name not in found]
    if missing:
        # An S3 access key has at most 20 characters, a secret key 40.
        found |= {
            name: secrets.token_hex(8 if name.endswith(("_USER", "ACCESS_KEY")) else 16)
            for name in missing
        }
        text = "".join(f"{name}={value}\n" for name, value in found.items())
        private_folder.write_private(file, text)
    return found
