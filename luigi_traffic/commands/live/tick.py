"""One tick: ask the source, take in what it said, forecast the next steps, and say so."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from luigi_traffic.api import clock
from luigi_traffic.api.dataset import Dataset
from luigi_traffic.commands.live.next_steps import Champion, NextSteps
from luigi_traffic.commands.live.observations import Observations, TakenIn
from luigi_traffic.crashpoints import CrashPoint, crash_point
from luigi_traffic.errors import SettingsError, TrafficError
from luigi_traffic.events.tick_event import tick_event
from luigi_traffic.project import Project
from luigi_traffic.warehouse import live, published, ticks
from luigi_traffic.warehouse.tables import forecast_table
from luigi_traffic.warehouse.ticks import Tick

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection

    from luigi_traffic.warehouse.partitions import PartitionedTable

logger = logging.getLogger("luigi_traffic")


def latest_due(
    now: datetime, dataset: type[Dataset] | Dataset, every: timedelta, delay: timedelta
) -> datetime:
    """The newest time at which a tick is due, up to `now` (aware), in UTC.

    Ticks are due `delay` after each multiple of `every` on the wall clock of the dataset.
    """
    offset = now.astimezone(ZoneInfo(dataset.timezone)).utcoffset() or timedelta(0)
    wall = now.astimezone(UTC) + offset - delay
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    return epoch + (wall - epoch) // every * every - offset + delay


@dataclass
class Ticker:
    """The ticks of a dataset and target, `every` so often. Ticks of two runners follow each other.

    poll      asks the source; None if another process does
    target    empty for the dataset's own
    champion  who forecasts, see `prepare`
    """

    project: Project
    dataset: Dataset
    target: str
    every: timedelta
    poll: Callable[[], str] | None
    observations: Observations
    champion: Champion | None = None

    def tick(self, due_at: datetime) -> Tick:
        """Do the tick of that time, or find that it was done.

        What fails on the way is in the tick's message and outcome: what was taken in stays, and the
        next tick goes on from there. Raises `TrafficError` if the warehouse cannot be used, or if
        asking the source again is no use.
        """
        with self.project.warehouse.lock(f"live/{self.dataset.name}/{self.target}"):
            with self.project.warehouse.connect() as connection:
                before = ticks.newest(connection, self.dataset.name, self.target)
                if before and before.due_at >= due_at and before.outcome != ticks.MISSED:
                    return before
                missed = ticks.note_missed(
                    connection, self.dataset.name, self.target, due_at, self.every
                )
            if missed:
                logger.warning("live %s: %d ticks were missed", self.dataset.name, missed)
            done = self._done(due_at, before)
            self._announce()
            for said in self.observations.give_way(self._wall(clock.now())):
                logger.info("live %s: %s", self.dataset.name, said)
            return done

    def prepare(self) -> None:
        """Between ticks: load the champion of now, and what its forecasts need.

        That takes long after a start, a promotion or a day that has become gold: here it costs no
        forecast its time, unless it takes longer than it is to the next tick, which then is late.
        If it fails, the next tick tries again and says why.
        """
        try:
            self.champion = self._current(self._wall(clock.now()))
        except TrafficError as error:
            logger.warning("live %s: the next tick tries it again: %s", self.dataset.name, error)
            self.champion = None

    def _current(self, at: datetime) -> Champion:
        return Champion.current(self.project, self.dataset, self.target, at.date(), self.champion)

    def _wall(self, moment: datetime) -> datetime:
        return moment.astimezone(ZoneInfo(self.dataset.timezone)).replace(tzinfo=None)

    def _done(self, due_at: datetime, before: Tick | None) -> Tick:
        polled_at, why = clock.now(), []
        failed = self._polled()
        if failed:
            why.append(failed)
        crash_point(CrashPoint.LIVE_POLLED)
        found = self.observations.take_in(self._wall(polled_at), polled_at)
        newest = self._newest(found)
        # A runner for another measure may have taken in what there was.
        new = found.polls or (before and newest and before.newest and newest > before.newest)
        made = Tick(
            self.dataset.name, self.target, due_at, ticks.DONE if new else ticks.NO_DATA,
            polled_at=polled_at, rows_at=clock.now() if found.polls else None, polls=found.polls,
            rows=found.rows, rejected=found.rejected, newest=newest,
            feed=self._feed(newest, failed),
        )  # fmt: skip
        delay = timedelta(seconds=self.project.settings.live.delay_seconds)
        try:
            steps = self._next_steps(self._wall(due_at - delay))
        except TrafficError as error:
            logger.error("live %s: no forecast: %s", self.dataset.name, error)
            why.append(f"no forecast: {error}")
            steps = None
        made = replace(made, message="; ".join(why) or None)
        self._commit(made, steps)
        crash_point(CrashPoint.LIVE_FORECAST_COMMITTED)
        with self.project.warehouse.connect() as connection:
            return ticks.newest(connection, self.dataset.name, self.target) or made

    def _polled(self) -> str | None:
        """Why there is no answer, None if there is one, or if another process asks."""
        if self.poll is None:
            return None
        try:
            logger.info("live %s: %s", self.dataset.name, self.poll())
        except SettingsError:
            raise
        except TrafficError as error:
            logger.warning("live %s: no answer: %s", self.dataset.name, error)
            return f"no answer: {error}"
        return None

    def _newest(self, found: TakenIn) -> datetime | None:
        """Of this tick and those before it."""
        with self.project.warehouse.connect() as connection:
            before = ticks.newest_observation(connection, self.dataset.name)
        return max((at for at in (found.newest, before) if at), default=None)

    def _feed(self, newest: datetime | None, failed: str | None) -> str:
        """Whether the source reports at all, as opposed to single links that do not."""
        longest = timedelta(minutes=self.project.settings.live.down_after_minutes)
        now = self._wall(clock.now())
        old = newest is None or now - (newest + self.dataset.interval) > longest
        return ticks.DOWN if old or failed else ticks.UP

    def _next_steps(self, at: datetime) -> NextSteps:
        interval = self.dataset.interval
        midnight = datetime.combine(at.date(), datetime.min.time())
        issued_at = midnight + (at - midnight) // interval * interval
        if self.champion is None:
            self.champion = self._current(issued_at)
        return self.champion.forecast(issued_at)

    def _commit(self, made: Tick, steps: NextSteps | None) -> None:
        """The forecast and the tick, in one transaction."""
        warehouse = self.project.warehouse
        if steps is None or self.champion is None:
            with warehouse.connect() as connection:
                ticks.write(connection, made)
            return
        target = self.champion.target
        table = live.live_forecast_table(self.dataset.name, target)
        with warehouse.connect() as connection:
            published.ensure(connection, forecast_table(self.dataset.name, target), table)
        with warehouse.connect() as connection:
            live.open_day(connection, table, steps.issued_at.date())
        with warehouse.connect() as connection:
            live.replace_forecast(
                connection, table, target, steps.rows, steps.issued_at,
                self.project.settings.forecast.rolling_steps,
            )  # fmt: skip
            ticks.write(connection, replace(
                made, forecast_at=clock.now(), issued_at=steps.issued_at, version=steps.version,
                links=steps.links, silent=steps.silent if made.feed == ticks.UP else None,
                fallback=steps.fallback,
            ))  # fmt: skip
            crash_point(CrashPoint.LIVE_FORECAST)
            self._drop_old(connection, table, steps.issued_at)

    def _drop_old(
        self, connection: Connection, table: PartitionedTable, issued_at: datetime
    ) -> None:
        oldest = issued_at.date() - timedelta(days=self.project.settings.live.keep_days)
        for day in live.days(connection, table):
            if day < oldest:
                live.drop_day(connection, table, day)

    def _announce(self) -> None:
        """Send the events that are not known to be sent. One that is sent twice has the same id."""
        topic = self.project.settings.live.topic.format(dataset=self.dataset.name)
        with self.project.warehouse.connect() as connection:
            waiting = ticks.unannounced(connection, self.dataset.name, self.target)
        for tick in waiting:
            try:
                self.project.events.publish(tick_event(tick, topic))
            except TrafficError as error:
                logger.error("live %s: the event is sent later: %s", self.dataset.name, error)
                return
            with self.project.warehouse.connect() as connection:
                ticks.write(connection, replace(tick, announced=True))
