"""A national day from its ZIP to gold: `python benchmarks/national.py [LINKS [ROUNDS]]`.

`luigi-traffic simulate` writes a day of 600,000 links at all times (171 million rows, 7 GB of CSV).
`Gold` of dataset its by DuckDB, of its 23 default links and of a region's 14,000, takes turns with
the plain script of `engines.py` for the region's links, each in a home of its own; "least" is that
the same ZIP is hashed by hashlib and inflated by isal. CPU seconds are of all processes, with
PostgreSQL. Needs 15 GB of disk.
"""

from __future__ import annotations

import csv
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from engines import run
from ingest import ARCHIVE, LEAST, REPOSITORY
from ingest import run as run_alone

from luigi_traffic_its.settings import ULSAN_LINKS

REGION = "192"


def main(links: int, rounds: int) -> None:
    """Make, run, print."""
    # Not below a folder of root's own: PostgreSQL runs as another user.
    with tempfile.TemporaryDirectory(prefix="luigi-traffic-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        subprocess.run(
            ["luigi-traffic", "simulate", "--links", str(links), "--days", "1", "--start",
             "2024-01-10", "--every-slot", "--out", str(folder)],
            check=True, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        region = _region(folder / "MOCT_LINK.csv")
        packed = (folder / ARCHIVE).stat().st_size
        print(
            f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}: "
            f"{links:,} links in a ZIP of {packed / 1e6:,.0f} MB, {len(region):,} in the region"
        )
        works = {
            "least": lambda: run_alone(LEAST, folder, REPOSITORY),
            "23 links": lambda: run("duckdb", folder, ULSAN_LINKS),
            "region": lambda: run("duckdb", folder, region),
            "region, plain DuckDB": lambda: run("plain DuckDB", folder, region),
        }
        found: dict[str, list[tuple[float, float, float]]] = {what: [] for what in works}
        for _ in range(rounds):
            for what, work in works.items():
                found[what].append(work())
    least = statistics.median(cpu for _, cpu, _ in found["least"])
    for what, runs in found.items():
        wall, cpu, peak = (statistics.median(numbers) for numbers in zip(*runs, strict=True))
        print(
            f"{what:20} {wall:7.1f} s, {cpu:7.1f} CPU s, peak {peak:6,.0f} MiB, "
            f"{cpu / least:5.2f} times the CPU of the least"
        )


def _region(node_links: Path) -> list[str]:
    with node_links.open(encoding="utf-8", newline="") as file:
        return [row["LINK_ID"] for row in csv.DictReader(file) if row["LINK_ID"].startswith(REGION)]


if __name__ == "__main__":
    given = [int(text) for text in sys.argv[1:]]
    main(given[0] if given else 600_000, given[1] if len(given) > 1 else 3)
