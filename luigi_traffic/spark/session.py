"""One Spark session a process: a JVM of its own on loopback, or a session on a Connect server.

Timestamps are TIMESTAMP_NTZ: local wall time of the dataset. The session zone is UTC, so
that no conversion can shift them unseen.
"""

from __future__ import annotations

import logging
import os
import re
import shutil
import socket
import subprocess
import sys
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from luigi_traffic.errors import SettingsError, StoreError
from luigi_traffic.settings.engine_keys import SparkSettings
from luigi_traffic.settings.keys import Settings
from luigi_traffic.spark import s3a

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

logger = logging.getLogger("luigi_traffic")
JAVA_NEEDED = 17
# What makes Spark's builder choose Connect, whatever its properties say.
_CHOOSE_CONNECT = ("SPARK_REMOTE", "SPARK_CONNECT_MODE_ENABLED", "SPARK_API_MODE")


def java_version() -> tuple[str, int]:
    """The path of the `java` that Spark would start, and its major version.

    Raises `SettingsError` where there is none or it does not run.
    """
    java_home = os.environ.get("JAVA_HOME")
    java = str(Path(java_home) / "bin" / "java") if java_home else shutil.which("java")
    hint = f"Install Java {JAVA_NEEDED} or newer, or point JAVA_HOME at one."
    if not java:
        raise SettingsError(f"Spark needs Java, but there is no `java` on the PATH. {hint}")
    try:
        said = subprocess.run([java, "-version"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as e:
        raise SettingsError(f"Spark needs Java, but {java} does not run: {e}. {hint}") from e
    found = re.search(r'version "(?:1\.)?(\d+)', said.stderr + said.stdout)
    return java, int(found[1]) if found else 0


def server_properties(whole: Settings) -> dict[str, str]:
    """The properties of the Connect server that `luigi_traffic.spark.server` starts.

    Its UI is on, for those who watch; the lake's keys and the token are in its environment.
    """
    return (
        properties(whole)
        | {
            "spark.app.name": "luigi_traffic Connect",
            "spark.ui.enabled": "true",
            "spark.connect.grpc.binding.address": "127.0.0.1",
        }
        | whole.spark.conf
    )


def sql_properties(chosen: SparkSettings) -> dict[str, str]:
    """The properties that make a session ours: any session may set them for itself."""
    return {
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.timestampType": "TIMESTAMP_NTZ",
        "spark.sql.shuffle.partitions": str(chosen.shuffle_partitions),
        "spark.sql.parquet.compression.codec": "zstd",
        # Both cut away what they find empty, with the counts that are taken there.
        "spark.sql.optimizer.excludedRules": (
            "org.apache.spark.sql.catalyst.optimizer.PropagateEmptyRelation"
        ),
        "spark.sql.adaptive.optimizer.excludedRules": (
            "org.apache.spark.sql.execution.adaptive.AQEPropagateEmptyRelation"
        ),
    }


def properties(whole: Settings) -> dict[str, str]:
    """The properties of a session with a JVM of its own; `spark.conf` of the settings wins.

    Raises `SettingsError` if Spark cannot use the home's path.
    """
    chosen = whole.spark
    log4j = Path(str(files("luigi_traffic.spark") / "log4j2.properties"))
    scratch = whole.home / "tmp" / "spark"
    if "," in str(scratch):
        raise SettingsError(
            f"Spark takes a comma in a folder's name for the end of it, so it cannot work in "
            f"{scratch}. Set LUIGI_TRAFFIC_HOME to a folder without a comma in its path"
        )
    return {
        "spark.master": chosen.master,
        "spark.app.name": "luigi_traffic",
        "spark.driver.memory": chosen.driver_memory,
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.extraJavaOptions": f"-Dlog4j2.configurationFile={log4j.as_uri()}",
        "spark.local.dir": str(scratch),
        "spark.sql.warehouse.dir": str(scratch / "warehouse"),
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.execution.arrow.pyspark.enabled": "true",
        # The manifest is the commit: a marker file would be a second, unread one.
        "spark.hadoop.mapreduce.fileoutputcommitter.marksuccessfuljobs": "false",
        **sql_properties(chosen),
        **(s3a.properties(whole.lake, chosen.jars) if whole.lake.kind == "s3" else {}),
        **chosen.conf,
    }


_sessions: dict[int, SparkSession] = {}


def session(whole: Settings) -> SparkSession:
    """The session of this process, started with these settings if there is none.

    A JVM takes about ten seconds to start, a Connect server that runs already takes one. Luigi
    forks its workers: a session of the parent does not work in the child.
    """
    if os.getpid() not in _sessions:
        _sessions[os.getpid()] = start(whole)
    return _sessions[os.getpid()]


def stop() -> None:
    """End the session of this process, if there is one."""
    if found := _sessions.pop(os.getpid(), None):
        found.stop()


def start(whole: Settings) -> SparkSession:
    """A session with these settings, or the one there is.

    Raises `SettingsError` where Java is missing or too old, `StoreError` where the Connect
    server does not answer.
    """
    if whole.spark.remote:
        logger.info("connecting to Spark (%s)", whole.spark.remote)
        return connect(whole.spark)
    java, version = java_version()
    if version < JAVA_NEEDED:
        raise SettingsError(
            f"Spark needs Java {JAVA_NEEDED} or newer; {java} is version {version}. "
            "Install a newer one, or point JAVA_HOME at it."
        )
    logger.info("starting Spark (%s)", whole.spark.master)
    from pyspark.sql import SparkSession

    if whole.spark.master.startswith("local"):
        # Else Spark takes the first `python3` on the PATH, which may lack what this one has.
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    # Inherited from a parent that had a Connect session, or meant for other programs.
    for name in _CHOOSE_CONNECT:
        os.environ.pop(name, None)
    s3a.put_credentials(whole.lake, os.environ)
    (whole.home / "tmp" / "spark").mkdir(parents=True, exist_ok=True)
    builder = SparkSession.builder
    for key, value in properties(whole).items():
        builder = builder.config(key, value)
    return builder.getOrCreate()


def connect(chosen: SparkSettings) -> SparkSession:
    """A session on a Connect server. Raises `StoreError` where it does not answer."""
    from pyspark.errors.exceptions.connect import SparkConnectException
    from pyspark.sql import SparkSession

    if chosen.token:
        # Not in the address: that one is shown.
        os.environ["SPARK_CONNECT_AUTHENTICATE_TOKEN"] = chosen.token.get_secret_value()
    address = urlsplit(chosen.remote)
    try:
        # Spark's client would go on trying for minutes.
        with socket.create_connection((address.hostname or "", address.port or 15002), timeout=10):
            pass
        builder = SparkSession.builder.remote(chosen.remote)
        for key, value in sql_properties(chosen).items():
            builder = builder.config(key, value)
        made = builder.getOrCreate()
        logger.debug("Spark %s", made.version)
    except (OSError, SparkConnectException) as e:
        raise StoreError(
            f"Spark Connect at {chosen.remote} does not answer: {e}. Is the server up, and is "
            "LUIGI_TRAFFIC__SPARK__TOKEN the server's token?"
        ) from e
    return made
