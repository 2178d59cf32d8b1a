"""How long the web page takes to show the links of a city: `python benchmarks/page.py`.

    --links LINKS       links of the fabricated city (default: 14,000)
    --runs RUNS         how often the page is opened, each time in a new browser (5)

From the beginning of the navigation until the map has drawn all links with their speeds and has
nothing more to do, in a headless Chromium that draws by software. Before the first run, the page is
opened once: the server then has its answers in memory, as it does while others look at the page.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from contextlib import closing
from datetime import datetime
from pathlib import Path

import psutil
from engines import machine
from playwright.sync_api import Playwright, sync_playwright

sys.path.extend(str(Path(__file__).parents[1] / "tests" / folder) for folder in (".", "e2e"))

import page_city
from chromium import FLAGS, chromium
from test_page import listening

from luigi_traffic.commands.serve.pool import Pool
from luigi_traffic.processes.postgres.embedded import EmbeddedServer
from luigi_traffic.warehouse.connection import Warehouse

SHOWN = "() => performance.getEntriesByName('links-shown')[0].startTime"
DRAWN = (
    "() => new Set(document.getElementById('map').map.queryRenderedFeatures("
    "{ layers: ['links', 'points'] }).map((one) => one.id)).size"
)


def main(links: int, runs: int) -> None:
    """Fabricate, serve, open, print."""
    # Not below a folder of root's own: PostgreSQL runs as another user.
    with tempfile.TemporaryDirectory(prefix="luigi-traffic-bench-") as name:
        home = Path(name)
        home.chmod(0o755)
        database = EmbeddedServer(home / "postgres")
        try:
            warehouse = Warehouse(database.ensure_running)
            warehouse.migrate()
            page_city.fill(warehouse, datetime(2024, 6, 3, 9, 0), links)
            warehouse.close()
            with (
                closing(Pool(database.ensure_reader, 4, 30)) as pool,
                listening(pool) as address,
                sync_playwright() as playwright,
            ):
                opened(playwright, address)
                took = [opened(playwright, address) for _ in range(runs)]
        finally:
            database.destroy()
    print(f"{machine()}, load {psutil.getloadavg()[0]:.1f}: {links:,} links")
    print(f"ms: {', '.join(f'{ms:.0f}' for ms in took)}; median {statistics.median(took):.0f}")


def opened(playwright: Playwright, address: str) -> float:
    """Milliseconds until the links are shown, in a browser that has never seen the page."""
    with tempfile.TemporaryDirectory(prefix="luigi-traffic-bench-") as profile:
        context = playwright.chromium.launch_persistent_context(
            profile, executable_path=chromium(), args=FLAGS, headless=True
        )
        page = context.new_page()
        page.set_viewport_size({"width": 1280, "height": 800})
        page.goto(f"{address}/?dataset={page_city.DATASET}")
        page.wait_for_selector("#map[data-shown]", timeout=60_000)
        took, drawn = float(page.evaluate(SHOWN)), page.evaluate(DRAWN)
        context.close()
    print(f"{drawn:,} links drawn after {took:.0f} ms")
    return took


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--links", type=int, default=14_000)
    parser.add_argument("--runs", type=int, default=5)
    chosen = parser.parse_args()
    main(chosen.links, chosen.runs)
