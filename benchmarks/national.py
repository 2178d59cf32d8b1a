"""A national day from its ZIP to gold: `python benchmarks/national.py [LINKS [ROUNDS]]`.

`luigi-traffic simulate` writes a day of 600,000 links at all times (171 million rows, 7 GB of CSV).
`Gold` of dataset its by DuckDB, of its 23 default links and of a region's 14,000, takes turns with
the plain scripts of `engines.py` for the same links, each in a home of its own; "least" is that the
same ZIP is hashed by hashlib and inflated by isal. CPU seconds are of all processes, with
PostgreSQL. LINKS is above 14,000, since only a country has the default links. Needs 15 GB of disk.
"""

from __future__ import annotations

import csv
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

from engines import in_turn, machine, plain_kinds, report, run
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
            f"{machine()}: {links:,} links in a ZIP of {packed / 1e6:,.0f} MB, {len(region):,} in "
            "the region"
        )
        works = {"least": partial(run_alone, LEAST, folder, REPOSITORY)}
        kinds = ["duckdb", *plain_kinds()]
        for what, wanted in (("23 links", ULSAN_LINKS), ("region", region)):
            for kind in kinds:
                works[f"{what}, {kind}"] = partial(run, kind, folder, wanted)
        report(in_turn(works, rounds), "least")


def _region(node_links: Path) -> list[str]:
    with node_links.open(encoding="utf-8", newline="") as file:
        return [row["LINK_ID"] for row in csv.DictReader(file) if row["LINK_ID"].startswith(REGION)]


if __name__ == "__main__":
    given = [int(text) for text in sys.argv[1:]]
    main(given[0] if given else 600_000, given[1] if len(given) > 1 else 3)
