"""The daily run: which day, what is run for it, and when; with a clock and runs of our own."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time as timing
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import luigi
import psutil
import pytest
from luigi.mock import MockTarget
from luigi.tools.range import RangeDaily

from luigi_traffic.api import clock
from luigi_traffic.commands import daily
from luigi_traffic.commands.daily import Daily, Options, Schedule, pause, serve
from luigi_traffic.errors import PluginError, SettingsError
from luigi_traffic.processes.heartbeat import Heartbeat
from luigi_traffic.processes.luigi_run import RunTimeout
from luigi_traffic.project import current

SEOUL = ZoneInfo("Asia/Seoul")
NEW_YORK = ZoneInfo("America/New_York")
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@dataclass
class FakeClock(daily.Clock):
    """Time passes when somebody waits. Sets `stop` at `end`."""

    at: datetime
    end: datetime
    stop: threading.Event = field(default_factory=threading.Event)

    def now(self) -> datetime:
        return self.at

    def pass_on(self, by: timedelta) -> None:
        self.at += by
        if self.at >= self.end:
            self.stop.set()

    def wait(self, stop: threading.Event, seconds: float) -> None:
        assert 0 < seconds <= 30
        self.pass_on(timedelta(seconds=seconds))


@dataclass
class Runs:
    """Stands for `LuigiRun`. `code` decides on the exit status of a command."""

    code: Callable[[list[str]], int | None] = lambda words: 0
    started: list[list[str]] = field(default_factory=list)

    def __call__(self, words: list[str]) -> Runs:
        self.words = words
        return self

    def start(self) -> None:
        self.started.append(self.words)

    def wait(
        self, stop: threading.Event, seconds: float, meanwhile: Callable[[], None]
    ) -> int | None:
        meanwhile()
        return self.code(self.words)

    @property
    def said(self) -> list[str]:
        """What was run, in short."""
        return [short(words) for words in self.started]


def option(words: list[str], name: str) -> str:
    return words[words.index(name) + 1]


def short(words: list[str]) -> str:
    task = words[words.index("luigi_traffic.run") + 1]
    if task == "RangeDaily":
        return f"{option(words, '--of')} {option(words, '--start')}..{option(words, '--stop')}"
    return f"{task} {option(words, '--date')}"


def made(runs: Runs, **options) -> Daily:
    named = {"dataset": "tiny", "model": "tiny_model", **options}
    return Daily(current(), Options(**named), runs)


@pytest.fixture(autouse=True)
def _no_recheck(tiny) -> None:
    """But for the test of it: the runs alone."""
    tiny.set(INGEST__RECHECK_DAYS="0")


@pytest.fixture
def told():
    """What is logged as an error or a warning."""
    lines: list[str] = []

    class Kept(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(record.getMessage())

    handler, logger = Kept(logging.WARNING), logging.getLogger("luigi_traffic")
    logger.addHandler(handler)
    yield lines
    logger.removeHandler(handler)


# Which day, and when.


def test_the_day_that_is_due_in_seoul_around_midnight_of_utc_and_of_seoul() -> None:
    schedule = Schedule(time(3, 30), SEOUL)
    expected = {
        "2024-05-31 14:59": date(2024, 5, 30),  # 23:59 there
        "2024-05-31 15:00": date(2024, 5, 30),  # midnight there: not due before 03:30
        "2024-05-31 18:29": date(2024, 5, 30),
        "2024-05-31 18:30": date(2024, 5, 31),
        "2024-06-01 00:00": date(2024, 5, 31),  # midnight of UTC, 09:00 there
    }
    for now, day in expected.items():
        assert schedule.due(utc(now))[0] == day, now
    assert schedule.due(utc("2024-05-31 18:29"))[1] == utc("2024-05-31 18:30")
    assert schedule.due(utc("2024-05-31 18:30"))[1] == utc("2024-06-01 18:30")


def test_a_day_is_not_due_before_it_has_settled() -> None:
    six, thirty = (Schedule(time(3, 30), SEOUL, n * HOUR) for n in (6, 30))
    expected = {
        "2024-05-31 18:30": (date(2024, 5, 30), date(2024, 5, 29)),  # 03:30 of 1 June there
        "2024-05-31 20:59": (date(2024, 5, 30), date(2024, 5, 29)),
        "2024-05-31 21:00": (date(2024, 5, 31), date(2024, 5, 30)),  # 06:00
        "2024-06-01 20:59": (date(2024, 5, 31), date(2024, 5, 30)),
        "2024-06-01 21:00": (date(2024, 6, 1), date(2024, 5, 31)),
    }
    for now, days in expected.items():
        assert (six.due(utc(now))[0], thirty.due(utc(now))[0]) == days, now
    assert six.due(utc("2024-05-31 18:30"))[1] == utc("2024-05-31 21:00")
    assert thirty.due(utc("2024-05-31 21:00"))[1] == utc("2024-06-01 21:00")
    early = Schedule(time(3, 30), SEOUL, HOUR)  # it has settled before that time
    assert early.due(utc("2024-05-31 18:29")) == (date(2024, 5, 30), utc("2024-05-31 18:30"))


def test_a_service_waits_until_the_day_has_settled(tiny, monkeypatch) -> None:
    start = utc("2024-05-31 12:00")
    clock = FakeClock(start, start + 3 * DAY)
    ran: list[tuple[date, datetime]] = []
    runs = made(Runs())
    monkeypatch.setattr(type(runs.dataset), "settles_after", 6 * HOUR)
    monkeypatch.setattr(runs, "work", lambda day, stop: ran.append((day, clock.now())) or True)
    serve(runs, time(3, 30), clock.stop, clock)
    assert ran == [
        (date(2024, 5, 30), start),
        (date(2024, 5, 31), utc("2024-05-31 21:00")),
        (date(2024, 6, 1), utc("2024-06-01 21:00")),
        (date(2024, 6, 2), utc("2024-06-02 21:00")),
    ]


@pytest.mark.parametrize(
    ("now", "ended"),
    [("2024-05-31 14:59", "2024-05-30"), ("2024-05-31 15:00", "2024-05-31"),
     ("2024-06-01 00:00", "2024-05-31")],
)  # fmt: skip
def test_without_a_time_it_is_the_day_that_ended_there(tiny, monkeypatch, now, ended) -> None:
    runs = Runs()
    clock = FakeClock(utc(now), utc("2030-01-01"))
    monkeypatch.setattr(daily, "Clock", lambda: clock)
    monkeypatch.setattr(
        daily, "Daily", lambda project, options, pulse: Daily(project, options, runs, pulse)
    )
    assert daily.daily(current(), Options("tiny", "tiny_model"))
    assert runs.said[-1] == f"FullPipeline {ended}"


def moments(schedule: Schedule, begin: str, days: int) -> list[datetime]:
    first = date.fromisoformat(begin)
    return [schedule.moment(first + n * DAY) for n in range(days)]


def test_a_time_that_the_clock_skips_or_shows_twice_comes_once() -> None:
    half_past_two = Schedule(time(2, 30), NEW_YORK)
    # 10 March 2024: 02:00 became 03:00. So 02:30 is 03:30 of the new time.
    assert moments(half_past_two, "2024-03-09", 3) == [
        utc("2024-03-09 07:30"), utc("2024-03-10 07:30"), utc("2024-03-11 06:30")
    ]  # fmt: skip
    half_past_one = Schedule(time(1, 30), NEW_YORK)
    # 3 November 2024: 02:00 became 01:00. So 01:30 comes twice.
    assert moments(half_past_one, "2024-11-02", 3) == [
        utc("2024-11-02 05:30"), utc("2024-11-03 05:30"), utc("2024-11-04 06:30")
    ]  # fmt: skip
    second = utc("2024-11-03 06:30")
    assert half_past_one.due(second) == (date(2024, 11, 2), utc("2024-11-04 06:30"))


@pytest.mark.parametrize("begin", ["2024-03-07", "2024-10-31"])
@pytest.mark.parametrize("at", [time(0, 0), time(1, 30), time(2, 30), time(23, 59)])
def test_a_service_does_every_day_once_across_changes_of_the_clock(
    tiny, monkeypatch, begin, at
) -> None:
    start = datetime.combine(date.fromisoformat(begin), time(12), NEW_YORK).astimezone(UTC)
    clock = FakeClock(start, start + 6 * DAY)
    ran: list[tuple[date, datetime]] = []
    runs = made(Runs())
    runs.zone = NEW_YORK
    monkeypatch.setattr(
        runs, "work", lambda day, stop: ran.append((day, clock.now().astimezone(NEW_YORK))) or True
    )
    serve(runs, at, clock.stop, clock)
    days = [day for day, _ in ran]
    assert days == [days[0] + n * DAY for n in range(len(days))]
    assert len(days) >= 6
    for day, moment in ran[1:]:
        assert moment.date() == day + DAY
        skipped = moment.date() == date(2024, 3, 10) and at == time(2, 30)
        assert moment.time() == (time(3, 30) if skipped else at)


# What is run.


def test_the_newest_days_are_asked_for_again_before_the_runs(tiny) -> None:
    tiny.set(INGEST__RECHECK_DAYS="7")
    (said, words), *runs = made(Runs(), catch_up=3).commands(date(2024, 5, 31))
    assert said == "recheck tiny 2024-05-24 to 2024-05-30"
    assert words[1:4] == ["-m", "luigi_traffic.cli", "recheck"]
    assert [option(words, o) for o in ("--dataset", "--from", "--to")] == [
        "tiny", "2024-05-24", "2024-05-30"
    ]  # fmt: skip
    assert [short(words) for _, words in runs][-1] == "FullPipeline 2024-05-31"


def test_missed_days_before_the_day_itself(tiny) -> None:
    runs = Runs()
    assert made(runs, catch_up=3).work(date(2024, 5, 31), threading.Event())
    assert runs.said == [
        "AnnounceRaw 2024-05-28..2024-05-31",
        "Gold 2024-05-28..2024-05-31",
        "FullPipeline 2024-05-31",
    ]
    for words in runs.started[:2]:
        assert json.loads(option(words, "--of-params")) == {"dataset": "tiny"}
    assert option(runs.started[2], "--dataset") == "tiny"
    assert option(runs.started[2], "--model") == "tiny_model"


def test_no_missed_days_where_none_are_wanted(tiny) -> None:
    runs = Runs()
    assert made(runs, catch_up=0).work(date(2024, 5, 31), threading.Event())
    assert runs.said == ["FullPipeline 2024-05-31"]


def test_a_missed_day_that_cannot_be_had_keeps_no_newer_one_back(tiny, told) -> None:
    runs = Runs(lambda words: 30 if "AnnounceRaw" in words else 0)
    assert not made(runs).work(date(2024, 5, 31), threading.Event())
    assert [said.split()[0] for said in runs.said] == ["AnnounceRaw", "Gold", "FullPipeline"]
    (said,) = told
    assert "AnnounceRaw tiny 2024-05-24 to 2024-05-30 FAILED, exit code 30" in said


def test_a_run_that_cannot_be_started_has_failed(tiny, monkeypatch) -> None:
    class Broken(Runs):
        def start(self) -> None:
            raise OSError("out of memory")

    assert not made(Broken()).work(date(2024, 5, 31), threading.Event())


def test_luigis_arguments_go_to_every_run(tiny) -> None:
    given = ["--local-scheduler", "--window-days", "5", "--training={}", "--workers", "2"]
    runs = Runs()
    made(runs, luigi_arguments=given).work(date(2024, 5, 31), threading.Event())
    for words in runs.started:
        assert words[-6:] == [
            "--local-scheduler", "--FullPipeline-window-days", "5", "--FullPipeline-training={}",
            "--workers", "2",
        ]  # fmt: skip


@pytest.mark.parametrize(
    "word", ["--date", "--date=2024-05-31", "--dataset", "--model", "--FullPipeline-date"]
)
def test_what_daily_chooses_itself_is_refused(tiny, word) -> None:
    with pytest.raises(SettingsError, match=rf"^{word} after"):
        made(Runs(), luigi_arguments=[word])


def test_an_unknown_dataset_is_told_before_anything_runs(tiny) -> None:
    runs = Runs()
    with pytest.raises(PluginError, match="tinny"):
        made(runs, dataset="tinny")
    assert runs.started == []


class Step(luigi.Task):
    """One of a chain of two a day, as bronze and gold."""

    date = luigi.DateParameter()
    last = luigi.BoolParameter(default=True)
    dataset = luigi.Parameter(positional=False)
    ran: list[tuple[date, bool]] = []

    def requires(self):
        return [Step(self.date, last=False, dataset=self.dataset)] if self.last else []

    def output(self):
        return MockTarget(f"{self.dataset}-{self.date}-{self.last}")

    def run(self):
        Step.ran.append((self.date, self.last))
        with self.output().open("w") as file:
            file.write("done")


def test_luigi_does_the_missing_days_and_the_oldest_first(tiny, monkeypatch) -> None:
    """The very command, with a task of the test for Gold, and one of its days done before."""
    # RangeDaily counts days back from now: in a trial, from the present of its clock.
    monkeypatch.setenv(clock.VARIABLE, f"2024-05-31T16:00Z@{timing.time()}x1")
    words = made(Runs(), catch_up=4).commands(date(2024, 5, 31))[1][1]
    words = words[words.index("RangeDaily") :]
    words[words.index("Gold")] = "Step"
    Step.ran.clear()
    MockTarget.fs.clear()
    with Step(date(2024, 5, 29), dataset="tiny").output().open("w") as file:
        file.write("done before")
    assert RangeDaily
    assert luigi.run([*words, "--local-scheduler", "--no-lock"])
    days = [date(2024, 5, 27), date(2024, 5, 28), date(2024, 5, 30)]
    assert Step.ran == [(day, last) for day in days for last in (False, True)]


# The service.


def served(
    start: str, hours: float, code: Callable[[list[str]], int | None], at: time = time(3, 30),
    took: timedelta = timedelta(0),
) -> tuple[list[tuple[str, str]], FakeClock]:  # fmt: skip
    """(when, which day) of each FullPipeline in Seoul."""
    begin = datetime.fromisoformat(start).replace(tzinfo=SEOUL).astimezone(UTC)
    clock = FakeClock(begin, begin + hours * HOUR)
    tried: list[tuple[str, str]] = []

    def run(words: list[str]) -> int | None:
        if "FullPipeline" in words:
            when = clock.now().astimezone(SEOUL)
            tried.append((f"{when:%d %H:%M}", option(words, "--date")))
            clock.pass_on(took)
        return code(words)

    serve(made(Runs(run)), at, clock.stop, clock)
    return tried, clock


def test_at_its_start_the_newest_day_that_is_due_and_then_each_at_its_time(tiny) -> None:
    tried, _ = served("2024-06-01 02:00", 50, lambda words: 0)
    assert tried == [
        ("01 02:00", "2024-05-30"),  # 31 May is not due before 03:30
        ("01 03:30", "2024-05-31"),
        ("02 03:30", "2024-06-01"),
        ("03 03:30", "2024-06-02"),
    ]


def test_a_failed_day_is_tried_again_later_and_later_until_it_is_done(tiny) -> None:
    codes = iter([30, 30, 30, 0])
    tried, _ = served(
        "2024-06-01 04:00", 6, lambda words: next(codes) if "FullPipeline" in words else 0
    )
    assert tried == [(f"01 {t}", "2024-05-31") for t in ("04:00", "04:01", "04:03", "04:07")]
    assert [pause(n) for n in (1, 2, 3, 6, 7, 100)] == [
        MINUTE, 2 * MINUTE, 4 * MINUTE, 32 * MINUTE, HOUR, HOUR
    ]  # fmt: skip


def test_a_day_that_keeps_failing_gives_way_to_the_next(tiny, told) -> None:
    tried, _ = served("2024-06-01 04:00", 23.6, lambda words: 30 if "FullPipeline" in words else 0)
    first = [when for when, day in tried if day == "2024-05-31"]
    attempts = len(first)
    assert attempts > 20
    # Its pauses begin anew.
    assert tried[attempts:] == [(f"02 {t}", "2024-06-01") for t in ("03:30", "03:31", "03:33")]
    assert sum("2024-05-31 FAILED, attempt " in line for line in told) == attempts
    given_up = f"daily tiny: 2024-05-31 was NOT done in {attempts} attempts; 2024-06-01 is due now"
    assert told.count(given_up) == 1


def test_a_run_longer_than_a_day_is_followed_by_the_newest_day_at_once(tiny) -> None:
    tried, _ = served("2024-06-01 03:30", 70, lambda words: 0, took=50 * HOUR)
    assert tried == [("01 03:30", "2024-05-31"), ("03 05:30", "2024-06-02")]


def test_a_stopped_run_is_not_tried_again_and_has_not_failed(tiny, told) -> None:
    begin = utc("2024-06-01 00:00")
    clock = FakeClock(begin, begin + DAY)

    def stopped(words: list[str]) -> None:
        clock.stop.set()

    runs = Runs(stopped)
    serve(made(runs), time(3, 30), clock.stop, clock)
    assert len(runs.started) == 1
    assert told == [
        "daily: AnnounceRaw tiny 2024-05-24 to 2024-05-30 was stopped before it was done"
    ]


def test_a_run_that_hangs_keeps_the_days_after_it_back_for_no_longer_than_it_may(
    tiny, told
) -> None:
    """One hung run stopped the service for good."""
    tiny.set(PIPELINE__RUN_TIMEOUT_HOURS="10")
    begin = datetime(2024, 6, 1, 3, 30, tzinfo=SEOUL).astimezone(UTC)
    clock = FakeClock(begin, begin + 10 * DAY)
    tried: list[str] = []

    class Hanging(Runs):
        def wait(self, stop, seconds, meanwhile) -> int | None:
            day = option(self.words, "--date")
            tried.append(day)
            if day == "2024-05-31":
                clock.pass_on(timedelta(seconds=seconds))  # LuigiRun stops it
                raise RunTimeout(seconds)
            return 0

    serve(made(Hanging(), catch_up=0), time(3, 30), clock.stop, clock)
    assert tried[:3] == ["2024-05-31"] * 3  # at 03:30, 13:31, 23:33
    assert tried[3:] == [f"2024-06-{day:02d}" for day in range(1, 10)]
    assert sum("not done within 10 h, so it was stopped" in line for line in told) == 3


def test_the_heartbeat_says_what_is_done_and_what_failed(tiny) -> None:
    codes = iter([30, 0])
    runs = Runs(lambda words: next(codes))
    daily_runs = Daily(
        current(),
        Options("tiny", "tiny_model", catch_up=0),
        runs,
        lambda service: Heartbeat(tiny.home, service),
    )
    assert not daily_runs.work(date(2024, 5, 30), threading.Event())
    assert daily_runs.work(date(2024, 5, 31), threading.Event())
    said = json.loads((tiny.home / "heartbeats" / "daily-tiny.json").read_text())
    assert said["last_failure"]["what"] == "2024-05-30"
    assert said["last_success"]["what"] == "2024-05-31"
    assert said["doing"] == "FullPipeline tiny 2024-05-31"
    assert (said["service"], said["pid"]) == ("daily-tiny", os.getpid())


# A real process.

SLOW = """
import os, sys, time
import luigi_traffic as lt
{tiny}
if "RangeDaily" in sys.argv:
    open(os.environ["MARK"], "a").write(str(os.getpid()) + "\\n")
    time.sleep(600)
"""


@pytest.mark.parametrize("arguments", [["--at", "00:00"], []], ids=["service", "once"])
def test_sigterm_ends_it_and_its_run(tiny, tmp_path: Path, arguments) -> None:
    """The run hangs where it reads its plugins; daily gets its signal while it waits."""
    source = (tiny.home.parent / "plugins" / "tiny.py").read_text(encoding="utf-8")
    tiny.plugin("tiny", SLOW.format(tiny=source))
    mark = tmp_path / "mark"
    words = ["daily", "--dataset", "tiny", "--model", "tiny_model", *arguments]
    process = subprocess.Popen(
        [sys.executable, "-m", "luigi_traffic.cli", *words, "--", "--local-scheduler"],
        env={**os.environ, "MARK": str(mark)}, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        deadline = timing.monotonic() + 60
        while not (mark.exists() and mark.read_text().endswith("\n")):
            assert process.poll() is None, process.communicate()[1]
            assert timing.monotonic() < deadline, "the run did not begin"
            timing.sleep(0.1)
        child = int(mark.read_text().split()[0])
        assert child != process.pid
        assert psutil.pid_exists(child)
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == (0 if arguments else 1), said
    assert "was stopped before it was done" in said
    assert not psutil.pid_exists(child)
    assert len(mark.read_text().split()) == 1, "nothing was begun after the signal"
    assert (
        '"nothing: the service has ended"' in (tiny.home / "heartbeats/daily-tiny.json").read_text()
    )


def test_a_stopped_service_shows_no_sign_of_life(tiny, tmp_path: Path) -> None:
    """One that waits for a run of hours does."""
    source = (tiny.home.parent / "plugins" / "tiny.py").read_text(encoding="utf-8")
    tiny.plugin("tiny", SLOW.format(tiny=source))
    ours = [sys.executable, "-m", "luigi_traffic.cli"]
    process = subprocess.Popen(
        [*ours, "daily", "--dataset", "tiny", "--model", "tiny_model", "--at", "00:00", "--",
         "--local-scheduler"],
        env={**os.environ, "MARK": str(tmp_path / "mark")}, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    beat = tiny.home / "heartbeats" / "daily-tiny.json"

    def fresh(age: str) -> int:
        return subprocess.run([*ours, "status", "--fail-if-older-than", age]).returncode

    def wait_for(holds: Callable[[], bool]) -> None:
        deadline = timing.monotonic() + 60
        while not holds():
            assert process.poll() is None and timing.monotonic() < deadline
            timing.sleep(0.2)

    try:
        wait_for(lambda: beat.exists() and "AnnounceRaw tiny" in beat.read_text())
        first = beat.read_text()
        wait_for(lambda: beat.read_text() != first)  # within its loop, while the run hangs
        assert fresh("1m") == 0
        process.send_signal(signal.SIGSTOP)
        timing.sleep(2)
        assert fresh("1s") == 1
        process.send_signal(signal.SIGCONT)
        process.terminate()
        assert process.wait(60) == 0
    finally:
        process.kill()


def test_a_real_run_that_hangs_is_ended_and_daily_says_so(tiny, tmp_path: Path) -> None:
    source = (tiny.home.parent / "plugins" / "tiny.py").read_text(encoding="utf-8")
    tiny.plugin("tiny", SLOW.format(tiny=source))
    tiny.set(PIPELINE__RUN_TIMEOUT_HOURS=str(6 / 3600))
    mark = tmp_path / "mark"
    done = subprocess.run(
        [sys.executable, "-m", "luigi_traffic.cli", "daily", "--dataset", "tiny", "--model",
         "tiny_model", "--", "--local-scheduler"],
        env={**os.environ, "MARK": str(mark)}, capture_output=True, text=True, timeout=100,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert done.stderr.count("FAILED: not done within 0.00167 h, so it was stopped") >= 2
    # On a busy machine a run may not come as far as that before it is stopped.
    pids = [int(word) for word in mark.read_text().split()] if mark.exists() else []
    assert not any(psutil.pid_exists(pid) for pid in pids)
