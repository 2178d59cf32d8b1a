"""Neighbour features of gold, side by side with a join: `python benchmarks/neighbours.py [ROWS]`.

A day of silver (default: 1,430,000 rows, 288 times, no order) of a road with one link after the
other, four neighbours a link, goes into an embedded PostgreSQL by each engine, three ways in turn:

none   without a graph
join   pairs in Python sets, joined with the rows, grouped, joined back
means  `NeighbourMeans` on the way to the warehouse

CPU seconds are of this process, the JVM and its Python workers, without PostgreSQL. Medians of 3
after a first run that is not counted. The tables of `join` and `means` must be equal.

Then a graph of about 400,000 links (a grid of two-way streets) in a process of its own for each
way: from the rows of its node-link table to its pairs, with the peak of memory.
"""

from __future__ import annotations

import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from itertools import pairwise
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq

from luigi_traffic import functions as F
from luigi_traffic.api.columns import NEIGHBOURS
from luigi_traffic.api.graph import LinkGraph
from luigi_traffic.compute.duckdb_engine import DuckDbEngine
from luigi_traffic.compute.engine import Engine
from luigi_traffic.compute.neighbours import NeighbourMeans, without_neighbours
from luigi_traffic.compute.spark_engine import SparkEngine
from luigi_traffic.lake.local import LocalStore
from luigi_traffic.processes.postgres.embedded import EmbeddedServer
from luigi_traffic.settings.keys import Settings
from luigi_traffic.warehouse.connection import Warehouse
from luigi_traffic.warehouse.tables import gold_table

ROUNDS, SLOTS, STREETS = 3, 288, 317
SCHEMA = [
    {"name": "timestamp", "type": "timestamp_ntz"}, {"name": "link_id", "type": "string"},
    {"name": "speed", "type": "double"}, {"name": "n_obs", "type": "bigint"},
]  # fmt: skip
TABLE = gold_table("bench", [*[column["name"] for column in SCHEMA], *NEIGHBOURS])
Pairs = dict[str, set[tuple[str, str]]]


def write_silver(path: Path, names: list[str]) -> None:
    rng = np.random.default_rng(0)
    count = len(names) * SLOTS
    slots = np.datetime64("2024-01-10", "us") + np.arange(SLOTS) * np.timedelta64(300, "s")
    order = rng.permutation(count)
    columns = [
        pa.array(slots[order % SLOTS], pa.timestamp("us")),
        pa.array(names).take(pa.array(order // SLOTS)),
        pa.array(rng.normal(50, 9, count).round(2)),
        pa.array(rng.integers(1, 9, count)),
    ]
    path.parent.mkdir(parents=True)
    table = pa.table(columns, [column["name"] for column in SCHEMA])
    pq.write_table(table, path, compression="zstd")


def sets(graph: LinkGraph) -> Pairs:
    """The pairs of each feature, by a walk over the edges."""
    before: dict[str, set[str]] = {}
    after: dict[str, set[str]] = {}
    for a, b in graph.edges:
        after.setdefault(a, set()).add(b)
        before.setdefault(b, set()).add(a)
    found: Pairs = {}
    for side, step in (("t", before), ("f", after)):
        found[f"{side}1"] = {(link, n) for link, near in step.items() for n in near}
        found[f"{side}2"] = {
            (link, far)
            for link, near in step.items()
            for n in near
            for far in step.get(n, ())
            if far != link and far not in near
        }
    return found


def joined(engine: Engine, silver: Any, graph: LinkGraph) -> Any:
    rows = [(f, *pair) for f, found in sets(graph).items() for pair in found]
    feature, of, near = zip(*rows, strict=True)
    edges = engine.table(pa.table({"feature": feature, "of": of, "near": near}))
    seen = silver.select(
        F.col("timestamp").alias("at"), F.col("link_id").alias("from"), F.col("speed").alias("seen")
    )
    value = {f: F.when(F.col("feature") == f, F.col("seen")) for f in NEIGHBOURS}
    means = (
        edges.join(seen, F.col("near") == F.col("from"))
        .groupBy("at", "of")
        .agg(*[F.exact_mean(value[f]).alias(f) for f in NEIGHBOURS])
    )
    same = (F.col("timestamp") == F.col("at")) & (F.col("link_id") == F.col("of"))
    return silver.join(means, same, "left").select(*silver.columns, *NEIGHBOURS)


def cpu() -> float:
    """Seconds of this process and of those that live below it."""
    here = psutil.Process()
    used = [process.cpu_times() for process in [here, *here.children(recursive=True)]]
    return sum(times.user + times.system for times in used)


def load(
    warehouse: Warehouse, engine: Engine, store: LocalStore, graph: LinkGraph, kind: str
) -> tuple[float, float, tuple[Any, ...]]:
    """Wall and CPU seconds, and what tells the rows from others."""
    columns = ", ".join(f'"{c.name}" {c.type}' for c in TABLE.columns)
    with warehouse.connect() as conn, conn.cursor() as cursor:
        cursor.execute(f"DROP TABLE IF EXISTS public.bench; CREATE TABLE public.bench ({columns})")
    started, used = time.monotonic(), cpu()
    with engine.in_force():
        frame, means = engine.read(store, [{"key": "silver/day.parquet"}], SCHEMA), None
        if kind == "means":
            means = NeighbourMeans(graph.hops, "speed")
        else:
            frame = joined(engine, frame, graph) if kind == "join" else without_neighbours(frame)
        engine.load(frame, warehouse.dsn(), "public.bench", TABLE.columns, means)
    wall, used = time.monotonic() - started, cpu() - used
    sql = "SELECT count(*), sum(hashtextextended(b::text, 0)) FROM public.bench b"
    return wall, used, warehouse.query(sql, 1)[1][0]


def one_day(rows: int, folder: Path) -> None:
    names = [f"19{n * 7919 % 10**8:08d}" for n in range(max(rows // SLOTS, 3))]
    graph = LinkGraph.from_edges(pairwise(names))
    write_silver(folder / "lake" / "silver" / "day.parquet", names)
    store, server = LocalStore(folder / "lake"), EmbeddedServer(folder / "postgres")
    warehouse = Warehouse(server.ensure_running)
    print(f"{len(names) * SLOTS:,} rows, {len(names):,} links")
    try:
        for engine in (DuckDbEngine(Settings()), SparkEngine(Settings())):
            taken: dict[str, list[tuple[float, float]]] = {}
            for n in range(ROUNDS + 1):
                made = {}
                for kind in ("none", "join", "means"):
                    wall, used, made[kind] = load(warehouse, engine, store, graph, kind)
                    taken.setdefault(kind, []).extend([(wall, used)] if n else [])
                if made["join"] != made["means"]:
                    sys.exit(f"{engine.name}: the tables differ: {made}")
            for kind, runs in taken.items():
                wall, used = map(statistics.median, zip(*runs, strict=True))
                print(f"{engine.name:7} {kind:6} {wall:6.1f} s  CPU {used:5.1f} s", flush=True)
    finally:
        warehouse.close()
        server.destroy()


def streets() -> list[tuple[str, str, str]]:
    """(link, start, end) of a grid of two-way streets."""
    size, found = STREETS, []
    for node in range(size * size):
        x, y = divmod(node, size)
        for dx, dy in ((1, 0), (-1, 0), (0, 1), (0, -1)):
            if 0 <= x + dx < size and 0 <= y + dy < size:
                end = (x + dx) * size + y + dy
                found.append((f"{1_900_000_000 + len(found)}", f"{node}", f"{end}"))
    return found


def pairs_by_sets(graph: LinkGraph) -> int:
    rows = [(f, *pair) for f, found in sets(graph).items() for pair in found]
    feature, of, near = zip(*rows, strict=True)
    return pa.table({"feature": feature, "of": of, "near": near}).num_rows


def pairs_by_arrays(graph: LinkGraph) -> int:
    return sum(len(pairs.of) for pairs in graph.hops.pairs.values())


def peak_memory() -> float:
    """MiB; NaN without /proc. `getrusage` gives a child its parent's peak."""
    with suppress(OSError):
        found = Path("/proc/self/status").read_text().split("VmHWM:")[1]
        return int(found.split()[0]) / 1024
    return float("nan")


def large_graph(way: Callable[[LinkGraph], int]) -> None:
    rows = streets()
    steps = {"rows": time.process_time()}
    graph = LinkGraph.from_nodes(rows)
    steps["graph"] = time.process_time()
    assert graph.checksum
    steps["checksum"] = time.process_time()
    before = peak_memory()
    count = way(graph)
    steps["pairs"] = time.process_time()
    after = peak_memory()
    at = list(steps.values())
    spent = [f"{name} {b - a:.2f}" for name, a, b in zip(list(steps)[1:], at, at[1:], strict=False)]
    print(
        f"{way.__name__:16} {len(rows):,} links, {len(graph):,} edges, {count:,} pairs: CPU "
        f"{', '.join(spent)} s; peak {before:,.0f} MiB before the pairs, {after:,.0f} "
        "with them"
    )


def main(rows: str = "1430000") -> None:
    """Make, run, print."""
    print(f"{platform.platform()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    with tempfile.TemporaryDirectory(prefix="luigi-traffic-bench-") as name:
        Path(name).chmod(0o711)
        os.environ["LUIGI_TRAFFIC_HOME"] = name
        one_day(int(rows), Path(name))
    for way in (pairs_by_sets, pairs_by_arrays):
        process = get_context("spawn").Process(target=large_graph, args=(way,))
        process.start()
        process.join()


if __name__ == "__main__":
    main(*sys.argv[1:])
