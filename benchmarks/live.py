"""The acceptance trial of `luigi-traffic live`: `python benchmarks/live.py`.

    --links N     of the simulated town (default 14000)
    --pace N      how many times as fast as in the world time passes (default 20)
    --hours N     of traffic (default 2), from six in the morning
    --kills N     of the runner by SIGKILL, in the first half of them (default 30)
    --seed N      of the moments at which it is killed (default 0)

In a home of its own: two days of polls of the town, gold of them, and a champion of model ridge;
then `its-sim-serve` and `luigi-traffic live`. In the first half the runner is killed in the middle
of ticks and started again at once. After that its clock goes 90 s behind for a tenth of the time,
and in the rest one runner is at work without a kill; the feed is down for 20 minutes of traffic.
At the end the day becomes gold, is compared with the live rows, and its live forecasts with the
rolling ones of the same champion.

Prints how long ticks take in real seconds, which were missed, and the memory of the last runner.
Linux only. The town takes minutes to begin.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import sys
import tempfile
import time as clock_of_the_world
from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from pathlib import Path

from live_parts import OUTAGE, Runner, Server, clock_at, command, kill_times

DAY = date(2024, 6, 4)
BEGIN = datetime.combine(DAY, time(6))
HISTORY = (DAY - timedelta(days=2), DAY - timedelta(days=1))
#: So far apart are the polls of the days before: an eighth of the rows makes a champion as well.
POLL_EVERY = timedelta(minutes=20)
STEP = timedelta(seconds=90)
_TRAINING = '{"evaluation_windows": 20, "validation_samples": 20000}'


def prepare(links: int) -> None:
    """Polls of the days before, and the champion that is made of them."""
    from luigi_traffic import home
    from luigi_traffic_its_openapi.polls import Polls
    from luigi_traffic_its_sim.service import Service
    from luigi_traffic_its_sim.settings import ItsSimSettings

    service, polls = Service(ItsSimSettings(links_count=links)), Polls(home() / "its_openapi")
    for day in HISTORY:
        # Each link has reported by then: the day before would be simulated for one that has not.
        at = datetime.combine(day, time(3 if day == HISTORY[0] else 0, 5))
        while at.date() == day:
            polls.store(service.items(at), at)
            at += POLL_EVERY
    # No FullPipeline: nobody needs the forecast of the day before.
    pipeline = (
        "luigi", "--module", "luigi_traffic.run", "Train", "--dataset", "its_openapi", "--model",
        "ridge", "--date", str(HISTORY[-1]), "--window-days", "2", "--training", _TRAINING,
        "--local-scheduler",
    )  # fmt: skip
    command(*pipeline, clock=clock_at(datetime.combine(DAY, time(1))))


def trial(server: Server, runner: Runner, hours: float, kills: int, seed: int) -> None:
    """All that happens to the runner, until the hours are over."""
    span = timedelta(hours=hours)
    runner.time_a_tick()
    for at in kill_times(kills, BEGIN, span / 2, seed):
        if server.is_past(BEGIN + span / 2):  # it does not come to a tick any more
            break
        server.wait_until(at)
        runner.kill_in_a_tick()
    server.wait_until(BEGIN + span / 2)
    runner.restart(server.clock(-STEP))
    server.wait_until(BEGIN + span * 0.6)
    runner.restart(server.clock())
    runner.watch()
    server.wait_until(BEGIN + span)
    runner.stop()


def day_over() -> tuple[bool, list[dict[str, object]]]:
    """Make the day gold and score it: whether live rows are the same, and the scores by step."""
    from luigi_traffic.project import current
    from luigi_traffic.warehouse import live

    after = clock_at(datetime.combine(DAY, time(0, 35)) + timedelta(days=1))
    of_day = ("--dataset", "its_openapi", "--date", str(DAY), "--local-scheduler")
    for task in ("Gold", "Forecast", "Evaluate"):
        command("luigi", "--module", "luigi_traffic.run", task, *of_day, clock=after)
    with current().warehouse.connect() as connection:
        table = live.live_table("its_openapi", ())
        columns = [c for c in table.existing_columns(connection) if c != "arrived_at"]
        differ = live.differences(connection, "its_openapi", columns, DAY)
    print(f"live rows that gold lacks: {differ[0]:,}; the other way round: {differ[1]:,}")
    shown = command("luigi-traffic", "evaluation", "its_openapi", "--live", "--json", clock=after)
    return differ == (0, 0), json.loads(shown)


def rows(sql: str) -> list[tuple[object, ...]]:
    """Of the warehouse."""
    from luigi_traffic.project import current

    return current().warehouse.query(sql, None)[1]


def tell(pace: float, runner: Runner, scores: Sequence[dict[str, float | None]]) -> None:
    """Print what was measured."""
    done = rows(
        "SELECT extract(epoch FROM rows_at - polled_at), extract(epoch FROM forecast_at - rows_at),"
        " polls, rows FROM meta.ticks WHERE polls > 0 ORDER BY due_at"
    )
    for name, column, wanted in (("poll to rows", 0, 30), ("rows to forecast", 1, 10)):
        seconds = sorted(float(row[column]) / pace for row in done if row[column] is not None)
        p95 = seconds[min(len(seconds) - 1, int(0.95 * len(seconds)))]
        print(
            f"{name:18} p50 {statistics.median(seconds):6.2f} s, p95 {p95:6.2f} s, most "
            f"{seconds[-1]:6.2f} s (wanted: at most {wanted} s), {len(seconds)} ticks"
        )
    for outcome, feed, count in rows(
        "SELECT outcome, feed, count(*) FROM meta.ticks GROUP BY 1, 2 ORDER BY 1, 2"
    ):
        print(f"ticks {outcome}, feed {feed}: {count}")
    (early, late) = rows(
        'SELECT count(*) FILTER (WHERE "timestamp" < issued_at), count(*)'
        " FROM forecast.its_openapi WHERE kind = 'live'"
    )[0]
    (in_time, issued) = rows(
        "SELECT count(*) FILTER (WHERE forecast_at AT TIME ZONE 'Asia/Seoul' < issued_at"
        " + interval '5 minutes'), count(issued_at) FROM meta.ticks WHERE issued_at IS NOT NULL"
    )[0]
    print(f"live forecasts {late:,} rows, {early:,} of them for a time before their issue")
    print(f"stored before the end of their first interval: {in_time} of {issued}")
    print(f"kills {runner.kills}, {runner.kills_in_ticks} of them in a tick")
    names = ("start", "middle", "end")
    for name, mib in zip(names, runner.memory(), strict=True):
        print(f"memory of the last runner, {name}: {mib:,.0f} MiB")
    for row in scores:
        excess, mae = row["rolling_excess"], row["mae"]
        if excess is not None and mae is not None:
            print(f"step {row['step']}: MAE {mae:.3f}, against rolling {excess:+.3%}")


def main(links: int, pace: float, hours: float, kills: int, seed: int) -> None:
    """Prepare, run, print."""
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    print(f"{links:,} links, pace {pace:g}, {hours:g} hours, {kills} kills")
    # Not below a folder of root's own: PostgreSQL runs as another user.
    folder = Path(tempfile.mkdtemp(prefix="luigi-traffic-bench-"))
    folder.chmod(0o755)
    os.environ |= {
        "LUIGI_TRAFFIC_HOME": str(folder / "home"),
        "LUIGI_TRAFFIC__DATASETS__ITS_SIM__LINKS_COUNT": str(links),
        "LUIGI_TRAFFIC__DATASETS__ITS_OPENAPI__API_KEY": "sim",
        "LUIGI_TRAFFIC__COMPUTE__ENGINE": "duckdb",
        # All steps of the day would be 8 GB of rolling forecasts.
        "LUIGI_TRAFFIC__FORECAST__ROLLING_STEPS": "[3, 6, 12]",
    }
    began = clock_of_the_world.monotonic()
    try:
        prepare(links)
        print(f"prepared in {clock_of_the_world.monotonic() - began:.0f} s", flush=True)
        outage = BEGIN + timedelta(hours=hours) * 0.7
        with Server(BEGIN, pace, (outage, outage + OUTAGE), folder) as server:
            print(f"serving after {clock_of_the_world.monotonic() - began:.0f} s", flush=True)
            with Runner(server.clock(), folder / "live.log", seed) as runner:
                trial(server, runner, hours, kills, seed)
        same, scores = day_over()
        tell(pace, runner, scores)
        print("live equals the day's partition" if same else "live DIFFERS from the partition")
    finally:
        command("luigi-traffic", "down")
        shutil.rmtree(folder)


if __name__ == "__main__":
    options = argparse.ArgumentParser()
    options.add_argument("--links", type=int, default=14_000)
    options.add_argument("--pace", type=float, default=20)
    options.add_argument("--hours", type=float, default=2)
    options.add_argument("--kills", type=int, default=30)
    options.add_argument("--seed", type=int, default=0)
    given = options.parse_args()
    if timedelta(hours=given.hours) * 0.3 < OUTAGE:
        sys.exit(f"--hours {given.hours:g}: the outage alone takes {OUTAGE}")
    main(given.links, given.pace, given.hours, given.kills, given.seed)
