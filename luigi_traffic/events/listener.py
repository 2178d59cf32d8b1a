"""Consuming announcements: the pipeline runs once for each, whatever fails on the way.

A message ends in one of these ways, and only then its offset is committed:

    done          the run of its day ended with 0, now or when the same event came before
    dead letter   it is no announcement, or its runs kept failing or did not end: a copy with the
                  reason is in the dead-letter topic
    left out      it announces a dataset or a day that this listener was not asked for

Anything else (a stop, a crash, a server that is gone) leaves the offset where it was, and the
message comes again, to us or to another member of the group.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import date as Date
from math import inf
from typing import Protocol, TypeVar

from luigi_traffic.errors import StoreError
from luigi_traffic.events.received import DayWanted, Message, Unreadable, understand
from luigi_traffic.events.stream import Stream, place
from luigi_traffic.processes.heartbeat import Pulse
from luigi_traffic.processes.luigi_run import NOT_RUN
from luigi_traffic.settings.keys import ListenSettings
from luigi_traffic.warehouse.consumed_events import Busy, ConsumedEvents, Decision, Outcome

logger = logging.getLogger("luigi_traffic")
T = TypeVar("T")

#: How long a warehouse or a dead-letter topic may be away before the listener gives up.
PATIENCE_S = 300.0
_NEXT_S = 1.0
_LOOK_S = 0.5
_BUSY_S = 2.0
_ELSEWHERE_S = 15.0
_LONGEST_ELSEWHERE_S = 600.0
_TELL_EVERY_S = 300.0
_FIRST_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 30.0


class Run(Protocol):
    """A run of the pipeline in a process of its own."""

    def start(self) -> None:
        """Start it."""

    def poll(self) -> int | None:
        """Its exit status, None while it runs."""

    def stop(self) -> None:
        """End it and all that it started."""


class Stopped(Exception):
    """Somebody asked the listener to end."""


@dataclass(frozen=True)
class Wanted:
    """What a listener works on: `known` are all datasets, `datasets` those it was asked for."""

    known: Collection[str]
    datasets: Collection[str]
    first: Date | None = None


class Listener:
    """Takes one message at a time. `stop` ends it from outside: a signal handler sets it."""

    def __init__(
        self,
        stream: Stream,
        decided: ConsumedEvents,
        dead_letter: Callable[[Message, str, int], None],
        run: Callable[[DayWanted], Run],
        settings: ListenSettings,
        wanted: Wanted,
        stop: threading.Event,
        limit_s: float,
        pulse: Pulse | None = None,
    ) -> None:
        """`limit_s` is how long all runs of one event may take together."""
        self.stream = stream
        self.decided = decided
        self.dead_letter = dead_letter
        self.run = run
        self.settings = settings
        self.wanted = wanted
        self.stop = stop
        self.limit_s = limit_s
        self.pulse = pulse or Pulse()

    def listen(self, until_idle: float | None = None) -> None:
        """Work until `stop`, or until nothing is left and none came for `until_idle` seconds.

        Raises StoreError, with no offset committed for the message at hand, where the warehouse
        or Kafka are away for longer than five minutes; SettingsError.
        """
        idle_since = time.monotonic()
        self.pulse.doing("listening")
        while not self.stop.is_set():
            self.pulse.beat()
            message = self.stream.next(_NEXT_S)
            if message is not None:
                try:
                    self._decide(message)
                except Stopped:
                    break
                self.stream.commit(message)
                self.pulse.doing("listening")
                idle_since = time.monotonic()
            elif self._idle(time.monotonic() - idle_since, until_idle):
                logger.info("no message came for %g s: ending", until_idle)
                return
        logger.info("stop requested: leaving the group")

    def _idle(self, seconds: float, until: float | None) -> bool:
        return until is not None and seconds >= until and self.stream.caught_up()

    def _decide(self, message: Message) -> None:
        try:
            day = understand(message, self.wanted.known)
        except Unreadable as reason:
            logger.error("%s cannot be understood: %s", place(message), reason)
            self._bury(message, str(reason), 0)
            return
        if day.dataset not in self.wanted.datasets or _before(day.date, self.wanted.first):
            logger.info("%s: %s is not wanted here: left out", place(message), day)
            return
        with self._claimed(day):
            earlier = self._patiently(lambda: self.decided.find(day.event_id))
            if earlier is not None and _settles(earlier, message):
                logger.info("%s: %s was handled before (%s): dropped", place(message), day,
                            earlier.outcome)  # fmt: skip
                return
            outcome, attempts = self._work(message, day)
            decision = Decision(
                day.event_id, message.topic, message.partition, message.offset, outcome, attempts
            )
            self._patiently(lambda: self.decided.write(decision))

    def _work(self, message: Message, day: DayWanted) -> tuple[Outcome, int]:
        """Run until a run ends well, as often and for as long as the settings say."""
        deadline = time.monotonic() + self.limit_s
        after_failure = _doubled(self.settings.backoff_seconds)
        elsewhere = _doubled(_ELSEWHERE_S, _LONGEST_ELSEWHERE_S)
        attempt = 1
        while True:
            status = self._run(message, day, attempt, deadline)
            if status == 0:
                self.pulse.succeeded(str(day))
                return "done", attempt
            pause = next(elsewhere if status == NOT_RUN else after_failure)
            if why := self._given_up(status, attempt, time.monotonic() + pause >= deadline):
                break
            if status == NOT_RUN:
                logger.info(
                    "%s: %s: another worker is working on it, checking again", place(message), day
                )
            else:
                attempt += 1
            self._wait(pause)
        self.pulse.failed(str(day), why)
        self._bury(message, why, attempt)
        return "dead-letter", attempt

    def _run(self, message: Message, day: DayWanted, attempt: int, deadline: float) -> int | None:
        """One run: its exit status; None if it did not end in time."""
        of = f"run {attempt} of {self.settings.attempts}"
        logger.info("%s: %s: %s", place(message), day, of)
        self.pulse.doing(f"{day}: {of}")
        started = time.monotonic()
        status = self._finish(self.run(day), deadline)
        seconds = time.monotonic() - started
        if status == 0:
            logger.info("%s: %s: done (%.1f s)", place(message), day, seconds)
        elif status != NOT_RUN:
            how = "was stopped" if status is None else f"ended with exit status {status}"
            logger.error("%s: %s: %s %s (%.1f s)", place(message), day, of, how, seconds)
        return status

    def _given_up(self, status: int | None, attempt: int, late: bool) -> str | None:
        """Why there will be no other run after one that ended so; None if there will."""
        limit = f"within {self.limit_s / 3600:.3g} h (pipeline.run_timeout_hours)"
        if status is None:
            return f"run {attempt} did not end {limit}, and was stopped"
        if status == NOT_RUN:
            return (
                f"another worker on luigid was working on it and did not end {limit}"
                if late
                else None
            )
        if late or attempt == self.settings.attempts:
            more = f" {limit}" if late else ""
            return f"{attempt} runs failed{more}, the last with exit status {status}"
        return None

    def _finish(self, run: Run, deadline: float) -> int | None:
        """The exit status of the run; None if the deadline came first, and it was stopped."""
        run.start()
        try:
            while (status := run.poll()) is None:
                if time.monotonic() >= deadline:
                    run.stop()
                    return None
                self._wait(_LOOK_S)
        except BaseException:
            run.stop()
            raise
        if status < 0:  # killed: what it had started may still be at work
            run.stop()
        return status

    def _bury(self, message: Message, reason: str, attempts: int) -> None:
        self._patiently(lambda: self.dead_letter(message, reason, attempts))
        logger.error("%s is a dead letter: %s", place(message), reason)

    @contextmanager
    def _claimed(self, day: DayWanted) -> Iterator[None]:
        """Alone with the event: a rebalance may have given it to two members at once.

        Not for longer than the other member may work on it: two at once do no harm.
        """
        began = time.monotonic()
        told: float | None = None
        with ExitStack() as stack:
            while True:
                try:
                    self._patiently(lambda: stack.enter_context(self.decided.claim(day.event_id)))
                    break
                except Busy:
                    now = time.monotonic()
                    if told is None or now - told >= _TELL_EVERY_S:
                        told = now
                        logger.info("%s: another member is working on it, waiting", day)
                        self.pulse.doing(f"{day}: another member is working on it, waiting")
                    if now - began >= self.limit_s:
                        logger.error(
                            "%s: another member has been working on it for %.3g h, longer "
                                "than pipeline.run_timeout_hours: no longer waiting for it", day,
                            (now - began) / 3600,
                        )  # fmt: skip
                        break
                    self._wait(_BUSY_S)
            yield

    def _patiently(self, action: Callable[[], T]) -> T:
        """Try for some minutes, as a member of the group, what needs a server."""
        deadline = time.monotonic() + PATIENCE_S
        pause = _FIRST_PAUSE_S
        while True:
            try:
                return action()
            except StoreError as error:
                if time.monotonic() + pause > deadline:
                    raise
                logger.warning("trying again in %g s: %s", pause, error)
            self._wait(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_S)

    def _wait(self, seconds: float) -> None:
        """Let time pass without leaving the group. Raises Stopped."""
        deadline = time.monotonic() + seconds
        while not self.stop.is_set():
            self.pulse.beat()
            left = deadline - time.monotonic()
            if left <= 0:
                return
            self.stream.tend(min(left, _NEXT_S))
        raise Stopped


def _doubled(first: float, longest: float = inf) -> Iterator[float]:
    """Pauses, each twice as long as the one before."""
    while True:
        yield min(first, longest)
        first *= 2


def _settles(earlier: Decision, message: Message) -> bool:
    """Whether there is nothing left to do.

    A dead letter that somebody sent again is another message with the same event: it is worked
    on. The message that became one is not.
    """
    same = (earlier.topic, earlier.partition, earlier.offset) == (
        message.topic, message.partition, message.offset,
    )  # fmt: skip
    return earlier.outcome == "done" or same


def _before(day: Date, first: Date | None) -> bool:
    return first is not None and day < first
