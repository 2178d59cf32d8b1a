"""Time of the raw stage against the least it could take: `python benchmarks/ingest.py [ROWS]`.

    --against FOLDER   another checkout, measured in turn with this one

Ingests a ZIP of ITS-format text, made here, into a lake in a folder: copy from a file, hash,
inflate, check, cut into pieces, pack again, seal. The least is that the same ZIP is hashed by
hashlib and inflated by isal. Each run is a process of its own, and the kinds take turns; medians
of 5.
"""

from __future__ import annotations

import argparse
import os
import platform
import random
import statistics
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
ROUNDS = 5
SLOTS = 288
ARCHIVE = "20240110_5Min.zip"
HEADER = b"CREATDE,CREATHM,LINKID,ROADINSTTCD,PASNGSPED,PASNGTIME\n"

_MEASURED = """
import resource, sys, time
before = resource.getrusage(resource.RUSAGE_SELF)
started = time.monotonic()
work()
wall = time.monotonic() - started
after = resource.getrusage(resource.RUSAGE_SELF)
cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
print(wall, cpu, after.ru_maxrss / 1024)
"""
_RAW_STAGE = """
import sys
from datetime import date
from pathlib import Path
from luigi_traffic import HttpZip
from luigi_traffic.ingest.download import ingest
from luigi_traffic.lake.catalog import Catalog
from luigi_traffic.lake.local import LocalStore
from luigi_traffic.settings.keys import IngestSettings
from luigi_traffic_its.dataset import Its
import luigi_traffic.ingest.download

folder, tree = map(Path, sys.argv[1:])
assert Path(luigi_traffic.ingest.download.__file__).is_relative_to(tree)
limits = IngestSettings(settle_seconds=0)
its = Its(Its.Settings(url_template=f"file://{folder}/{{date}}_5Min.zip"))
catalog = Catalog(LocalStore(folder / "lake"))

def work():
    day = ingest(its, date(2024, 1, 10), catalog, limits, folder / "tmp", lambda *_: None)
    assert day.lines > 0

"""
LEAST = """
import hashlib, sys, zipfile
from pathlib import Path
from isal import isal_zlib

def work():
    path = next(Path(sys.argv[1]).glob("*.zip"))
    with path.open("rb") as file:
        hashlib.file_digest(file, "sha256")
    archive = zipfile.ZipFile(path)
    member = archive.infolist()[0]
    left = member.compress_size
    unpacker = isal_zlib.decompressobj(-15)
    with path.open("rb") as file:
        file.seek(member.header_offset + 26)
        name, extra = file.read(2), file.read(2)
        file.seek(int.from_bytes(name, "little") + int.from_bytes(extra, "little"), 1)
        while left:
            packed = file.read(min(1 << 16, left))
            left -= len(packed)
            while packed:
                unpacker.decompress(packed, 1 << 20)
                packed = unpacker.unconsumed_tail

"""


def write_archive(path: Path, rows: int, day: str = "20240110") -> int:
    """A ZIP with a day of about that many rows, as the source packs it; bytes of text."""
    numbers = random.Random(0)
    links = [1_950_000_000 + numbers.randrange(10**7) for _ in range(max(rows // SLOTS, 1))]
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open(f"{day}_5Min.csv", "w", force_zip64=True) as file,
    ):
        written = file.write(HEADER)
        for slot in range(SLOTS):
            at = f"{day},{slot // 12:02d}{slot % 12 * 5:02d}"
            speeds = [max(3.0, numbers.gauss(45, 15)) for _ in links]
            text = "".join(
                f"{at},{link},5,{speed:.1f},{1800 / speed:.0f}\n"
                for link, speed in zip(links, speeds, strict=True)
            )
            written += file.write(text.encode())
    return written


def run(work: str, folder: Path, tree: Path) -> tuple[float, float, float]:
    """Wall seconds, CPU seconds and peak MiB of the work in a process of its own."""
    with tempfile.TemporaryDirectory(dir=folder) as name:
        (Path(name) / ARCHIVE).hardlink_to(folder / ARCHIVE)
        said = subprocess.run(
            [sys.executable, "-c", work + _MEASURED, name, str(tree)],
            cwd=tree, env=os.environ | {"PYTHONPATH": str(tree)}, check=True, capture_output=True,
        )  # fmt: skip
    wall, cpu, peak = map(float, said.stdout.split())
    return wall, cpu, peak


def main(rows: int, against: Path | None) -> None:
    """Make, ingest, print."""
    trees = {"raw stage": (_RAW_STAGE, REPOSITORY)}
    if against:
        trees["raw stage there"] = (_RAW_STAGE, against.absolute())
    works = {"hash and inflate": (LEAST, REPOSITORY)} | trees
    with tempfile.TemporaryDirectory(prefix="luigi-traffic-bench-") as name:
        folder = Path(name)
        size = write_archive(folder / ARCHIVE, rows)
        packed = (folder / ARCHIVE).stat().st_size
        print(
            f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}: "
            f"{size / 1e6:,.0f} MB of text in a ZIP of {packed / 1e6:,.0f} MB"
        )
        found: dict[str, list[tuple[float, float, float]]] = {what: [] for what in works}
        for _ in range(ROUNDS):
            for what, (work, tree) in works.items():
                found[what].append(run(work, folder, tree))
    least = [statistics.median(numbers) for numbers in zip(*found["hash and inflate"], strict=True)]
    for what, runs in found.items():
        wall, cpu, peak = (statistics.median(numbers) for numbers in zip(*runs, strict=True))
        print(
            f"{what:<18} {wall:6.2f} s, {cpu:6.2f} CPU seconds, {size / wall / 1e6:6.0f} MB/s, "
            f"peak {peak:4.0f} MiB; {wall / least[0]:5.2f} times the wall time of the least, "
            f"{cpu / least[1]:5.2f} times its CPU time"
        )


if __name__ == "__main__":
    options = argparse.ArgumentParser()
    options.add_argument("rows", nargs="?", type=int, default=5_760_000)
    options.add_argument("--against", type=Path)
    given = options.parse_args()
    main(given.rows, given.against)
