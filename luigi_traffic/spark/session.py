"""One Spark session a process, on loopback, quiet, in the zone of nobody.

Timestamps are TIMESTAMP_NTZ: local wall time of the dataset. The session zone is UTC, so
that no conversion can shift them unseen.
"""

from __future__ import annotations

import logging
import os
import re
import shutil
import subprocess
import sys
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from luigi_traffic.errors import SettingsError
from luigi_traffic.layers import home
from luigi_traffic.settings import SparkSettings, settings

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

logger = logging.getLogger("luigi_traffic")
JAVA_NEEDED = 17


def java_version() -> tuple[str, int]:
    """The path of the `java` that Spark would start, and its major version.

    Raises `SettingsError` where there is none or it does not run.
    """
    java_home = os.environ.get("JAVA_HOME")
    java = str(Path(java_home) / "bin" / "java") if java_home else shutil.which("java")
    hint = f"Install Java {JAVA_NEEDED} or newer, or point JAVA_HOME at one."
    if not java:
        raise SettingsError(f"Spark needs Java and there is no `java` on the PATH. {hint}")
    try:
        said = subprocess.run([java, "-version"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as e:
        raise SettingsError(f"Spark needs Java and {java} does not run: {e}. {hint}") from e
    found = re.search(r'version "(?:1\.)?(\d+)', said.stderr + said.stdout)
    return java, int(found[1]) if found else 0


def properties(chosen: SparkSettings) -> dict[str, str]:
    """The Spark properties of a run; `spark.conf` of the settings wins."""
    log4j = files("luigi_traffic.spark") / "log4j2.properties"
    scratch = home() / "tmp" / "spark"
    return {
        "spark.master": chosen.master,
        "spark.app.name": "luigi_traffic",
        "spark.driver.memory": chosen.driver_memory,
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.extraJavaOptions": f"-Dlog4j2.configurationFile=file:{log4j}",
        "spark.local.dir": str(scratch),
        "spark.sql.warehouse.dir": str(scratch / "warehouse"),
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.timestampType": "TIMESTAMP_NTZ",
        "spark.sql.shuffle.partitions": str(chosen.shuffle_partitions),
        "spark.sql.execution.arrow.pyspark.enabled": "true",
        "spark.sql.parquet.compression.codec": "zstd",
        # The manifest is the commit: a marker file would be a second, unread one.
        "spark.hadoop.mapreduce.fileoutputcommitter.marksuccessfuljobs": "false",
        **chosen.conf,
    }


@cache
def session() -> SparkSession:
    """The session of this process; starting it takes about ten seconds."""
    java, version = java_version()
    if version < JAVA_NEEDED:
        raise SettingsError(
            f"Spark needs Java {JAVA_NEEDED} or newer; {java} is version {version}. "
            "Install a newer one, or point JAVA_HOME at it."
        )
    logger.info("starting Spark (%s)", settings().spark.master)
    return start(settings().spark)


def start(chosen: SparkSettings) -> SparkSession:
    """A session with these settings, or the one there is."""
    from pyspark.sql import SparkSession

    if chosen.master.startswith("local"):
        # Else Spark takes the first `python3` on the PATH, which may lack what this one has.
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    (home() / "tmp" / "spark").mkdir(parents=True, exist_ok=True)
    builder = SparkSession.builder
    for key, value in properties(chosen).items():
        builder = builder.config(key, value)
    return builder.getOrCreate()
