"""What a day costs beside its rows: `python benchmarks/days.py [DAYS [ROWS]]`.

    --against FOLDER   another checkout, measured in turn with this one
    --no-op DAYS …     how many finished days the no-op is measured of

Many small days: `RangeDaily --of Gold` of dataset its with all links, by DuckDB, from a ZIP a day
to a partition of gold in an embedded PostgreSQL, in one process of Luigi. The first day starts
DuckDB and PostgreSQL and is left out of the medians. CPU seconds are of Luigi's process by stage,
and of PostgreSQL over all days.

The no-op is the whole command again, with the start of Python, over fabricated days that are done.
Medians of 3.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import date, timedelta
from pathlib import Path

import psutil
from ingest import write_archive

REPOSITORY = Path(__file__).parents[1]
ROUNDS = 3
FIRST = date(2024, 1, 10)
_RANGE = [
    "luigi", "--module", "luigi_traffic.run", "RangeDaily", "--of", "Gold", "--days-back", "9999",
    "--task-limit", "9999", "--local-scheduler",
]  # fmt: skip
_FULL = [
    "luigi", "--module", "luigi_traffic.run", "FullPipeline", "--dataset", "tiny", "--model",
    "tiny_model", "--training", '{"epochs": 3}', "--local-scheduler",
]  # fmt: skip
#: Luigi's command with a line a task on stdout: stage, day, wall and CPU seconds.
_TIMED = """
import sys, time
import luigi
from luigi.cmdline import luigi_run

begun = {}

@luigi.Task.event_handler(luigi.Event.START)
def start(task):
    begun[task.task_id] = time.monotonic(), time.process_time()

@luigi.Task.event_handler(luigi.Event.SUCCESS)
def success(task):
    wall, cpu = begun[task.task_id]
    if hasattr(task, "stage"):
        print("timed", task.stage, task.date, time.monotonic() - wall, time.process_time() - cpu)

try:
    luigi_run(sys.argv[1:])
finally:
    print("timed", "process", "-", 0.0, time.process_time())
"""


def _range(dataset: str, first: date, count: int) -> list[str]:
    last = first + timedelta(days=count)
    params = json.dumps({"dataset": dataset})
    return [*_RANGE, "--of-params", params, "--start", str(first), "--stop", str(last)]


def _postgres_cpu(home: Path) -> float:
    """CPU seconds of the home's PostgreSQL, with its sessions that have ended."""
    pid = int((home / "postgres" / "data" / "postmaster.pid").read_text().split()[0])
    server = psutil.Process(pid)
    own = server.cpu_times()
    total = own.user + own.system + own.children_user + own.children_system
    for session in server.children(recursive=True):
        used = session.cpu_times()
        total += used.user + used.system
    return total


def many_days(tree: Path, folder: Path, count: int) -> dict[str, tuple[float, float]]:
    """Stage → medians of the wall and CPU seconds of a warm day, and sums over the stages; at the
    end, the CPU of PostgreSQL and the whole command, divided by the days."""
    home = Path(tempfile.mkdtemp(prefix="home-", dir=folder))
    home.chmod(0o755)
    env = os.environ | {
        "LUIGI_TRAFFIC_HOME": str(home),
        "LUIGI_TRAFFIC__DATASETS__ITS__URL_TEMPLATE": f"file://{folder}/{{date}}_5Min.zip",
        "LUIGI_TRAFFIC__DATASETS__ITS__LINKS": "[]",
        "LUIGI_TRAFFIC__INGEST__SETTLE_SECONDS": "0",
        "LUIGI_TRAFFIC__COMPUTE__ENGINE": "duckdb",
    }
    try:
        # One day first: it makes the database.
        _run(tree, env, _range("its", FIRST - timedelta(days=1), 1))
        before = _postgres_cpu(home)
        began = time.monotonic()
        lines = _run(tree, env, _range("its", FIRST, count))
        wall, server = time.monotonic() - began, _postgres_cpu(home) - before
    finally:
        subprocess.run(["luigi-traffic", "down"], env=env, capture_output=True, check=True)
        shutil.rmtree(home)
    stages: dict[str, list[tuple[float, float]]] = {}
    for _, stage, _, took, cpu in (line.split() for line in lines if line.startswith("timed ")):
        stages.setdefault(stage, []).append((float(took), float(cpu)))
    ((_, all_cpu),) = stages.pop("process")
    found = {stage: _medians(times[1:]) for stage, times in stages.items()}
    found["first day"] = tuple(
        sum(numbers) for numbers in zip(*(t[0] for t in stages.values()), strict=True)
    )
    days = zip(*(times[1:] for times in stages.values()), strict=True)
    sums = [tuple(sum(numbers) for numbers in zip(*day, strict=True)) for day in days]
    found["warm day"] = _medians(sums)
    found["PostgreSQL, a day"] = (0.0, server / count)
    found["whole command, a day"] = (wall / count, (all_cpu + server) / count)
    return found


def _medians(times: list[tuple[float, float]]) -> tuple[float, float]:
    wall, cpu = (statistics.median(numbers) for numbers in zip(*times, strict=True))
    return wall, cpu


def _run(tree: Path, env: dict[str, str], words: list[str]) -> list[str]:
    """The lines of `_TIMED` of a command of Luigi; its other output is for errors alone."""
    done = subprocess.run(
        [sys.executable, "-c", _TIMED, *words[1:]],
        env=env | {"PYTHONPATH": str(tree)}, cwd=tree, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        sys.exit(f"{' '.join(words)} failed:\n{done.stdout}{done.stderr}")
    return [line for line in done.stdout.splitlines() if line.startswith("timed ")]


def no_op(tree: Path, count: int) -> dict[str, list[tuple[float, float]]]:
    """Command → wall and CPU seconds of each round, over that many finished days."""
    sys.path[:0] = [str(REPOSITORY / "tests" / "unit" / "commands"), str(REPOSITORY / "tests")]
    from conftest import make_home
    from fabricated import LAST, days, fabricate
    from process_state import forget

    from luigi_traffic.processes.postgres.embedded import EmbeddedServer

    with tempfile.TemporaryDirectory(prefix="luigi-traffic-bench-") as folder:
        home = make_home(Path(folder))
        os.environ["LUIGI_TRAFFIC_HOME"] = str(home.path)
        os.environ["LUIGI_TRAFFIC_CONF"] = str(home.conf)
        forget()
        try:
            fabricate(count)
            commands = {
                "RangeDaily of Gold": _range("tiny", days(count)[0], count),
                "FullPipeline": [*_FULL, "--date", str(LAST), "--window-days", str(count)],
            }
            return {name: _rounds(tree, words) for name, words in commands.items()}
        finally:
            EmbeddedServer(home.path / "postgres").destroy()


def _rounds(tree: Path, words: list[str]) -> list[tuple[float, float]]:
    found = []
    for _ in range(ROUNDS + 1):
        before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
        lines = _run(tree, dict(os.environ), words)
        wall, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
        if len(lines) != 1:
            sys.exit(f"{' '.join(words)} is no no-op: {lines}")
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        found.append((wall, cpu))
    return found[1:]  # the first one reads each manifest into the index


def main(count: int, rows: int, against: Path | None, finished: list[int]) -> None:
    """Make, run, print."""
    trees = {"here": REPOSITORY} | ({"there": against.absolute()} if against else {})
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    # Not below a folder of root's own: PostgreSQL runs as another user.
    with tempfile.TemporaryDirectory(prefix="luigi-traffic-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        for number in range(-1, count):
            day = f"{FIRST + timedelta(days=number):%Y%m%d}"
            write_archive(folder / f"{day}_5Min.zip", rows, day)
        found: dict[tuple[str, str], list[tuple[float, float]]] = {}
        for _ in range(ROUNDS):
            for where, tree in trees.items():
                for stage, times in many_days(tree, folder, count).items():
                    found.setdefault((stage, where), []).append(times)
    for (stage, where), times in found.items():
        wall, cpu = _medians(times)
        print(f"{stage:22} {where:6} {wall:8.3f} s {cpu:8.3f} CPU s")
    for done in finished:
        for where, tree in trees.items():
            for name, times in no_op(tree, done).items():
                wall, cpu = _medians(times)
                print(
                    f"no-op, {done:,} days, {name:20} {where:6} {wall:6.2f} s {cpu:6.2f} CPU s",
                    flush=True,
                )


if __name__ == "__main__":
    options = argparse.ArgumentParser()
    options.add_argument("days", nargs="?", type=int, default=30)
    options.add_argument("rows", nargs="?", type=int, default=100_000)
    options.add_argument("--against", type=Path)
    options.add_argument("--no-op", nargs="*", type=int, default=[1, 30, 365, 1095])
    given = options.parse_args()
    main(given.days, given.rows, given.against, given.no_op)
