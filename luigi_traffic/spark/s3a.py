"""Spark on S3: the properties of Hadoop's s3a file system for the lake of the settings.

Credentials never stand in a property: Spark's UI shows them all. The JVMs and their
executors read AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY from their environment.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from pathlib import Path

from luigi_traffic.errors import SettingsError
from luigi_traffic.settings import LakeSettings

_CLOUD = "org.apache.spark.internal.io.cloud"
_JAR = "hadoop-aws-*.jar"


def properties(lake: LakeSettings, jars: Path | None) -> dict[str, str]:
    """Spark properties that open `s3a://`; `jars` is the folder of `spark.jars`.

    Raises `SettingsError` where the jars are not there.
    """
    return {
        "spark.jars": ",".join(str(jar) for jar in _jars(jars)),
        "spark.hadoop.fs.s3a.endpoint": lake.endpoint,
        "spark.hadoop.fs.s3a.endpoint.region": lake.region,
        "spark.hadoop.fs.s3a.path.style.access": str(lake.path_style).lower(),
        "spark.hadoop.fs.s3a.connection.ssl.enabled": str(
            lake.endpoint.startswith("https")
        ).lower(),
        "spark.hadoop.fs.s3a.aws.credentials.provider": (
            "software.amazon.awssdk.auth.credentials.EnvironmentVariableCredentialsProvider"
        ),
        # A task's files are multipart uploads that the job completes at its end: no rename,
        # nothing of a failed attempt to be seen.
        # https://hadoop.apache.org/docs/current/hadoop-aws/tools/hadoop-aws/committers.html
        "spark.hadoop.fs.s3a.committer.name": "magic",
        "spark.hadoop.mapreduce.outputcommitter.factory.scheme.s3a": (
            "org.apache.hadoop.fs.s3a.commit.S3ACommitterFactory"
        ),
        "spark.sql.sources.commitProtocolClass": f"{_CLOUD}.PathOutputCommitProtocol",
        "spark.sql.parquet.output.committer.class": f"{_CLOUD}.BindingParquetOutputCommitter",
    }


def put_credentials(lake: LakeSettings, environment: MutableMapping[str, str]) -> None:
    """Put the lake's keys where the JVM that is started next, and its executors, look."""
    if lake.access_key and lake.secret_key:
        environment["AWS_ACCESS_KEY_ID"] = lake.access_key.get_secret_value()
        environment["AWS_SECRET_ACCESS_KEY"] = lake.secret_key.get_secret_value()


def _jars(folder: Path | None) -> list[Path]:
    todo = (
        "Get them with `mvn -f docker/spark/pom.xml dependency:copy-dependencies "
        "-DincludeScope=runtime -DoutputDirectory=FOLDER` and set LUIGI_TRAFFIC__SPARK__JARS to "
        "that folder, or let spark.remote name a Connect server that has them."
    )
    if folder is None:
        raise SettingsError(
            f"setting 'spark.jars' is missing: lake.kind is 's3', and Spark comes without the jars "
            f"that read s3a:// addresses. {todo}"
        )
    if not any(folder.glob(_JAR)):
        raise SettingsError(f"there is no {_JAR} in spark.jars, {folder}. {todo}")
    return sorted(folder.absolute().glob("*.jar"))
