"""A day from its ZIP to gold on both engines: `python benchmarks/engines.py [ROWS [ROUNDS]]`.

The kinds take turns, each run in a home of its own: `Gold` of dataset its with all links by DuckDB
and by Spark, and plain scripts without counts, checksums or a commit. "Plain DuckDB" (CSV reader,
casts, mean, Parquet, COPY into PostgreSQL) has no bronze; "plain DuckDB, rejects" and "plain
Polars, rejects" write bronze, with each rejected row, its text and its reason, and then silver.
CPU seconds are of all processes of the home, with PostgreSQL and the JVM. Medians of 3.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from cpu import Cpu
from ingest import ARCHIVE, write_archive

ROUNDS = 3
#: Wall seconds, CPU seconds, peak MiB.
Numbers = tuple[float, float, float]
ENGINES = ("duckdb", "spark")
PLAIN = "plain DuckDB"
#: Kinds that are scripts without this project's stages.
SCRIPTS = {
    "plain DuckDB, rejects": "duckdb_rejects.py",
    "plain Polars, rejects": "polars_rejects.py",
    "pandas + to_sql": "pandas_to_sql.py",
    "naive Spark": "naive_spark.py",
}
_GOLD = [
    "luigi", "--module", "luigi_traffic.run", "Gold", "--dataset", "its", "--date", "2024-01-10",
    "--local-scheduler",
]  # fmt: skip
_PLAIN = """
import sys, zipfile
from pathlib import Path
import duckdb
import pyarrow.parquet as pq
from luigi_traffic.project import current
from luigi_traffic.warehouse.load import load_batches
from luigi_traffic.warehouse.partitions import Column

home, archive = map(Path, sys.argv[1:3])
links = sys.argv[3:]
with zipfile.ZipFile(archive) as opened:
    opened.extractall(home)
csv = next(home.glob("*.csv"))
db = duckdb.connect()
silver = home / "silver.parquet"
wanted = f"FROM read_csv('{links[0]}', header = false, all_varchar = true)" if links else ""
where = f"WHERE LINKID IN ({wanted})" if links else ""
db.execute(f\"\"\"
    COPY (
        SELECT strptime(CREATDE || lpad(CREATHM, 4, '0'), '%Y%m%d%H%M') AS timestamp,
            LINKID AS link_id, avg(PASNGSPED::DOUBLE) AS speed, count(*) AS n_obs
        FROM read_csv('{csv}', all_varchar = true) {where} GROUP BY ALL
    ) TO '{silver}' (FORMAT parquet, COMPRESSION zstd)
\"\"\")
warehouse = current().warehouse
columns = [
    Column("timestamp", "timestamp"), Column("link_id", "text"),
    Column("speed", "double precision"), Column("n_obs", "integer"),
]
with warehouse.connect() as conn, conn.cursor() as cursor:
    cursor.execute(
        "CREATE TABLE plain (timestamp timestamp, link_id text, speed float8, n_obs int)"
    )
load_batches(warehouse.dsn(), "plain", columns, pq.ParquetFile(silver).iter_batches())
with warehouse.connect() as conn, conn.cursor() as cursor:
    cursor.execute("ALTER TABLE plain ADD PRIMARY KEY (timestamp, link_id)")
"""


def plain_kinds() -> list[str]:
    """The plain scripts that can run here."""
    kinds = [PLAIN, "plain DuckDB, rejects", "plain Polars, rejects"]
    if find_spec("polars"):
        return kinds
    print("Polars is left out: pip install polars")
    return kinds[:-1]


def run(
    kind: str,
    folder: Path,
    links: Sequence[str] = (),
    around: Callable[[dict[str, str]], AbstractContextManager[object]] = nullcontext,
) -> Numbers:
    """From the ZIP in a folder to gold of some links, or of all. The kind is an engine or a script.

    `around` is given the environment of the run, which it may change, before the clock starts.
    """
    home = Path(tempfile.mkdtemp(prefix="home-", dir=folder))
    home.chmod(0o755)
    env = os.environ | {
        "LUIGI_TRAFFIC_HOME": str(home),
        "LUIGI_TRAFFIC_CONF": str(home / "conf"),
        "LUIGI_TRAFFIC__INGEST__SETTLE_SECONDS": "0",
        "LUIGI_TRAFFIC__COMPUTE__ENGINE": kind if kind in ENGINES else "duckdb",
    }
    settings = {"url_template": f"file://{folder}/{{date}}_5Min.zip", "links": list(links)}
    # A file: a region's links are longer than a variable of the environment may be.
    (home / "conf" / "datasets").mkdir(parents=True)
    (home / "conf" / "datasets" / "its.yml").write_text(json.dumps(settings))
    words = _GOLD
    if kind not in ENGINES:
        words = [sys.executable, *_script(kind), str(home), str(folder / ARCHIVE)]
        if links:
            (home / "links.txt").write_text("\n".join(links))
            words.append(str(home / "links.txt"))
    try:
        with around(env):
            cpu, started = Cpu(home), time.monotonic()
            cpu.start()
            done = subprocess.run(words, env=env, capture_output=True, text=True, check=False)
            wall = time.monotonic() - started
            spent = cpu.stop()
    finally:
        subprocess.run(["luigi-traffic", "down"], env=env, stdout=subprocess.DEVNULL, check=True)
    if done.returncode:
        sys.exit(f"{kind} failed:\n{done.stdout}{done.stderr}")
    shutil.rmtree(home)
    return wall, spent, cpu.peak / 2**20


def _script(kind: str) -> list[str]:
    if kind == PLAIN:
        return ["-c", _PLAIN]
    return [str(Path(__file__).parent / "scripts" / SCRIPTS[kind])]


def in_turn(works: Mapping[Any, Callable[[], Numbers]], rounds: int) -> dict[Any, Numbers]:
    """The medians of each, number by number."""
    found: dict[Any, list[Numbers]] = {what: [] for what in works}
    for _ in range(rounds):
        for what, work in works.items():
            found[what].append(work())
    return {
        what: tuple(statistics.median(numbers) for numbers in zip(*runs, strict=True))
        for what, runs in found.items()
    }


def report(found: Mapping[str, Numbers], against: str) -> None:
    """A line each, and its CPU beside that of one of them."""
    for what, (wall, cpu, peak) in found.items():
        print(
            f"{what:31} {wall:7.1f} s, {cpu:7.1f} CPU s, peak {peak:6,.0f} MiB, "
            f"{cpu / found[against][1]:6.2f} times the CPU of {against}"
        )


def compare(kinds: Sequence[str], rows: int, rounds: int, against: str) -> None:
    """Make a day of ITS format, run the kinds in turn with all links, and report."""
    # Not below a folder of root's own: PostgreSQL runs as another user.
    with tempfile.TemporaryDirectory(prefix="luigi-traffic-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        size = write_archive(folder / ARCHIVE, rows)
        print(f"{machine()}: {rows:,} rows, {size / 1e6:,.0f} MB of text")
        works = {kind: partial(run, kind, folder) for kind in kinds}
        report(in_turn(works, rounds), against)


def machine() -> str:
    """What the figures are of."""
    return f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"


if __name__ == "__main__":
    given = [int(text) for text in sys.argv[1:]]
    rows, rounds = given[0] if given else 1_000_000, given[1] if len(given) > 1 else ROUNDS
    compare([*plain_kinds(), *ENGINES], rows, rounds, PLAIN)
