"""Peak memory and speed of ingesting one big CSV: `python benchmarks/ingest_memory.py [GB]`.

Writes a ZIP of ITS-format text (made here, by repeating a block of rows), ingests it by
the command line in a process of its own, and prints what the operating system says of it.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
HEADER = b"CREATDE,CREATHM,LINKID,ROADINSTTCD,PASNGSPED,PASNGTIME\n"


def write_archive(path: Path, size: int) -> int:
    """A ZIP with one CSV of at least `size` bytes; its number of data rows."""
    rows = 0
    block = b"".join(
        b"20240110,%04d,19%08d,5,%d.%d,%d\n" % (n % 24 * 100, n * 7919 % 10**8, n % 90, n % 10, n)
        for n in range(200_000)
    )
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("20240110_5Min.csv", "w", force_zip64=True) as file,
    ):
        written = file.write(HEADER)
        while written < size:
            written += file.write(block)
            rows += 200_000
    return rows


def ingest(folder: Path) -> tuple[float, float]:
    """Seconds and peak MiB of `luigi … IngestRaw` on the archive in `folder`."""
    environment = os.environ | {
        "LUIGI_TRAFFIC_HOME": str(folder / "home"),
        "LUIGI_TRAFFIC__DATASETS__ITS__URL_TEMPLATE": f"file://{folder}/{{date}}_5Min.zip",
    }
    luigi = str(Path(sys.executable).parent / "luigi")
    command = [luigi, "--module", "luigi_traffic.run", "IngestRaw", "--dataset", "its"]
    started = time.monotonic()
    subprocess.run(
        [*command, "--date", "2024-01-10", "--local-scheduler"],
        cwd=REPOSITORY, env=environment, check=True, capture_output=True,
    )  # fmt: skip
    seconds = time.monotonic() - started
    return seconds, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024


def main(gigabytes: float) -> None:
    """Make, ingest, print."""
    with tempfile.TemporaryDirectory(prefix="luigi-traffic-bench-") as name:
        folder = Path(name)
        rows = write_archive(folder / "20240110_5Min.zip", int(gigabytes * 1e9))
        try:
            seconds, peak = ingest(folder)
            print(
                f"{gigabytes:g} GB of CSV, {rows:,} rows: {seconds:.1f} s, "
                f"{gigabytes * 1000 / seconds:.0f} MB/s, peak {peak:.0f} MiB"
            )
        finally:
            stop = str(Path(sys.executable).parent / "luigi-traffic")
            environment = os.environ | {"LUIGI_TRAFFIC_HOME": str(folder / "home")}
            subprocess.run([stop, "down"], env=environment, check=True, capture_output=True)


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 2.0)
