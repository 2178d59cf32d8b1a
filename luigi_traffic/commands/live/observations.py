"""Polls into `live.<dataset>`: each once, by the rules of bronze and silver."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from luigi_traffic.api.dataset import Dataset
from luigi_traffic.api.live import LiveSource
from luigi_traffic.crashpoints import CrashPoint, crash_point
from luigi_traffic.project import Project
from luigi_traffic.recipe import short_hash
from luigi_traffic.targets.chain import lineage
from luigi_traffic.warehouse import ledger, live, ticks

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection

    from luigi_traffic.compute.live_day import LiveDay

logger = logging.getLogger("luigi_traffic")

#: Polls that are taken in together: a runner that comes back after hours takes them piece by piece.
_POLLS = 48


@dataclass(frozen=True)
class TakenIn:
    """What a tick took in: polls, the rows that they changed, and the lines that were rejected."""

    polls: int = 0
    rows: int = 0
    rejected: int = 0
    newest: datetime | None = None
    """Start of the newest interval among the rows, as wall time."""

    def __add__(self, other: TakenIn) -> TakenIn:
        times = [one.newest for one in (self, other) if one.newest]
        return TakenIn(
            self.polls + other.polls,
            self.rows + other.rows,
            self.rejected + other.rejected,
            max(times, default=None),
        )


class Observations:
    """The observations of the days that are not over yet, or have no gold yet.

    Polls belong to days; a poll just after midnight may have lines of the day before.
    """

    def __init__(self, project: Project, dataset: Dataset, source: LiveSource) -> None:
        self._project, self._dataset, self._source = project, dataset, source

    @cached_property
    def recipe(self) -> str:
        """Hash of the rules that polls are typed and cleaned by: settings and code."""
        made = lineage(self._project, self._dataset.name)
        return short_hash(made.bronze.hash, made.silver.hash)

    @property
    def _folder(self) -> Path:
        return self._project.home / "live" / self._dataset.name

    def take_in(self, now: datetime, arrived_at: datetime) -> TakenIn:
        """Put what is kept and not yet taken in into the live table.

        `now` is wall time of the dataset, `arrived_at` the same moment with its zone.
        """
        found = TakenIn()
        for day in (now.date() - timedelta(days=1), now.date()):
            polls = list(self._source.kept(day))
            if not polls:
                continue
            with self._project.warehouse.connect() as connection:
                if day.isoformat() in ledger.current_ids(connection, "gold", self._dataset.name):
                    continue
                self._forget_other_rules(connection, day)
                taken = ticks.taken(connection, self._dataset.name, day, self.recipe)
            new = [poll for poll in polls if poll.name not in taken]
            there = [poll for poll in polls if poll.name in taken]
            for first in range(0, len(new), _POLLS):
                group = new[first : first + _POLLS]
                there += group
                found += self._take_in(self._day(day), there, group, arrived_at)
        return found

    def _day(self, day: date) -> LiveDay:
        from luigi_traffic.compute.duckdb_engine import DuckDbEngine
        from luigi_traffic.compute.live_day import LiveDay

        folder = self._folder / self.recipe / day.isoformat()
        return LiveDay(DuckDbEngine(self._project.settings), self._dataset, day, folder)

    def _take_in(
        self, day: LiveDay, polls: Sequence[Path], new: Sequence[Path], arrived_at: datetime
    ) -> TakenIn:
        typed = [day.typed(poll) for poll in new]
        rows = day.cleaned(polls, new)
        table = live.live_table(self._dataset.name, rows.column_names)
        with self._project.warehouse.connect() as connection:
            live.open_day(connection, table, day.day)
        with self._project.warehouse.connect() as connection:
            changed = live.upsert(connection, table, day.day, rows, arrived_at)
            ticks.take(connection, self._dataset.name, day.day, self.recipe, typed)
            crash_point(CrashPoint.LIVE_ROWS)
        crash_point(CrashPoint.LIVE_ROWS_COMMITTED)
        times = rows["timestamp"].to_pylist()
        rejected = sum(one.rejected for one in typed)
        return TakenIn(len(new), changed, rejected, max(times, default=None))

    def _forget_other_rules(self, connection: Connection, day: date) -> None:
        """Rows that were made by other rules are made anew, all of them."""
        if ticks.other_recipe(connection, self._dataset.name, day, self.recipe):
            logger.warning(
                "live %s: settings or code have changed: %s is made anew from its polls",
                self._dataset.name, day,
            )  # fmt: skip
            live.drop_day(connection, live.live_table(self._dataset.name, ()), day)
            ticks.forget_polls(connection, self._dataset.name, day)

    def give_way(self, now: datetime) -> list[str]:
        """Remove the live rows of days that have gold, or that are too old; what was done.

        Of a day that has gold, the rows are compared first: a difference is reported.
        """
        name, said = self._dataset.name, []
        oldest = now.date() - timedelta(days=self._project.settings.live.keep_days)
        with self._project.warehouse.connect() as connection:
            table = live.live_table(name, ())
            gold = ledger.current_ids(connection, "gold", name)
            over = [day for day in live.days(connection, table) if day < now.date()]
        for day in over:
            if day.isoformat() not in gold and day >= oldest:
                continue
            with self._project.warehouse.connect() as connection:
                columns = [c for c in table.existing_columns(connection) if c != "arrived_at"]
                if day.isoformat() in gold:
                    ours, theirs = live.differences(connection, name, columns, day)
                    same = "the same rows" if not ours + theirs else (
                        f"{ours:,} live rows that gold does not have, and {theirs:,} the other way "
                        "round: were polls added or corrected after the day?"
                    )  # fmt: skip
                    said.append(f"{day} has gold now: {same}")
                else:
                    said.append(f"{day} is removed: it has no gold after live.keep_days")
                live.drop_day(connection, table, day)
                ticks.forget_polls(connection, name, day)
            for folder in self._folder.glob(f"*/{day.isoformat()}"):
                shutil.rmtree(folder)
        return said
