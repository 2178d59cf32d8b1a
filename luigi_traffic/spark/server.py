"""`python -m luigi_traffic.spark.server`: a Spark Connect server for the lake of the settings.

Any number of Luigi workers and runners share it (`spark.remote`). Its master is
`spark.master`; `spark.conf` may hold more properties, the addresses it binds among them.
The token comes by LUIGI_TRAFFIC__SPARK__TOKEN, and the lake's keys as for everybody.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import NoReturn

from luigi_traffic.errors import SettingsError, TrafficError
from luigi_traffic.project import current
from luigi_traffic.settings.keys import Settings
from luigi_traffic.settings.reading import Layers
from luigi_traffic.spark import s3a
from luigi_traffic.spark.session import server_properties

_CLASS = "org.apache.spark.sql.connect.service.SparkConnectServer"


def prepare(whole: Settings, folder: Path) -> tuple[list[str], dict[str, str]]:
    """Command and environment of the server; its properties go into a file in `folder`.

    Raises `SettingsError` where there is no token: whoever reaches such a server runs
    commands on it.
    """
    import pyspark

    if not whole.spark.token:
        raise SettingsError(
            "setting 'spark.token' is missing: a Connect server without a token accepts commands "
            f"from everybody who can reach it. Set {Layers.variable('spark.token')} for the "
            "server and for those who use it."
        )
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "connect.properties"
    lines = (f"{key}={_escaped(value)}\n" for key, value in server_properties(whole).items())
    file.write_text("".join(lines), encoding="utf-8")
    environment = {
        "SPARK_CONNECT_AUTHENTICATE_TOKEN": whole.spark.token.get_secret_value(),
        "PYSPARK_PYTHON": os.environ.get("PYSPARK_PYTHON", sys.executable),
    }
    s3a.put_credentials(whole.lake, environment)
    submit = Path(os.environ.get("SPARK_HOME") or Path(pyspark.__file__).parent)
    # A cluster's own secret lies in spark-defaults.conf, where it has one.
    command = [str(submit / "bin" / "spark-submit"), "--load-spark-defaults", "--class", _CLASS]
    # The class lies in Spark's own jars: there is no application of ours.
    return [*command, "--properties-file", str(file), "spark-internal"], environment


def _escaped(value: str) -> str:
    """As a Java properties file wants it."""
    return value.replace("\\", "\\\\").replace("\n", "\\n")


def main() -> NoReturn:
    """Become the server; exit 1 with a message where the settings do not allow it."""
    try:
        command, environment = prepare(current().settings, current().home / "services" / "spark")
    except TrafficError as e:
        sys.exit(f"error: {e}")
    os.execve(command[0], command, {**os.environ, **environment})  # noqa: S606


if __name__ == "__main__":
    main()
