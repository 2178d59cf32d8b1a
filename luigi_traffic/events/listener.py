"""Consuming announcements: the pipeline runs once for each, whatever fails on the way.

A message ends in one of these ways, and only then its offset is committed:

    done          the run of its day ended with 0, now or when the same event came before
    dead letter   it is no announcement, or its runs kept failing: a copy with the reason is in
                  the dead-letter topic
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
from typing import Protocol, TypeVar

from luigi_traffic.errors import StoreError
from luigi_traffic.events.received import DayWanted, Message, Unreadable, understand
from luigi_traffic.events.stream import Stream, place
from luigi_traffic.luigi_process import NOT_RUN
from luigi_traffic.settings import ListenSettings
from luigi_traffic.warehouse.consumed import Busy, ConsumedEvents, Decision, Outcome

logger = logging.getLogger("luigi_traffic")
T = TypeVar("T")

#: How long a warehouse or a dead-letter topic may be away before the listener gives up.
PATIENCE_S = 300.0
_NEXT_S = 1.0
_LOOK_S = 0.5
_BUSY_S = 2.0
_ELSEWHERE_S = 15.0
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
    ) -> None:
        self.stream = stream
        self.decided = decided
        self.dead_letter = dead_letter
        self.run = run
        self.settings = settings
        self.wanted = wanted
        self.stop = stop

    def listen(self, until_idle: float | None = None) -> None:
        """Work until `stop`, or until nothing is left and none came for `until_idle` seconds.

        Raises StoreError, with no offset committed for the message at hand, where the warehouse
        or Kafka are away for longer than five minutes; SettingsError.
        """
        idle_since = time.monotonic()
        while not self.stop.is_set():
            message = self.stream.next(_NEXT_S)
            if message is not None:
                try:
                    self._decide(message)
                except Stopped:
                    break
                self.stream.commit(message)
                idle_since = time.monotonic()
            elif self._idle(time.monotonic() - idle_since, until_idle):
                logger.info("nothing came for %g s: ending", until_idle)
                return
        logger.info("asked to stop: leaving the group")

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
            logger.info("%s: %s is not asked for: left out", place(message), day)
            return
        with self._claimed(day):
            earlier = self._patiently(lambda: self.decided.find(day.event_id))
            if earlier is not None and _settles(earlier, message):
                logger.info("%s: %s was decided before (%s): dropped", place(message), day,
                            earlier.outcome)  # fmt: skip
                return
            outcome, attempts = self._work(message, day)
            decision = Decision(
                day.event_id, message.topic, message.partition, message.offset, outcome, attempts
            )
            self._patiently(lambda: self.decided.write(decision))

    def _work(self, message: Message, day: DayWanted) -> tuple[Outcome, int]:
        """Run until a run ends well, or as often as the settings say."""
        attempts, pause = self.settings.attempts, self.settings.backoff_seconds
        attempt = 0
        while True:
            attempt += 1
            logger.info("%s: %s: run %d of %d", place(message), day, attempt, attempts)
            started = time.monotonic()
            status = self._finish(self.run(day))
            seconds = time.monotonic() - started
            if status == 0:
                logger.info("%s: %s: done (%.1f s)", place(message), day, seconds)
                return "done", attempt
            if status == NOT_RUN:
                logger.info("%s: %s: another worker is at it, looking again", place(message), day)
                attempt -= 1
                self._wait(_ELSEWHERE_S)
                continue
            logger.error(
                "%s: %s: run %d of %d ended with exit status %d (%.1f s)",
                place(message), day, attempt, attempts, status, seconds,
            )  # fmt: skip
            if attempt == attempts:
                break
            self._wait(pause)
            pause *= 2
        self._bury(message, f"{attempts} runs failed, the last with exit status {status}", attempts)
        return "dead-letter", attempts

    def _finish(self, run: Run) -> int:
        run.start()
        try:
            while (status := run.poll()) is None:
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
        """Alone with the event: a rebalance may have given it to two members at once."""
        with ExitStack() as stack:
            told = False
            while True:
                try:
                    self._patiently(lambda: stack.enter_context(self.decided.claim(day.event_id)))
                    break
                except Busy:
                    if not told:
                        logger.info("%s: another member is at it, waiting", day)
                    told = True
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
            left = deadline - time.monotonic()
            if left <= 0:
                return
            self.stream.tend(min(left, _NEXT_S))
        raise Stopped


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
