"""A day from its ZIP to gold on both engines: `python benchmarks/engines.py [ROWS]`.

The kinds take turns, each run in a home of its own: `Gold` of dataset its with all links by DuckDB
and by Spark, and a plain DuckDB script (CSV reader, casts, mean, Parquet, COPY into PostgreSQL)
without rejects, counts, checksums or a commit. CPU seconds are of all processes of the home, with
PostgreSQL and the JVM. Medians of 3.
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
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import psutil
from ingest import ARCHIVE, write_archive

ROUNDS = 3
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


class Cpu(threading.Thread):
    """CPU seconds and peak memory of all processes that have a home in their environment."""

    def __init__(self, home: Path) -> None:
        super().__init__(daemon=True)
        self._home, self._seen, self._end = str(home), {}, threading.Event()
        self.peak = 0

    def run(self) -> None:
        """Look four times a second: a process that ends is counted up to the last look."""
        while not self._end.wait(0.25):
            now = 0
            for process, memory in self._processes():
                now += memory
                used = process.cpu_times()
                self._seen[process.pid, process.create_time()] = used.user + used.system
            self.peak = max(self.peak, now)

    def _processes(self) -> Iterator[tuple[psutil.Process, int]]:
        for process in psutil.process_iter():
            try:
                mine = process.environ().get("LUIGI_TRAFFIC_HOME") == self._home
                if mine or any(self._home in word for word in process.cmdline()):
                    # What PostgreSQL shares is counted once a process otherwise.
                    found = process.memory_info()
                    yield process, found.rss - found.shared
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue

    def stop(self) -> float:
        """The CPU seconds."""
        self._end.set()
        self.join()
        return sum(self._seen.values())


def run(kind: str, folder: Path, links: Sequence[str] = ()) -> tuple[float, float, float]:
    """Wall seconds, CPU seconds and peak MiB, from the ZIP in a folder to gold of some links, or of
    all.
    """
    home = Path(tempfile.mkdtemp(prefix="home-", dir=folder))
    home.chmod(0o755)
    env = os.environ | {
        "LUIGI_TRAFFIC_HOME": str(home),
        "LUIGI_TRAFFIC_CONF": str(home / "conf"),
        "LUIGI_TRAFFIC__INGEST__SETTLE_SECONDS": "0",
        "LUIGI_TRAFFIC__COMPUTE__ENGINE": "duckdb" if kind == "plain DuckDB" else kind,
    }
    settings = {"url_template": f"file://{folder}/{{date}}_5Min.zip", "links": list(links)}
    # A file: a region's links are longer than a variable of the environment may be.
    (home / "conf" / "datasets").mkdir(parents=True)
    (home / "conf" / "datasets" / "its.yml").write_text(json.dumps(settings))
    words = _GOLD
    if kind == "plain DuckDB":
        words = [sys.executable, "-c", _PLAIN, str(home), str(folder / ARCHIVE)]
        if links:
            (home / "links.txt").write_text("\n".join(links))
            words.append(str(home / "links.txt"))
    cpu, started = Cpu(home), time.monotonic()
    cpu.start()
    done = subprocess.run(words, env=env, capture_output=True, text=True, check=False)
    wall = time.monotonic() - started
    spent = cpu.stop()
    if done.returncode:
        sys.exit(f"{kind} failed:\n{done.stdout}{done.stderr}")
    subprocess.run(["luigi-traffic", "down"], env=env, capture_output=True, check=True)
    shutil.rmtree(home)
    return wall, spent, cpu.peak / 2**20


def main(rows: int) -> None:
    """Make, run, print."""
    # Not below a folder of root's own: PostgreSQL runs as another user.
    with tempfile.TemporaryDirectory(prefix="luigi-traffic-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        size = write_archive(folder / ARCHIVE, rows)
        print(
            f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}: "
            f"{rows:,} rows, {size / 1e6:,.0f} MB of text"
        )
        kinds = ["plain DuckDB", "duckdb", "spark"]
        found: dict[str, list[tuple[float, float, float]]] = {kind: [] for kind in kinds}
        for _ in range(ROUNDS):
            for kind in kinds:
                found[kind].append(run(kind, folder))
    least = statistics.median(cpu for _, cpu, _ in found["plain DuckDB"])
    for kind, runs in found.items():
        wall, cpu, peak = (statistics.median(numbers) for numbers in zip(*runs, strict=True))
        print(
            f"{kind:14} {wall:7.1f} s, {cpu:7.1f} CPU s, peak {peak:6,.0f} MiB, "
            f"{cpu / least:5.2f} times the CPU of plain DuckDB"
        )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
