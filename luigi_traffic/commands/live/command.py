"""The loop of `luigi-traffic live`: a tick as soon as it is due, until SIGTERM or Ctrl-C."""

from __future__ import annotations

import logging
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta

from luigi_traffic.api import clock
from luigi_traffic.commands.duration import duration
from luigi_traffic.commands.live.observations import Observations
from luigi_traffic.commands.live.tick import Ticker, latest_due
from luigi_traffic.errors import SettingsError, TransientError
from luigi_traffic.processes.heartbeat import Heartbeat
from luigi_traffic.processes.stop_signal import stop_signal
from luigi_traffic.project import Project
from luigi_traffic.targets.training import other_target
from luigi_traffic.warehouse.ticks import NO_DATA, Tick

logger = logging.getLogger("luigi_traffic")

#: A clock that is set, or a machine that slept, is noticed within this time.
_LOOK_S = 1.0


@dataclass(frozen=True)
class Options:
    """The command line: see `luigi-traffic live --help`."""

    dataset: str | None = None
    target: str = ""
    every: str | None = None
    once: bool = False


def live(project: Project, options: Options) -> bool:
    """Serve until a signal comes. With `once`: one tick, and whether it had data and a forecast.

    Raises `TrafficError` if it cannot begin, or if it is no use to go on.
    """
    dataset = project.plugins.dataset(options.dataset or project.settings.pipeline.dataset)
    source = project.plugins.call(dataset, "live()", dataset.live)
    if source is None:
        raise SettingsError(
            f"the dataset {dataset.name} has whole days alone: its plugin has no method live(). "
            "Choose a dataset that can be asked for the present (--dataset)."
        )
    every = duration(options.every, "--every") if options.every else dataset.interval
    target = other_target(dataset, dataset.measure_to_forecast(options.target, "--target"))
    delay = timedelta(seconds=project.settings.live.delay_seconds)
    pulse = Heartbeat(project.home, f"live-{dataset.name}")
    with ExitStack() as stack:
        stop = stack.enter_context(stop_signal())
        polls = stack.enter_context(source.claimed())
        if not polls:
            logger.info(
                "live %s: another process asks the source; its polls are read", dataset.name
            )
        ticker = Ticker(
            project, dataset, target, every, source.poll if polls else None,
            Observations(project, dataset, source),
        )  # fmt: skip
        try:
            _prepare(ticker, pulse)
            done: datetime | None = None
            while not stop.is_set():
                due = latest_due(clock.now(), dataset, every, delay)
                if due == done:
                    pulse.beat()
                    left = clock.real_seconds(due + every - clock.now())
                    stop.wait(max(0.01, min(left, _LOOK_S)))
                    continue
                pulse.doing(f"tick of {due.isoformat()}")
                fine = _tick(ticker, due, pulse)
                if options.once:
                    return fine
                done = due
                _prepare(ticker, pulse)
                pulse.doing("waiting for the next tick")
            return True
        finally:
            pulse.doing("nothing: the service has ended")


def _prepare(ticker: Ticker, pulse: Heartbeat) -> None:
    pulse.doing("loading the champion, and the days before it")
    ticker.prepare()


def _tick(ticker: Ticker, due: datetime, pulse: Heartbeat) -> bool:
    """Whether the tick had data and a forecast. One that a server kept from its work is left to the
    next tick, which finds it missed."""
    try:
        tick = ticker.tick(due)
    except TransientError as error:
        logger.error("live %s: the tick FAILED: %s", ticker.dataset.name, error)
        pulse.failed(due.isoformat(), str(error))
        return False
    logger.info("live %s: %s", tick.dataset, described(tick))
    if tick.message:
        pulse.failed(due.isoformat(), tick.message)
    else:
        pulse.succeeded(due.isoformat())
    return tick.outcome != NO_DATA and tick.issued_at is not None


def described(tick: Tick) -> str:
    """A tick in one line, for people."""
    said = [f"tick of {tick.due_at:%H:%M:%S} UTC: {tick.outcome}"]
    said.append(f"{tick.rows:,} rows of {tick.polls} polls")
    if tick.rejected:
        said.append(f"{tick.rejected:,} lines rejected")
    said.append(f"feed {tick.feed}, newest interval {tick.newest}")
    if tick.issued_at:
        silent = "" if tick.silent is None else f", {tick.silent:,} silent"
        said.append(
            f"forecast issued at {tick.issued_at} by version {tick.version} for {tick.links:,} "
            f"links{silent}, {tick.fallback:,} by their profile"
        )
    if tick.message:
        said.append(tick.message)
    return "; ".join(said)
