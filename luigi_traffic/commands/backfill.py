"""`luigi-traffic backfill`: make the days of a range that are missing or stale."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import date as Date
from datetime import timedelta
from itertools import groupby
from typing import TYPE_CHECKING

from luigi_traffic.commands.backfill_plan import Plan, plan
from luigi_traffic.commands.output import Row, table, text
from luigi_traffic.errors import SettingsError, TerminalError
from luigi_traffic.processes.luigi_run import NOT_RUN, LuigiRun, command
from luigi_traffic.processes.stop_signal import stop_signal
from luigi_traffic.project import Project

if TYPE_CHECKING:
    from rich.console import Console

logger = logging.getLogger("luigi_traffic")
#: Days of one run of Luigi, whose scheduler looks at all tasks that it has each time.
CHUNK = 31
OLDEST, NEWEST = "oldest", "newest"
#: Luigi's exit codes of a run that got as far as the tasks: done, or which tasks failed how
#: (luigi_traffic.run sets them).
_RAN = {0, 20, NOT_RUN, 30, 35}


class Backfill:
    """The runs of a range of days, `CHUNK` days each."""

    def __init__(
        self,
        look: Callable[[], Plan],
        order: str = OLDEST,
        workers: int = 1,
        max_failures: int | None = None,
        luigi_arguments: Sequence[str] = (),
        run: Callable[[list[str]], LuigiRun] = LuigiRun,
    ) -> None:
        """`look` plans anew. Raises `SettingsError` for what is no order or number."""
        if order not in (OLDEST, NEWEST):
            raise SettingsError(f"--order {order}: expected {OLDEST} or {NEWEST}")
        if workers < 1:
            raise SettingsError(f"--parallel {workers}: expected 1 or more")
        if max_failures is not None and max_failures < 0:
            raise SettingsError(f"--max-failures {max_failures}: expected 0 or more")
        self._look, self._order, self._run = look, order, run
        self._workers, self._max_failures = workers, max_failures
        self._arguments = list(luigi_arguments)

    def work(self, before: Plan) -> tuple[Plan, bool]:
        """Run what is open; what is still open afterwards, and whether it went on to the end.

        A day that fails keeps no other one back, until more than `max_failures` days have failed.
        What was committed stays if it is stopped, and the next backfill goes on with the rest.
        Raises `TerminalError` if Luigi itself cannot run.
        """
        left = before
        tried: set[Date] = set()
        began = time.monotonic()
        with stop_signal() as stop:
            for days in self._chunks(before.open_days):
                logger.info("backfill %s: %s to %s", before.dataset, min(days), max(days))
                words = self.words(before, days)
                run = self._run(words)
                run.start()
                code = run.wait(stop, float("inf"))
                if code is None:
                    logger.warning("backfill %s was stopped before it was done", before.dataset)
                    return self._look(), False
                if code not in _RAN:
                    raise TerminalError(f"{' '.join(words)} ended with exit code {code}; see above")
                tried |= set(days)
                left = self._look()
                failed = [day for day in left.open_days if day in tried]
                self._tell(before, len(tried), failed, time.monotonic() - began)
                if self._max_failures is not None and len(failed) > self._max_failures:
                    logger.error(
                        "backfill %s stops: %d days failed, --max-failures is %d",
                        before.dataset, len(failed), self._max_failures,
                    )  # fmt: skip
                    return left, False
        return left, True

    def words(self, known: Plan, days: Sequence[Date]) -> list[str]:
        """The command of one run."""
        words = ["--first", min(days).isoformat(), "--last", max(days).isoformat()]
        words += ["--dataset", known.dataset, "--upto", known.upto]
        words += ["--workers", str(self._workers)]
        if self._order == NEWEST:
            words.append("--newest-first")
        return command("Backfill", [*words, *self._arguments])

    def _chunks(self, days: Sequence[Date]) -> Iterator[Sequence[Date]]:
        """By the calendar, so that days between two open ones are looked at once."""
        chunks = [
            list(group) for _, group in groupby(days, key=lambda day: (day - days[0]).days // CHUNK)
        ]
        yield from chunks if self._order == OLDEST else reversed(chunks)

    @staticmethod
    def _tell(known: Plan, tried: int, failed: Sequence[Date], seconds: float) -> None:
        total = len(known.open_days)
        left = timedelta(seconds=round(seconds / tried * (total - tried)))
        logger.info(
            "backfill %s: %d of %d days, %d of them failed; about %s left",
            known.dataset, tried, total, len(failed), left,
        )  # fmt: skip


def look(
    project: Project, dataset: str | None, first: Date, last: Date | None, upto: str
) -> Callable[[], Plan]:
    """`plan` of that range, to be asked again and again."""
    return lambda: plan(project, dataset, first, last, upto)


def rows(known: Plan) -> list[Row]:
    """A row a cell: dataset, day, stage, state, reason."""
    return [
        {"dataset": known.dataset, "day": cell.day, "stage": cell.stage, "state": cell.state,
         "reason": cell.reason}
        for cell in known.cells
    ]  # fmt: skip


def draw(known: Plan, console: Console, *, done: bool) -> None:
    """How many days of each stage are open and why, before a run or, if `done`, after it."""
    span = f"{known.dataset} {known.days[0]} to {known.days[-1]}"
    if not known.cells:
        console.print(f"{span}: nothing to do up to {known.upto}")
        return
    title = f"{span}, {'still open' if done else 'to be made'}"
    shown = table("stage", "why", "days", "first", "last", right=("days",), title=title)
    for (stage, why), days in _grouped(known).items():
        cells = (stage, why, len(days), min(days), max(days))
        shown.add_row(*(text(cell) for cell in cells))
    console.print(shown)
    if done or not known.to_do:
        return
    estimate = known.estimate()
    if estimate is None:
        console.print("No day of this range is done yet, so how long it takes is not known.")
    else:
        console.print(f"About {timedelta(seconds=round(estimate.total_seconds()))} with one worker")


def _grouped(known: Plan) -> dict[tuple[str, str], list[Date]]:
    found: dict[tuple[str, str], list[Date]] = {}
    for cell in known.cells:
        why = f"{cell.state}: {cell.reason}" if cell.reason else cell.state
        found.setdefault((cell.stage, why), []).append(cell.day)
    return found
