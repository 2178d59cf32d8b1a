"""What the scripts share: the CSV out of the ZIP, and a new table with a primary key.

A script is called with a folder, an archive of one CSV, and, for a part of the country, a file
with a link id a line.
"""

from __future__ import annotations

import sys
import zipfile
from datetime import date
from pathlib import Path

import pyarrow.parquet as pq

from luigi_traffic.project import current
from luigi_traffic.warehouse.load import load_batches
from luigi_traffic.warehouse.partitions import Column

DAY = date(2024, 1, 10)
MAX_SPEED = 150.0
#: The first link id of ten digits.
SMALLEST_LINK = 1_000_000_000
_COLUMNS = [
    Column("timestamp", "timestamp"), Column("link_id", "text"),
    Column("speed", "double precision"), Column("n_obs", "integer"),
]  # fmt: skip


def unpacked() -> tuple[Path, Path, list[str]]:
    """The folder, the CSV that lies in it now, and the links; none: all."""
    folder, archive, *links = map(Path, sys.argv[1:])
    with zipfile.ZipFile(archive) as opened:
        opened.extractall(folder)
    return folder, next(folder.glob("*.csv")), links[0].read_text().split() if links else []


def copy_silver(silver: Path) -> None:
    """A Parquet file into a new table by binary COPY, with the key built after it, as the project
    does."""
    warehouse = current().warehouse
    with warehouse.connect() as conn, conn.cursor() as cursor:
        cursor.execute(
            "CREATE TABLE plain (timestamp timestamp, link_id text, speed float8, n_obs int)"
        )
    load_batches(warehouse.dsn(), "plain", _COLUMNS, pq.ParquetFile(silver).iter_batches())
    with warehouse.connect() as conn, conn.cursor() as cursor:
        cursor.execute("ALTER TABLE plain ADD PRIMARY KEY (timestamp, link_id)")
