"""What a plan, status, lineage and gc ask, for years of days.

    python benchmarks/plan_requests.py [DAYS …]

Manifests and ledger rows are fabricated; the lake is a folder, the warehouse the embedded
PostgreSQL. A plan is what Luigi asks before it runs a task: `complete()` down the whole tree. Each
scenario begins as a new process does; imports are not counted.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
sys.path[:0] = [str(REPOSITORY / "tests" / "unit" / "commands"), str(REPOSITORY / "tests")]
ROUNDS = 3


def measure(count: int) -> None:
    """Fabricate `count` days, print a line a scenario."""
    from conftest import make_home
    from fabricated import Asked, counted, fabricate, scenarios
    from process_state import forget

    from luigi_traffic.processes.postgres.embedded import EmbeddedServer

    def change(**environment: str | None) -> None:
        for name, value in environment.items():
            if value is None:
                os.environ.pop(name)
            else:
                os.environ[name] = value
        forget()

    with tempfile.TemporaryDirectory(prefix="luigi-traffic-bench-") as folder:
        home = make_home(Path(folder))
        os.environ["LUIGI_TRAFFIC_HOME"] = str(home.path)
        os.environ["LUIGI_TRAFFIC_CONF"] = str(home.conf)
        forget()
        try:
            fabricate(count)
            made = scenarios(count, change)
            made["lineage"]()  # reads every manifest once, into the index
            for name, work in made.items():
                found: list[Asked] = []
                for _ in range(ROUNDS):
                    with counted(found):
                        work()
                asked, seconds = found[-1], statistics.median(one.seconds for one in found)
                print(
                    f"{count:>6,} days  {name:<22} {asked.lists:>3} LIST {asked.reads:>5} GET"
                    f" {asked.sql:>4} SQL {asked.rows:>7,} rows {seconds:>7.2f} s",
                    flush=True,
                )
        finally:
            EmbeddedServer(home.path / "postgres").destroy()


if __name__ == "__main__":
    for days in [int(word) for word in sys.argv[1:]] or [30, 365, 1095]:
        measure(days)
