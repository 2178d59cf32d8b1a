"""Spark with one worker and with two: `python benchmarks/spark_workers.py [ROWS [ROUNDS]]`.

`Gold` of dataset its with all links by Spark, each run in a home of its own, in turn: on one thread
and on two of the run's own JVM (`local[1]`, `local[2]`), and on a cluster of a master and one or
two workers of one core each, which is up before the clock starts. CPU seconds are of all processes,
with PostgreSQL, and with the start of the cluster's JVMs. Medians of 3.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from urllib.request import urlopen

import pyspark
from engines import ROUNDS, in_turn, machine, report, run
from ingest import ARCHIVE, write_archive

HOST = "127.0.0.1"
_SECONDS = 60


@contextmanager
def local(threads: int, env: dict[str, str]) -> Iterator[None]:
    """So many threads."""
    env["LUIGI_TRAFFIC__SPARK__MASTER"] = f"local[{threads}]"
    yield


@contextmanager
def cluster(workers: int, env: dict[str, str]) -> Iterator[None]:
    """A master and its workers on loopback; only who has the environment may use them."""
    home = Path(env["LUIGI_TRAFFIC_HOME"])
    conf = home / "spark-conf"
    conf.mkdir(mode=0o700)
    (conf / "spark-defaults.conf").write_text(
        f"spark.authenticate true\nspark.authenticate.secret {secrets.token_hex(16)}\n"
    )
    env |= {
        "SPARK_HOME": str(Path(pyspark.__file__).parent),
        "SPARK_CONF_DIR": str(conf),
        "SPARK_LOCAL_IP": HOST,
        "SPARK_LOCAL_DIRS": str(home / "spark-local"),
        "PYSPARK_PYTHON": sys.executable,
    }
    port, page = _free_port(), _free_port()
    address = f"spark://{HOST}:{port}"
    env["LUIGI_TRAFFIC__SPARK__MASTER"] = address
    log = home / "spark.log"
    with ExitStack() as stack:
        _start(stack, env, log, "master.Master", "--port", str(port), "--webui-port", str(page))
        for number in range(workers):
            words = ["--cores", "1", "--memory", "2g", "--webui-port", "0"]
            words += ["--work-dir", str(home / f"work-{number}"), address]
            _start(stack, env, log, "worker.Worker", *words)
        _wait(page, workers, log)
        yield


def _start(stack: ExitStack, env: dict[str, str], log: Path, kind: str, *words: str) -> None:
    command = [f"{env['SPARK_HOME']}/bin/spark-class", f"org.apache.spark.deploy.{kind}"]
    with log.open("ab") as file:
        process = subprocess.Popen(
            [*command, "--host", HOST, *words], env=env, stdout=file, stderr=file
        )
    stack.callback(process.wait)
    stack.callback(process.terminate)


def _wait(page: int, workers: int, log: Path) -> None:
    until = time.monotonic() + _SECONDS
    while time.monotonic() < until:
        time.sleep(0.5)
        try:
            with urlopen(f"http://{HOST}:{page}/json/") as answer:
                if json.load(answer)["aliveworkers"] == workers:
                    return
        except OSError:
            continue  # not yet
    sys.exit(f"Spark's cluster is not up after {_SECONDS} s:\n{log.read_text()}")


def _free_port() -> int:
    with socket.socket() as found:
        found.bind((HOST, 0))
        return int(found.getsockname()[1])


def main(rows: int, rounds: int) -> None:
    """Make, run, print."""
    # Not below a folder of root's own: PostgreSQL runs as another user.
    with tempfile.TemporaryDirectory(prefix="luigi-traffic-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        size = write_archive(folder / ARCHIVE, rows)
        print(f"{machine()}: {rows:,} rows, {size / 1e6:,.0f} MB of text")
        arounds = {
            "local[1]": partial(local, 1),
            "local[2]": partial(local, 2),
            "cluster, 1 worker": partial(cluster, 1),
            "cluster, 2 workers": partial(cluster, 2),
        }
        works = {
            what: partial(run, "spark", folder, around=around) for what, around in arounds.items()
        }
        report(in_turn(works, rounds), "local[1]")


if __name__ == "__main__":
    os.environ.pop("SPARK_REMOTE", None)
    given = [int(text) for text in sys.argv[1:]]
    main(given[0] if given else 1_000_000, given[1] if len(given) > 1 else ROUNDS)
