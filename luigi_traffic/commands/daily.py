"""`luigi-traffic daily`: the pipeline for the day that just ended, once or every day at a time.

Each run is a Luigi process of its own that looks for itself at what is there: one that finds
its work done ends in seconds. So nothing here keeps a state (docs/decisions/0015-daily.md).
"""

from __future__ import annotations

import json
import logging
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from datetime import date as Date
from functools import partial
from typing import Any, Protocol
from zoneinfo import ZoneInfo

from luigi_traffic.api import clock as clocks
from luigi_traffic.api.settled import last_settled_day
from luigi_traffic.errors import SettingsError
from luigi_traffic.processes.heartbeat import Heartbeat, Pulse
from luigi_traffic.processes.luigi_run import LuigiRun, RunTimeout, command
from luigi_traffic.processes.stop_signal import stop_signal
from luigi_traffic.project import Project
from luigi_traffic.tasks.announce import AnnounceRaw
from luigi_traffic.tasks.gold import Gold
from luigi_traffic.tasks.pipeline import FullPipeline

logger = logging.getLogger("luigi_traffic")

CATCH_UP_DAYS = 7
FIRST_PAUSE = timedelta(minutes=1)
LONGEST_PAUSE = timedelta(hours=1)
#: A machine that slept, or whose clock was set, is noticed within this time.
_LOOK_S = 30.0


@dataclass(frozen=True)
class Options:
    """The command line: see `luigi-traffic daily --help`."""

    dataset: str | None = None
    model: str | None = None
    at: time | None = None
    catch_up: int = CATCH_UP_DAYS
    luigi_arguments: Sequence[str] = ()


class Run(Protocol):
    """What `LuigiRun` does."""

    def start(self) -> None:
        """Start it. Raises OSError."""

    def wait(
        self, stop: threading.Event, seconds: float, meanwhile: Callable[[], None]
    ) -> int | None:
        """Its exit status; None where `stop` came first, and it was stopped. Raises RunTimeout."""


class Clock:
    """The time, and waiting for it."""

    def now(self) -> datetime:
        """Now, in UTC."""
        return clocks.now()

    def wait(self, stop: threading.Event, seconds: float) -> None:
        """Return after that time of this clock, or when `stop` is set."""
        stop.wait(clocks.real_seconds(timedelta(seconds=seconds)))


@dataclass(frozen=True)
class Schedule:
    """A day is due when the next day's wall clock shows `at`, and the day has settled."""

    at: time
    zone: ZoneInfo
    settles_after: timedelta = timedelta(0)

    def moment(self, day: Date) -> datetime:
        """When the wall clock of `day` shows `at`, in UTC.

        The first of the two where the clock is put back, and as much later as the clock is
        put forward where it skips `at`: once a day, always.
        """
        return datetime.combine(day, self.at, self.zone).astimezone(UTC)

    def due(self, now: datetime) -> tuple[Date, datetime]:
        """The newest day that is due, and the moment when the one after it is."""
        day = now.astimezone(self.zone).date() - timedelta(days=1)
        while self.due_at(day) > now:
            day -= timedelta(days=1)
        return day, self.due_at(day + timedelta(days=1))

    def due_at(self, day: Date) -> datetime:
        """When a day is due, in UTC."""
        following = day + timedelta(days=1)
        end = datetime.combine(following, time(), self.zone).astimezone(UTC)
        return max(self.moment(following), end + self.settles_after)


class Daily:
    """The runs of one day of one dataset."""

    def __init__(
        self,
        project: Project,
        options: Options,
        run: Callable[[list[str]], Run] = LuigiRun,
        pulse: Callable[[str], Pulse] = lambda service: Pulse(),
    ) -> None:
        """Raises `TrafficError` for a name that no plugin provides, or a wrong argument."""
        chosen = project.settings.pipeline
        self.dataset = project.plugins.dataset(options.dataset or chosen.dataset)
        self.model = project.plugins.model(options.model or chosen.model).name
        self.zone = ZoneInfo(self.dataset.timezone)
        self.catch_up = options.catch_up
        self.recheck_days = project.settings.ingest.recheck_days
        self.arguments = for_all_runs(options.luigi_arguments)
        self._run = run
        self.limit_s = chosen.run_timeout_hours * 3600
        self.pulse = pulse(f"daily-{self.dataset.name}")

    def commands(self, day: Date) -> list[tuple[str, list[str]]]:
        """What each run is for, and its command, in order."""
        found = []
        if self.recheck_days:
            asked = day - timedelta(days=self.recheck_days), day - timedelta(days=1)
            words = [sys.executable, "-m", "luigi_traffic.cli", "recheck"]
            words += ["--dataset", self.dataset.name]
            words += ["--from", asked[0].isoformat(), "--to", asked[1].isoformat()]
            found.append((f"recheck {self.dataset.name} {asked[0]} to {asked[1]}", words))
        first = day - timedelta(days=self.catch_up)
        if self.catch_up:
            said = f"{self.dataset.name} {first} to {day - timedelta(days=1)}"
            for task in (AnnounceRaw, Gold):
                words = command("RangeDaily", self._range(task.__name__, first, day))
                found.append((f"{task.__name__} {said}", words))
        words = ["--dataset", self.dataset.name, "--model", self.model, "--date", day.isoformat()]
        said = f"FullPipeline {self.dataset.name} {day}"
        return [*found, (said, command("FullPipeline", [*words, *self.arguments]))]

    def _range(self, task: str, first: Date, stop: Date) -> list[str]:
        words = ["--of", task, "--of-params", json.dumps({"dataset": self.dataset.name})]
        words += ["--param-name", "date"]
        words += ["--start", first.isoformat(), "--stop", stop.isoformat()]
        words += ["--now", str(int(clocks.now().timestamp()))]
        # The oldest first: a worker of Luigi begins with what it was told last.
        return [*words, "--reverse", *self.arguments]

    def work(self, day: Date, stop: threading.Event) -> bool:
        """Do that day, the missed days before it first; True where all is done.

        A missed day that cannot be had does not keep the newer ones back.
        """
        logger.info("daily %s: starting %s", self.dataset.name, day)
        failed = []
        for what, words in self.commands(day):
            if stop.is_set():
                return False
            if not self._succeeds(what, words, stop):
                failed.append(what)
        if not failed:
            logger.info("daily %s: %s is done", self.dataset.name, day)
            self.pulse.succeeded(str(day))
        elif not stop.is_set():
            self.pulse.failed(str(day), f"{', '.join(failed)} FAILED; see the log")
        return not failed

    def _succeeds(self, what: str, words: list[str], stop: threading.Event) -> bool:
        self.pulse.doing(what)
        try:
            run = self._run(words)
            run.start()
            code = run.wait(stop, self.limit_s, self.pulse.beat)
        except OSError as e:
            logger.error("daily: %s could not be started: %s", what, e)
            return False
        except RunTimeout as e:
            logger.error("daily: %s FAILED: %s", what, e)
            return False
        if code is None:
            logger.warning("daily: %s was stopped before it was done", what)
        elif code:
            logger.error("daily: %s FAILED, exit code %d; see above", what, code)
        return code == 0


def for_all_runs(arguments: Sequence[str]) -> list[str]:
    """Luigi's arguments such that any run takes them.

    A parameter of FullPipeline gets its task's name, as Luigi writes it for other tasks than
    the one that is run. Raises `SettingsError` for those that `daily` itself chooses.
    """
    task = FullPipeline.__name__
    parameters: Any = FullPipeline
    own = {name.replace("_", "-") for name, _ in parameters.get_params()}
    found = []
    for word in arguments:
        name, equals, value = word.removeprefix("--").partition("=")
        name = name.removeprefix(f"{task}-")
        if not word.startswith("--") or name not in own:
            found.append(word)
            continue
        if name in ("dataset", "model", "date"):
            raise SettingsError(
                f"{word} after `--`: `luigi-traffic daily` sets the {name} of each run itself. "
                "Give the dataset and the model as options before the `--`; to run another day, "
                "use Luigi: luigi --module luigi_traffic.run FullPipeline --date …"
            )
        found.append(f"--{task}-{name}{equals}{value}")
    return found


def serve(daily: Daily, at: time, stop: threading.Event, clock: Clock) -> None:
    """Work on each day as it becomes due, and on the newest that is due first of all.

    A day that fails is tried again, later and later, until the next one is due: that one's
    runs make up for it.
    """
    schedule = Schedule(at, daily.zone, daily.dataset.settles_after)
    done: Date | None = None
    failing: Date | None = None
    failures = 0
    while not stop.is_set():
        day, following = schedule.due(clock.now())
        if day == done:
            logger.info(
                "daily %s: next run at %s", daily.dataset.name, _shown(following, daily.zone)
            )
            daily.pulse.doing(f"waiting for {_shown(following, daily.zone)}")
            _wait_until(following, stop, clock, daily.pulse)
            continue
        if failing not in (None, day):
            logger.error(
                "daily %s: %s was NOT done in %d attempts; %s is due now",
                daily.dataset.name, failing, failures, day,
            )  # fmt: skip
        if failing != day:
            failures = 0
        if daily.work(day, stop):
            done, failing = day, None
        elif not stop.is_set():
            failing, failures = day, failures + 1
            again = min(clock.now() + pause(failures), following)
            logger.error(
                "daily %s: %s FAILED, attempt %d; the next attempt at %s",
                daily.dataset.name, day, failures, _shown(again, daily.zone),
            )  # fmt: skip
            daily.pulse.doing(f"{day} FAILED, waiting for {_shown(again, daily.zone)}")
            _wait_until(again, stop, clock, daily.pulse)
    logger.info("daily %s: stopped", daily.dataset.name)


def pause(failures: int) -> timedelta:
    """How long to wait after that many failures in a row, one or more."""
    doubled = FIRST_PAUSE * float(2 ** min(failures - 1, 10))
    return min(doubled, LONGEST_PAUSE)


def _wait_until(moment: datetime, stop: threading.Event, clock: Clock, pulse: Pulse) -> None:
    while not stop.is_set() and (left := (moment - clock.now()).total_seconds()) > 0:
        pulse.beat()
        clock.wait(stop, min(left, _LOOK_S))


def _shown(moment: datetime, zone: ZoneInfo) -> str:
    return f"{moment.astimezone(zone):%Y-%m-%d %H:%M} {zone.key}"


def daily(project: Project, options: Options) -> bool:
    """The command. Without `at`: whether the day that just ended is done. With it: serve, until
    SIGTERM or Ctrl-C. Raises `TrafficError` where it cannot begin.
    """
    runs, clock = Daily(project, options, pulse=partial(Heartbeat, project.home)), Clock()
    try:
        with stop_signal() as stop:
            if options.at is None:
                return runs.work(last_settled_day(runs.dataset, clock.now()), stop)
            serve(runs, options.at, stop, clock)
            return True
    finally:
        runs.pulse.doing("nothing: the service has ended")
