"""Spark on S3: the properties of Hadoop's s3a file system for the lake of the settings.

Credentials never stand in a property: Spark's UI shows them all. The JVMs and their
executors read AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN from their
environment, or ask for the keys of the role of the machine that they run on.
"""

from __future__ import annotations

import os
from collections.abc import MutableMapping
from pathlib import Path

from luigi_traffic.errors import SettingsError
from luigi_traffic.settings.keys import LakeSettings

_CLOUD = "org.apache.spark.internal.io.cloud"
_JAR = "hadoop-aws-*.jar"
_TOKEN = "AWS_SESSION_TOKEN"  # noqa: S105 - its name
_AWS = "software.amazon.awssdk.auth.credentials"
_ENVIRONMENT = f"{_AWS}.EnvironmentVariableCredentialsProvider"
#: lake.keys_from → classes that s3a asks in turn. The last one is a container's role, then EC2's.
_PROVIDERS = {
    "settings": _ENVIRONMENT,
    "environment": _ENVIRONMENT,
    "role": f"{_AWS}.WebIdentityTokenFileCredentialsProvider,"
    "org.apache.hadoop.fs.s3a.auth.IAMInstanceCredentialsProvider",
}


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
        "spark.hadoop.fs.s3a.aws.credentials.provider": _PROVIDERS[lake.keys_from],
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
    """Put the lake's keys where the JVM that is started next, and its executors, look.

    A session token of ours, that belongs to other keys, is blotted out: the S3 would refuse both.
    """
    if lake.keys_from == "role" and not os.environ.get("AWS_REGION"):
        # Without one, Java's SDK asks AWS's global STS, whatever AWS_ENDPOINT_URL_STS says.
        environment["AWS_REGION"] = lake.region
    if lake.access_key and lake.secret_key:
        environment["AWS_ACCESS_KEY_ID"] = lake.access_key.get_secret_value()
        environment["AWS_SECRET_ACCESS_KEY"] = lake.secret_key.get_secret_value()
        if lake.session_token:
            environment[_TOKEN] = lake.session_token.get_secret_value()
        elif _TOKEN in os.environ:
            environment[_TOKEN] = ""  # Java's SDK and boto take this for none


def _jars(folder: Path | None) -> list[Path]:
    todo = (
        "Get them with `mvn -f docker/spark/pom.xml dependency:copy-dependencies "
        "-DincludeScope=runtime -DoutputDirectory=FOLDER` and set LUIGI_TRAFFIC__SPARK__JARS to "
        "that folder, or set spark.remote to a Connect server that has them."
    )
    if folder is None:
        raise SettingsError(
            f"setting 'spark.jars' is missing: lake.kind is 's3', and Spark comes without the jars "
            f"that read s3a:// addresses. {todo}"
        )
    if not any(folder.glob(_JAR)):
        raise SettingsError(f"there is no {_JAR} in spark.jars, {folder}. {todo}")
    return sorted(folder.absolute().glob("*.jar"))
