"""What of our environment the programs that we start may see."""

from __future__ import annotations

import os

HOST = "127.0.0.1"
# What would steer a server, or tell it secrets that are none of its business.
_NOT_FOR_THEM = ("LUIGI_", "AWS_", "MLFLOW_", "MINIO_", "SPARK_", "PYSPARK_", "KAFKA_", "PG")


def environment() -> dict[str, str]:
    """Ours without what is meant for clients; loopback is reached without a proxy."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_NOT_FOR_THEM)}
    no_proxy = ",".join(filter(None, (os.environ.get("NO_PROXY"), HOST, "localhost")))
    return {**kept, "NO_PROXY": no_proxy, "no_proxy": no_proxy}
