"""What a listener decides, with a consumer, a warehouse and runs of cardboard."""

from __future__ import annotations

import json
import logging
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import pytest

from luigi_traffic.errors import StoreError
from luigi_traffic.events import listener as module
from luigi_traffic.events.announcement import TYPE, event_id
from luigi_traffic.events.listener import Listener, Wanted
from luigi_traffic.processes.stop_signal import stop_signal
from luigi_traffic.settings.keys import ListenSettings
from luigi_traffic.warehouse.consumed_events import Busy, Decision

SETTINGS = ListenSettings(attempts=3, backoff_seconds=8.0)
#: How long the runs of one event may take.
LIMIT_S = 24 * 3600.0
DAY_S = 24 * 3600.0


class Pulse:
    """What the listener tells about itself."""

    def __init__(self) -> None:
        self.beats = 0
        self.done: list[str] = []
        self.lost: list[str] = []

    def doing(self, what: str) -> None: ...

    def beat(self) -> None:
        self.beats += 1

    def succeeded(self, what: str) -> None:
        self.done.append(what)

    def failed(self, what: str, reason: str) -> None:
        self.lost.append(reason)


@dataclass
class Message:
    offset: int
    value: bytes
    topic: str = "t"
    partition: int = 0
    key: bytes = b"k"
    headers: list = field(default_factory=list)


DAY = "2024-01-10"
E1, E2 = event_id("its", DAY, "p1"), event_id("its", DAY, "p2")


def announced(offset: int, partition_id: str = "p1") -> Message:
    data = {"dataset": "its", "date": DAY, "partition_id": partition_id}
    event = {"specversion": "1.0", "type": TYPE, "id": event_id("its", DAY, partition_id),
             "data": data}  # fmt: skip
    return Message(offset, json.dumps(event).encode())


class Stream:
    """Hands out the messages, then says that nothing is left. Time passes when it is tended."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.messages: list[Message] = []
        self.committed: list[int] = []
        self.tended = 0.0
        self.lag = 0
        self.on_tend = lambda: None

    def next(self, timeout: float) -> Message | None:
        self.clock.now += timeout
        return self.messages.pop(0) if self.messages else None

    def tend(self, timeout: float) -> None:
        self.clock.now += timeout
        self.tended += timeout
        self.on_tend()

    def commit(self, message: Message) -> bool:
        self.committed.append(message.offset)
        return True

    def caught_up(self) -> bool:
        self.lag -= 1
        return self.lag < 0


@dataclass
class Clock:
    now: float = 0.0

    def monotonic(self) -> float:
        self.now += 1e-6  # no two looks at a real one are at the same moment
        return self.now


class Warehouse:
    def __init__(self) -> None:
        self.rows: dict[str, Decision] = {}
        self.claimed: list[str] = []
        self.busy = 0
        self.away = 0
        self.never_claimed = False

    @contextmanager
    def claim(self, event_id: str) -> Iterator[None]:
        if self.busy:
            self.busy -= 1
            raise Busy(event_id)
        self.claimed.append(event_id)
        try:
            yield
        finally:
            self.claimed.remove(event_id)

    def find(self, event_id: str) -> Decision | None:
        assert self.claimed == [event_id] or self.never_claimed
        return self.rows.get(event_id)

    def write(self, decision: Decision) -> None:
        assert self.claimed == [decision.event_id] or self.never_claimed
        if self.away:
            self.away -= 1
            raise StoreError("the warehouse is away")
        self.rows[decision.event_id] = decision


class Run:
    def __init__(self, status: int | None, looks: int = 2) -> None:
        self.status, self.looks, self.stopped = status, looks, False

    def start(self) -> None: ...

    def poll(self) -> int | None:
        self.looks -= 1
        return None if self.looks > 0 else self.status

    def stop(self) -> None:
        self.stopped = True


class Bench:
    """A listener and everything around it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        clock = Clock()
        monkeypatch.setattr(module, "time", clock)
        self.clock = clock
        self.stream = Stream(clock)
        self.warehouse = Warehouse()
        self.dead: list[tuple[int, str, int]] = []
        self.statuses: list[int | None] = []
        self.runs: list[Run] = []
        self.stop = threading.Event()
        self.pulse = Pulse()

    def run(self, day: Any) -> Run:
        assert day.date == date(2024, 1, 10)
        self.runs.append(Run(self.statuses.pop(0) if self.statuses else 0))
        return self.runs[-1]

    def listen(self, *messages: Message, datasets: tuple = ("its",), first: Any = None) -> None:
        self.stream.messages = list(messages)
        wanted = Wanted({"its", "sim"}, datasets, first)
        Listener(
            self.stream, self.warehouse, lambda m, *why: self.dead.append((m.offset, *why)),
            self.run, SETTINGS, wanted, self.stop, LIMIT_S, self.pulse,
        ).listen(until_idle=5)  # type: ignore[arg-type]  # fmt: skip


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(monkeypatch)


def test_a_day_is_run_recorded_and_committed(bench):
    bench.listen(announced(7))
    assert bench.warehouse.rows == {E1: Decision(E1, "t", 0, 7, "done", 1)}
    assert (len(bench.runs), bench.stream.committed, bench.dead) == (1, [7], [])
    assert bench.stream.tended > 0  # while it ran


def test_an_event_that_comes_again_is_dropped(bench):
    bench.listen(announced(7), announced(8), announced(9, "p2"))
    assert len(bench.runs) == 2
    assert bench.stream.committed == [7, 8, 9]


def test_a_run_that_fails_is_tried_again_with_growing_pauses(bench):
    bench.statuses = [30, 40, 0]
    bench.listen(announced(7))
    assert bench.warehouse.rows[E1] == Decision(E1, "t", 0, 7, "done", 3)
    assert 8 + 16 <= bench.stream.tended < 8 + 16 + 5
    assert bench.dead == []


def test_work_that_another_worker_is_at_is_no_failed_run(bench):
    bench.statuses = [25, 25, 25, 25, 30, 0]
    bench.listen(announced(7))
    assert bench.warehouse.rows[E1] == Decision(E1, "t", 0, 7, "done", 2)
    assert bench.dead == []


def test_work_that_another_worker_never_ends_is_a_dead_letter_in_the_end(bench):
    """It was asked for 16,723 times in three days, and would have been for ever."""
    bench.statuses = [25] * 20_000
    bench.listen(announced(7), announced(8, "p2"))
    (first, second) = bench.dead
    assert first == (
        7,
        "another worker on luigid was working on it and did not end within 24 h "
        "(pipeline.run_timeout_hours)",
        1,
    )
    assert second[0] == 8
    assert len(bench.runs) < 2 * 200, "the pauses grow"
    assert bench.clock.now < 2 * (DAY_S + 700)
    assert bench.stream.committed == [7, 8]
    assert len(bench.pulse.lost) == 2


def test_a_run_that_hangs_is_stopped_and_its_event_buried(bench):
    bench.statuses = [None]
    bench.listen(announced(7), announced(8, "p2"))
    assert bench.runs[0].stopped
    assert bench.dead == [
        (7, "run 1 did not end within 24 h (pipeline.run_timeout_hours), and was stopped", 1)
    ]
    assert bench.warehouse.rows[E1].outcome == "dead-letter"
    assert bench.warehouse.rows[E2].outcome == "done"
    assert DAY_S <= bench.clock.now < DAY_S + 60
    assert bench.stream.committed == [7, 8]
    assert bench.pulse.beats > DAY_S / 2, "it went on showing signs of life"
    assert bench.pulse.done == [f"its 2024-01-10 (event {E2})"]


def test_an_event_that_another_member_never_lets_go_is_worked_on_in_the_end(bench):
    bench.warehouse.busy = 10**9
    bench.warehouse.never_claimed = True
    bench.listen(announced(7))
    assert bench.warehouse.rows[E1].outcome == "done"
    assert DAY_S <= bench.clock.now < DAY_S + 60
    assert bench.stream.committed == [7]


def test_what_a_killed_run_leaves_behind_is_stopped_before_the_next(bench):
    bench.statuses = [-9, 0]
    bench.listen(announced(7))
    assert [run.stopped for run in bench.runs] == [True, False]


def test_a_run_that_keeps_failing_is_a_dead_letter_and_blocks_nothing(bench):
    bench.statuses = [30, 30, 30]
    bench.listen(announced(7), announced(8, "p2"))
    assert bench.dead == [(7, "3 runs failed, the last with exit status 30", 3)]
    assert bench.warehouse.rows[E1].outcome == "dead-letter"
    assert bench.warehouse.rows[E2].outcome == "done"
    assert bench.stream.committed == [7, 8]


def test_a_message_that_became_a_dead_letter_is_not_run_when_it_comes_again(bench):
    bench.statuses = [30] * 3
    bench.listen(announced(7))
    bench.listen(announced(7))
    assert len(bench.runs) == 3 and len(bench.dead) == 1


def test_a_dead_letter_that_is_sent_again_is_run_again(bench):
    bench.statuses = [30] * 3
    bench.listen(announced(7))
    bench.listen(announced(20))
    assert bench.warehouse.rows[E1] == Decision(E1, "t", 0, 20, "done", 1)


def test_what_cannot_be_understood_is_a_dead_letter_and_needs_no_warehouse(bench):
    bench.warehouse.away = 10**6
    bench.listen(Message(7, b"?"), Message(8, b"[]"))
    assert [(offset, attempts) for offset, _, attempts in bench.dead] == [(7, 0), (8, 0)]
    assert bench.stream.committed == [7, 8] and not bench.runs


@pytest.mark.parametrize(
    "narrowed", [{"datasets": ("sim",)}, {"first": date(2024, 1, 11)}], ids=lambda n: next(iter(n))
)
def test_what_was_not_asked_for_is_left_out(bench, narrowed):
    bench.listen(announced(7), **narrowed)
    assert (bench.runs, bench.dead, bench.warehouse.rows) == ([], [], {})
    assert bench.stream.committed == [7]


def test_the_first_day_asked_for_is_run(bench):
    bench.listen(announced(7), first=date(2024, 1, 10))
    assert len(bench.runs) == 1


def test_an_event_that_another_member_is_at_is_waited_for(bench, caplog, monkeypatch):
    monkeypatch.setattr(logging.getLogger("luigi_traffic"), "propagate", True)
    caplog.set_level("INFO")

    def the_other_one_is_done() -> None:
        if not bench.warehouse.busy:
            bench.warehouse.rows[E1] = Decision(E1, "t", 1, 3, "done", 1)

    bench.warehouse.busy = 4
    bench.stream.on_tend = the_other_one_is_done
    bench.listen(announced(7))
    assert bench.runs == [] and bench.stream.tended >= 4
    assert bench.stream.committed == [7]
    told = {
        id(r) for r in caplog.records if "another member is working on it, waiting" in r.message
    }
    assert len(told) == 1


def test_a_warehouse_that_comes_back_is_waited_for(bench):
    bench.warehouse.away = 4
    bench.listen(announced(7))
    assert bench.warehouse.rows[E1].outcome == "done"
    assert len(bench.runs) == 1 and bench.stream.committed == [7]


def test_a_warehouse_that_stays_away_ends_it_without_a_commit(bench):
    bench.warehouse.away = 10**6
    with pytest.raises(StoreError, match="away"):
        bench.listen(announced(7))
    assert bench.clock.now > module.PATIENCE_S - 60
    assert bench.stream.committed == [] and bench.warehouse.claimed == []


def test_a_stop_ends_the_run_and_commits_nothing(bench):
    bench.statuses = [None]
    with stop_signal() as stop:
        bench.stop = stop
        bench.stream.on_tend = lambda: os.kill(os.getpid(), signal.SIGTERM)
        bench.listen(announced(7), announced(8, "p2"))
    (run,) = bench.runs
    assert run.stopped
    assert (bench.stream.committed, bench.warehouse.rows, bench.dead) == ([], {}, [])
    assert bench.warehouse.claimed == []


def test_a_run_that_is_lost_sight_of_does_not_go_on(bench):
    def broken() -> None:
        raise StoreError("Kafka is gone for good")

    bench.statuses = [None]
    bench.stream.on_tend = broken
    with pytest.raises(StoreError):
        bench.listen(announced(7))
    assert bench.runs[0].stopped and bench.stream.committed == []


def test_it_is_not_idle_while_something_is_left(bench):
    bench.stream.lag = 3
    bench.listen()
    assert bench.stream.lag < 0
    assert bench.clock.now == pytest.approx(5 + 3, abs=0.01)


def test_an_event_under_the_id_of_another_day_is_a_dead_letter_and_drops_nothing(bench):
    """Its id says that it was decided: the day that it announces would never be run."""
    forged = announced(8)
    forged.value = forged.value.replace(b"2024-01-10", b"2024-01-11")
    bench.listen(announced(7), forged)
    (letter,) = bench.dead
    assert letter[0] == 8 and "one of them was changed" in letter[1]
    assert bench.stream.committed == [7, 8]
    assert set(bench.warehouse.rows) == {E1}
