"""How fast `luigi-traffic serve` answers: `python benchmarks/serve.py`.

    --links LINKS       links of the fabricated warehouse, 12 steps each (default: 14,000)
    --rate RATE         requests in a second, each /forecast of a link drawn at random (200)
    --seconds SECONDS   for so long (30)
    --tick SECONDS      a process writes a new forecast of all links that often; 0: none (60)

Requests begin at their times, whether the ones before are answered or not, and a time is counted
from then: a server that is behind cannot hide it. The client and the writer have the same cores.
Then pages of all links are asked for, from the warehouse ("cold") and from memory ("kept").
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import psutil
import requests
from engines import machine

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import served

from luigi_traffic.processes.postgres.embedded import EmbeddedServer
from luigi_traffic.warehouse.connection import Warehouse

CONNECTIONS = 32
PAGES = ("/forecast?minutes=15", "/forecast?minutes=15&format=geojson",
         "/forecast?minutes=15&format=arrow", "/speeds", "/links?format=geojson")  # fmt: skip


def main(links: int, rate: float, seconds: float, tick_s: float) -> None:
    """Fabricate, start, ask, print."""
    # Not below a folder of root's own: PostgreSQL runs as another user.
    with tempfile.TemporaryDirectory(prefix="luigi-traffic-bench-") as name:
        home = Path(name)
        home.chmod(0o755)
        names = [f"{1_000_000_000 + n}" for n in range(links)]
        database = EmbeddedServer(home / "postgres")
        try:
            warehouse = Warehouse(database.ensure_running)
            warehouse.migrate()
            served.fill(warehouse, names)
            warehouse.close()
            print(
                f"{machine()}, load {os.getloadavg()[0]:.1f}: {links:,} links, {served.STEPS} steps"
            )
            with running(home) as (process, address):
                with ticking(home, names, tick_s):
                    measure(process, address, names, rate, seconds)
                pages(address)
        finally:
            database.destroy()


@contextmanager
def running(home: Path) -> Iterator[tuple[psutil.Process, str]]:
    """The server, and its address."""
    environment = {**os.environ, "LUIGI_TRAFFIC_HOME": str(home)}
    environment["LUIGI_TRAFFIC__SERVE__REQUESTS_PER_SECOND"] = "100000"
    words = [sys.executable, "-m", "luigi_traffic.cli", "serve", "--port", "0"]
    with (home / "log").open("w") as log:
        process = subprocess.Popen(
            [*words, "--dataset", served.DATASET],
            env=environment, stdout=subprocess.PIPE, stderr=log, text=True,
        )  # fmt: skip
        try:
            assert process.stdout is not None
            yield psutil.Process(process.pid), process.stdout.readline().strip()
        finally:
            process.terminate()
            print(f"SIGTERM: exit code {process.wait(30)}")


@contextmanager
def ticking(home: Path, links: list[str], every_s: float) -> Iterator[None]:
    """Beside it, a process that issues a forecast after the other."""
    if not every_s:
        yield
        return
    process = get_context("spawn").Process(target=tick, args=(home, links, every_s))
    process.start()
    try:
        yield
    finally:
        process.terminate()
        process.join()


def tick(home: Path, links: list[str], every_s: float) -> None:
    """What a tick writes, until the end."""
    warehouse = Warehouse(EmbeddedServer(home / "postgres").ensure_running)
    issued, due = served.ISSUED, time.monotonic() + 5
    while True:
        time.sleep(max(0.0, due - time.monotonic()))
        issued, due = issued + timedelta(minutes=5), due + every_s
        served.issue(warehouse, links, issued)


def measure(
    process: psutil.Process, address: str, links: list[str], rate: float, seconds: float
) -> None:
    """Ask, and print how long it took."""
    requests.get(f"{address}/forecast?link={links[0]}", timeout=60)
    before = sum(process.cpu_times()[:2])
    times, statuses = asyncio.run(asked(address, links, rate, seconds))
    used = sum(process.cpu_times()[:2]) - before
    middle, high, highest = np.percentile(times, [50, 95, 99]) * 1000
    print(
        f"/forecast?link=: {len(times):,} answers in {seconds:g} s ({rate:g} a second), "
        f"statuses {dict(statuses)}: p50 {middle:.1f} ms, p95 {high:.1f} ms, p99 {highest:.1f} ms, "
        f"slowest {max(times) * 1000:.0f} ms; {used / seconds:.2f} cores of the server's process, "
        f"{process.memory_info().rss / 2**20:.0f} MiB"
    )


async def asked(
    address: str, links: list[str], rate: float, seconds: float
) -> tuple[list[float], Counter[int]]:
    """Seconds of each answer from the time that it was due, and the statuses."""
    host, _, port = address.removeprefix("http://").partition(":")
    idle: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()
    for _ in range(CONNECTIONS):
        idle.put_nowait(await asyncio.open_connection(host, int(port)))
    times: list[float] = []
    statuses: Counter[int] = Counter()
    chosen = random.Random(0)

    async def one(due: float) -> None:
        link = chosen.choice(links)
        reader, writer = await idle.get()
        writer.write(f"GET /forecast?link={link} HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode())
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        await reader.readexactly(int(head.partition("content-length: ")[2].split()[0]))
        idle.put_nowait((reader, writer))
        times.append(time.perf_counter() - due)
        statuses[int(head.split()[1])] += 1

    began = time.perf_counter()
    async with asyncio.TaskGroup() as tasks:
        for number in range(int(rate * seconds)):
            due = began + number / rate
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            tasks.create_task(one(due))
    return times, statuses


def pages(address: str) -> None:
    """Print how long a page of all links takes."""
    for path in PAGES:
        took = []
        for _ in range(3):
            began = time.perf_counter()
            answer = requests.get(f"{address}{path}", timeout=60)
            took.append((time.perf_counter() - began) * 1000)
        print(
            f"{path}: {answer.status_code}, {len(answer.content) / 1e6:.2f} MB, cold "
            f"{took[0]:.0f} ms, kept {min(took[1:]):.0f} ms"
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--links", type=int, default=14_000)
    parser.add_argument("--rate", type=float, default=200)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--tick", type=float, default=60)
    chosen = parser.parse_args()
    main(chosen.links, chosen.rate, chosen.seconds, chosen.tick)
