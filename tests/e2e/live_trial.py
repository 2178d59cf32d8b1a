"""A day of `luigi-traffic live` on the simulated town, and the pipeline before and after it.

Each step runs in a process that is forked for it, so that it can be killed and the imports are done
once; the clock stands still in it. Prints how each of them ended, as a line of JSON.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import luigi
import mlflow.store.model_registry.sqlalchemy_store
import mlflow.store.tracking.sqlalchemy_store  # noqa: F401 - here once, and not in each process
import torch  # noqa: F401

import luigi_traffic.compute.live_day
import luigi_traffic.training.trainer  # noqa: F401
from luigi_traffic import home
from luigi_traffic.api import clock
from luigi_traffic.commands.live.next_steps import Champion
from luigi_traffic.commands.live.observations import Observations
from luigi_traffic.commands.live.tick import Ticker, latest_due
from luigi_traffic.crashpoints import VARIABLE, CrashPoint
from luigi_traffic.errors import SourceError
from luigi_traffic.project import current
from luigi_traffic.tasks.evaluate import Evaluate
from luigi_traffic.tasks.forecast import Forecast
from luigi_traffic.tasks.gold import Gold
from luigi_traffic.tasks.pipeline import FullPipeline
from luigi_traffic.warehouse import live
from luigi_traffic_its_openapi import polls as stored
from luigi_traffic_its_openapi.polls import Polls
from luigi_traffic_its_sim.service import Service
from luigi_traffic_its_sim.settings import ItsSimSettings

LINKS = 8
DAY = date(2024, 1, 12)
POINTS = [point for point in CrashPoint if point.startswith("live.")]
_EVERY, _DELAY = timedelta(minutes=5), timedelta(seconds=20)

service = Service(ItsSimSettings(links_count=LINKS))
polls = Polls(home() / "its_openapi")


def store(at: datetime, silent: int) -> None:
    polls.store(service.items(at)[silent:], at)


def store_all(first: datetime, last: datetime, every: timedelta = _EVERY) -> None:
    """All polls of a span, without waiting for the disk."""
    kept, stored.os.fsync = stored.os.fsync, lambda handle: None
    try:
        while first <= last:
            store(first, 0)
            first += every
    finally:
        stored.os.fsync = kept


def tick(at: datetime, silent: bool, fails: bool, prepared: bool) -> None:
    """One tick of a runner that has just started; of `silent`, the first link reports nothing.

    One that is prepared must load nothing.
    """

    def poll() -> str:
        if fails:
            raise SourceError("503 Service Unavailable")
        store(clock.now().astimezone(ZoneInfo("Asia/Seoul")).replace(tzinfo=None), silent)
        return "stored"

    project = current()
    dataset = project.plugins.dataset("its_openapi")
    source = dataset.live()
    assert source
    observations = Observations(project, dataset, source)
    ticker = Ticker(project, dataset, "", _EVERY, poll, observations)
    with clock.stopped_at(at.replace(tzinfo=ZoneInfo("Asia/Seoul"))):
        if prepared:
            ticker.prepare()
            Champion.current = None  # type: ignore[method-assign,assignment]
        ticker.tick(latest_due(clock.now(), dataset, _EVERY, _DELAY))


def forked(work: Callable[[], object], crash: str = "", times: int = 1) -> Sequence[int]:
    """How so many processes ended that did the same: exit codes, or minus a signal."""
    children = []
    for _ in range(times):
        if not (child := os.fork()):
            code = 1
            try:
                os.environ[VARIABLE] = crash
                code = 1 if work() is False else 0
            except Exception:  # noqa: BLE001 - its exit code says it
                traceback.print_exc()
            finally:
                sys.stderr.flush()
                os._exit(code)
        children.append(child)
    return [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]


def ticked(
    at: datetime, crash: str = "", fails: bool = False, times: int = 1, prepared: bool = False
) -> Sequence[int]:
    """The same tick in so many processes; one link is silent."""
    return forked(lambda: tick(at, True, fails, prepared), crash, times)


def ran(now: datetime, task: luigi.Task) -> Sequence[int]:
    """A task of the pipeline and what it requires."""

    def work() -> bool:
        with clock.stopped_at(now.replace(tzinfo=ZoneInfo("Asia/Seoul"))):
            return bool(luigi.build([task], local_scheduler=True))

    return forked(work)


def morning(midnight: datetime) -> dict[str, object]:
    """Kills, a race, an outage, a runner that was off, and a clock that is set back."""
    at = midnight + timedelta(hours=6, seconds=20)
    ended: dict[str, object] = {"first": ticked(at)}
    for point in POINTS:
        at += _EVERY
        ended[point.value] = ticked(at, crash=point.value)
    at += _EVERY
    ended["race"] = ticked(at, times=2)
    ended["outage"] = [*ticked(at + _EVERY, fails=True), *ticked(at + 2 * _EVERY, fails=True)]
    at += 6 * _EVERY
    ended["after a pause"] = ticked(at)
    ended["set back"] = ticked(at - timedelta(seconds=10))
    return ended


def same_rows() -> bool:
    """Whether live rows and gold of the day agree row for row."""
    columns = ("timestamp", "link_id", "speed", "n_obs")
    with current().warehouse.connect() as connection:
        return live.differences(connection, "its_openapi", columns, DAY) == (0, 0)


def main() -> dict[str, object]:
    midnight = datetime.combine(DAY, time())
    store_all(midnight - timedelta(days=2), midnight - _EVERY)
    few = {"evaluation_windows": 20}
    pipeline = FullPipeline(
        dataset="its_openapi", model="ridge", date=DAY - timedelta(days=1), window_days=2,
        training=few,
    )  # fmt: skip
    ended: dict[str, object] = {"pipeline": ran(midnight + timedelta(hours=1), pipeline)}
    ended |= morning(midnight)
    # As if another process had polled while no runner was at work.
    store_all(
        midnight + timedelta(hours=7, minutes=5, seconds=20),
        midnight + timedelta(days=1),
        6 * _EVERY,
    )
    after = midnight + timedelta(days=1, minutes=35)
    ended["rest"] = ticked(after)
    ended["gold"] = ran(after, Gold(dataset="its_openapi", date=DAY))
    ended["same rows"] = forked(same_rows)
    ended["forecast"] = ran(after, Forecast(dataset="its_openapi", date=DAY))
    ended["evaluation"] = ran(after, Evaluate(dataset="its_openapi", date=DAY))
    ended["after"] = ticked(after + timedelta(minutes=25), prepared=True)
    return ended


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    sys.stdout.write(json.dumps(main()) + "\n")
