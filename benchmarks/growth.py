"""How the time of a day grows with its rows: `python benchmarks/growth.py [LINKS …]`.

    --all-up-to LINKS   the largest day of which all links are loaded, too (default: 70,000)
    --rounds ROUNDS     medians of so many (default: 3)

`luigi-traffic simulate` writes a day for each number of links (288 rows of a link; by default from
1 to 171 million rows). `Gold` of dataset its by DuckDB, of the first 23 links of the day and of all
links, each run in a home of its own, in turn. CPU seconds are of all processes, with PostgreSQL.

"Times linear" is the CPU beside that of the next smaller day, divided by how many times the rows
there are: below 1 as long as what a run costs without rows counts, and about 1 after that; above 1
something grows faster than the rows. Needs 15 GB of disk.
"""

from __future__ import annotations

import argparse
import io
import subprocess
import tempfile
import zipfile
from collections.abc import Sequence
from functools import partial
from itertools import islice
from pathlib import Path

from engines import Numbers, in_turn, machine, run
from ingest import ARCHIVE, SLOTS

SIZES = (3_472, 20_000, 70_000, 200_000, 600_000)
FEW = 23


def main(sizes: Sequence[int], all_up_to: int, rounds: int) -> None:
    """Make, run, print."""
    # Not below a folder of root's own: PostgreSQL runs as another user.
    with tempfile.TemporaryDirectory(prefix="luigi-traffic-bench-") as name:
        folders = {links: Path(name) / str(links) for links in sorted(sizes)}
        Path(name).chmod(0o755)
        rows = {links: simulated(folder, links) for links, folder in folders.items()}
        print(f"{machine()}: days of {', '.join(f'{n:,}' for n in rows.values())} rows")
        few = {
            (f"{FEW} links", links): partial(run, "duckdb", folder, first_links(folder))
            for links, folder in folders.items()
        }
        every = {
            ("all links", links): partial(run, "duckdb", folder)
            for links, folder in folders.items()
            if links <= all_up_to
        }
        report(in_turn(few | every, rounds), rows)


def simulated(folder: Path, links: int) -> int:
    """The rows of a day that is written to a folder."""
    subprocess.run(
        ["luigi-traffic", "simulate", "--links", str(links), "--days", "1", "--start",
         "2024-01-10", "--every-slot", "--out", str(folder)],
        check=True, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    with zipfile.ZipFile(folder / ARCHIVE) as archive, archive.open(archive.namelist()[0]) as file:
        blocks = iter(lambda: file.read(1 << 20), b"")
        return sum(block.count(b"\n") for block in blocks) - 1


def first_links(folder: Path) -> list[str]:
    """Of the day, by its first rows."""
    with zipfile.ZipFile(folder / ARCHIVE) as archive, archive.open(archive.namelist()[0]) as file:
        lines = io.TextIOWrapper(file, "utf-8")
        found = (line.split(",")[2] for line in islice(lines, 1, 1 + FEW * SLOTS))
        return list(dict.fromkeys(found))[:FEW]


def report(found: dict[tuple[str, int], Numbers], rows: dict[int, int]) -> None:
    """A line a day, those with the same links beside each other."""
    before: dict[str, tuple[int, float]] = {}
    for (what, links), (wall, cpu, peak) in found.items():
        count = rows[links]
        ratio = ""
        if what in before:
            fewer, least = before[what]
            ratio = f", {cpu / least / (count / fewer):5.2f} times linear"
        before[what] = count, cpu
        millions = count / 1e6
        print(
            f"{what:9} of {count:11,} rows {wall:7.1f} s, {cpu:7.1f} CPU s, a million rows: "
            f"{wall / millions:6.2f} s, {cpu / millions:6.2f} CPU s; peak {peak:6,.0f} MiB{ratio}"
        )


if __name__ == "__main__":
    options = argparse.ArgumentParser()
    options.add_argument("links", nargs="*", type=int)
    options.add_argument("--all-up-to", type=int, default=70_000)
    options.add_argument("--rounds", type=int, default=3)
    given = options.parse_args()
    main(given.links or SIZES, given.all_up_to, given.rounds)
