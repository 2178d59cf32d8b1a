"""Loading and reading gold against bare binary COPY: `python benchmarks/gold.py [ROWS]`.

Default: 2,000,000 rows of ten days in an embedded server of its own; each row has a time, a link,
a count and four numbers, three of which are NULL in one row of twenty. Medians of 3, side by side:

load    `copy_batches` of Arrow batches, and COPY of bytes that were encoded before
commit  what a staged table goes through: measure, then check, index and attach
read    `read_gold`, COPY to a counter of bytes, and ADBC if `adbc_driver_postgresql` is installed

Seconds, CPU seconds of this process and of its server session (ADBC has another one, which is not
counted), millions of rows a second, and how fast we are beside the others; peak memory of the read
in bytes a row (Linux).
"""

from __future__ import annotations

import io
import os
import platform
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from datetime import date, timedelta
from multiprocessing import get_context
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pyarrow as pa

from luigi_traffic.processes.postgres.embedded import EmbeddedServer
from luigi_traffic.training.gold import read_gold
from luigi_traffic.warehouse.binary import copy_batches
from luigi_traffic.warehouse.binary_encode import Reader, encode
from luigi_traffic.warehouse.commit import staging
from luigi_traffic.warehouse.connection import Warehouse
from luigi_traffic.warehouse.ledger import LedgerRow
from luigi_traffic.warehouse.partitions import Bounds
from luigi_traffic.warehouse.tables import gold_table

REPEATS = 3
FIRST, DAYS, SLOTS = date(2024, 1, 1), 10, 288
INTERVAL = timedelta(minutes=5)
CHANNELS = ["speed", "t1", "t2", "f1"]
TABLE = gold_table("bench", ["timestamp", "link_id", "n_obs", *CHANNELS])
NAMES = ", ".join(f'"{c.name}"' for c in TABLE.columns)
READ = f'SELECT "timestamp", link_id, {", ".join(CHANNELS)} FROM gold.bench'


class Counter(io.RawIOBase):
    """Takes bytes and forgets them."""

    def writable(self) -> bool:
        """For `io.BufferedWriter`."""
        return True

    def write(self, data: object) -> int:
        """The number of bytes."""
        return len(data)  # type: ignore[arg-type]


class Clock:
    """Runs things one after the other, again and again, and prints medians."""

    def __init__(self, warehouse: Warehouse) -> None:
        self.warehouse = warehouse
        self.taken: dict[str, list[tuple[float, float, float]]] = defaultdict(list)

    def run(self, name: str, work: Callable[[], object]) -> None:
        """Time it once."""
        server = self._server()
        started, cpu = time.monotonic(), time.process_time()
        work()
        self.taken[name].append(
            (time.monotonic() - started, time.process_time() - cpu, self._server() - server)
        )

    def _server(self) -> float:
        """CPU seconds of our session; NaN where /proc is missing."""
        pid = self.warehouse.query("SELECT pg_backend_pid()", 1)[1][0][0]
        with suppress(OSError):
            fields = Path(f"/proc/{pid}/stat").read_text().split()
            return (int(fields[13]) + int(fields[14])) / os.sysconf("SC_CLK_TCK")
        return float("nan")

    def show(self, rows: int, title: str, names: list[str]) -> None:
        """A line for each of `names`; the speed of the first one is compared with the others'."""
        for name in names:
            wall, cpu, server = map(statistics.median, zip(*self.taken[name], strict=True))
            ours = statistics.median(wall for wall, *_ in self.taken[names[0]])
            ratio = f"  {names[0]} / this {wall / ours:5.2f}" if name != names[0] else ""
            print(
                f"{title:7} {name:14} {wall:6.2f} s  CPU {cpu:5.2f} + {server:5.2f} s"
                f"  {rows / wall / 1e6:5.2f} M rows/s{ratio}"
            )


def batch(day: date, links: int) -> pa.RecordBatch:
    rng = np.random.default_rng(day.toordinal())
    rows = links * SLOTS
    slots = np.datetime64(day, "us") + np.arange(SLOTS) * np.timedelta64(300, "s")
    names = pa.array([f"19{n * 7919 % 10**8:08d}" for n in range(links)])
    columns = {
        "timestamp": pa.array(np.repeat(slots, links), pa.timestamp("us")),
        "link_id": names.take(pa.array(np.tile(np.arange(links), SLOTS))),
        "n_obs": pa.array(rng.integers(1, 9, rows)),
    }
    for name in CHANNELS:
        mask = rng.random(rows) < (0 if name == "speed" else 0.05)
        columns[name] = pa.array(rng.normal(50, 9, rows).round(2), mask=mask)
    return pa.record_batch(columns)


def load(clock: Clock, batches: list[pa.RecordBatch]) -> None:
    order = [c.name for c in TABLE.columns]
    prepared = list(encode([b.select(order) for b in batches], TABLE.columns))
    columns = ", ".join(f'"{c.name}" {c.type}' for c in TABLE.columns)

    def into(fill: Callable[[], object], name: str) -> None:
        with clock.warehouse.connect() as conn, conn.cursor() as cursor:
            cursor.execute(f"CREATE TABLE public.bench ({columns})")
        clock.run(name, fill)
        with clock.warehouse.connect() as conn, conn.cursor() as cursor:
            cursor.execute("DROP TABLE public.bench")

    def ours() -> None:
        with clock.warehouse.connect() as conn:
            copy_batches(conn, "public.bench", TABLE.columns, iter(batches))

    def bare() -> None:
        sql = f"COPY public.bench ({NAMES}) FROM STDIN (FORMAT binary)"
        with clock.warehouse.connect() as conn, conn.cursor() as cursor:
            cursor.copy_expert(sql, Reader(iter(prepared)), 1 << 20)

    for _ in range(REPEATS):
        into(bare, "bare COPY")
        into(ours, "copy_batches")


def commit(clock: Clock, day: date, rows: pa.RecordBatch) -> None:
    with staging(clock.warehouse, TABLE, f"{day:%Y%m%d}") as attempt:
        with clock.warehouse.connect() as conn:
            copy_batches(conn, attempt.name, TABLE.columns, [rows])
        clock.run("measure", attempt.checksum)
        content = attempt.checksum()
        row = LedgerRow("gold", "bench", f"{day}", f"id-{day}", {}, [], rows.num_rows, content, {})
        clock.run("commit", lambda: attempt.commit(Bounds.day(day), row))


def gold(warehouse: Warehouse, count: int = DAYS) -> object:
    ids = {f"{FIRST + timedelta(days=n)}": f"id-{FIRST + timedelta(days=n)}" for n in range(count)}
    end = FIRST + timedelta(days=count)
    return read_gold(warehouse, "bench", ids, CHANNELS, FIRST, end, INTERVAL)


def grown(folder: Path) -> float:
    """Bytes that the memory of a process grows by when it reads all days; NaN without /proc."""
    warehouse = Warehouse(EmbeddedServer(folder).ensure_running)
    gold(warehouse, 1)  # imports
    before = memory("VmRSS", reset=True)
    kept = gold(warehouse)
    most = memory("VmHWM") - before
    del kept
    return most


def read(clock: Clock) -> None:
    def bare() -> None:
        with clock.warehouse.connect() as conn, conn.cursor() as cursor:
            stream = io.BufferedWriter(Counter(), 1 << 20)
            cursor.copy_expert(f"COPY ({READ}) TO STDOUT (FORMAT binary)", stream)

    others: list[tuple[str, Callable[[], object]]] = [("bare COPY out", bare)]
    with suppress(ImportError):
        from adbc_driver_postgresql import dbapi

        at = clock.warehouse.dsn().kwargs()
        who = f"{at['user']}:{quote(str(at['password']))}@{at['host']}:{at['port']}"

        def adbc() -> None:
            with (
                dbapi.connect(f"postgresql://{who}/{at['dbname']}") as conn,
                conn.cursor() as cursor,
            ):
                cursor.execute(READ)
                cursor.fetch_arrow_table()

        others.append(("ADBC", adbc))
    for _ in range(REPEATS):
        for name, work in others:
            clock.run(name, work)
        clock.run("read_gold", lambda: gold(clock.warehouse))


def memory(field: str, reset: bool = False) -> float:
    with suppress(OSError):
        if reset:
            Path("/proc/self/clear_refs").write_text("5")
        found = Path("/proc/self/status").read_text().split(f"{field}:")[1]
        return int(found.split()[0]) * 1024
    return float("nan")


def main(rows: str = "2000000") -> None:
    """Fill, load, read, print."""
    links = max(int(rows) // (DAYS * SLOTS), 1)
    days = [FIRST + timedelta(days=n) for n in range(DAYS)]
    batches = [batch(day, links) for day in days]
    total = sum(b.num_rows for b in batches)
    with tempfile.TemporaryDirectory(prefix="luigi-traffic-bench-") as folder:
        Path(folder).chmod(0o711)
        server = EmbeddedServer(Path(folder) / "postgres")
        clock = Clock(Warehouse(server.ensure_running))
        try:
            load(clock, batches)
            for day, of_day in zip(days, batches, strict=True):
                commit(clock, day, of_day)
            del batches, of_day
            read(clock)
            with get_context("spawn").Pool(1) as fresh:
                most = fresh.apply(grown, (server.folder,))
        finally:
            clock.warehouse.close()
            server.destroy()
    print(f"{total:,} rows, {links} links; {platform.platform()}, {os.cpu_count()} cores")
    clock.show(total, "load", ["copy_batches", "bare COPY"])
    for step in ("measure", "commit"):
        clock.show(total // DAYS, "a day", [step])
    clock.show(total, "read", [n for n in ("read_gold", "bare COPY out", "ADBC") if clock.taken[n]])
    print(f"read    {most / total:.1f} bytes a row at the peak")


if __name__ == "__main__":
    main(*sys.argv[1:])
