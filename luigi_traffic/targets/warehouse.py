"""Partitions of the warehouse as Luigi Targets: they exist where the ledger says so."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime
from typing import TYPE_CHECKING

import luigi

from luigi_traffic.project import Project
from luigi_traffic.targets.chain import DayChain

if TYPE_CHECKING:
    from luigi_traffic.warehouse.published import Published
    from luigi_traffic.warehouse.ticks import IssuedDay


class LedgerView:
    """Live ledger ids, one query a stage; what is not there is asked for again, a part at a
    time, unless a run only plans (see `luigi_traffic.lake.catalog`)."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._known: dict[tuple[str, str], dict[str, str | None]] = {}
        self._published: dict[tuple[str, str], dict[str, Published]] = {}
        self._trained: dict[str, dict[str, datetime]] = {}
        self._live: dict[tuple[str, str], dict[str, IssuedDay]] = {}

    def holds(self, stage: str, dataset: str, part: str, partition_id: str) -> bool:
        """Whether that id is the live one of its part."""
        if (stage, dataset) not in self._known:
            self._known[stage, dataset] = self._read(stage, dataset)
        known = self._known[stage, dataset]
        if known.get(part) != partition_id and not self._project.catalog.planning:
            known[part] = self._read_part(stage, dataset, part)
        return known.get(part) == partition_id

    def published(
        self, dataset: str, target: str, day: date, training: str | None
    ) -> Published | None:
        """The day's published forecast; with `training`, if the champion was looked up after it."""
        planning = self._project.catalog.planning
        key = dataset, target
        if key not in self._published or dataset not in self._trained:
            self._published[key] = self._read_published(*key)
            self._trained[dataset] = self._read_trained(dataset)
        found = self._after(key, day, training)
        if found is None and not planning:
            self._published[key].pop(day.isoformat(), None)
            self._published[key].update(self._read_published(*key, day))
            if training is not None and training not in self._trained[dataset]:
                self._trained[dataset] = self._read_trained(dataset)
            found = self._after(key, day, training)
        return found

    def live(self, dataset: str, target: str, day: date) -> IssuedDay | None:
        """The live forecasts that were issued on a day; None: none were."""
        key = dataset, target
        if key not in self._live:
            from luigi_traffic.warehouse import ticks

            with self._project.warehouse.connect() as connection:
                self._live[key] = ticks.issued_days(connection, *key)
        return self._live[key].get(day.isoformat())

    def _after(self, key: tuple[str, str], day: date, training: str | None) -> Published | None:
        found = self._published[key].get(day.isoformat())
        if found is None or training is None:
            return found
        trained = self._trained[key[0]].get(training)
        return found if trained is not None and trained <= found.champion_at else None

    def forget(self) -> None:
        """Read anew at the next question."""
        self._known.clear()
        self._published.clear()
        self._trained.clear()
        self._live.clear()

    def _read(self, stage: str, dataset: str) -> dict[str, str | None]:
        from luigi_traffic.warehouse import ledger

        with self._project.warehouse.connect() as connection:
            return dict(ledger.current_ids(connection, stage, dataset))

    def _read_published(
        self, dataset: str, target: str, day: date | None = None
    ) -> dict[str, Published]:
        from luigi_traffic.warehouse.published import published

        with self._project.warehouse.connect() as connection:
            return published(connection, dataset, target, day)

    def _read_trained(self, dataset: str) -> dict[str, datetime]:
        from luigi_traffic.warehouse import ledger

        with self._project.warehouse.connect() as connection:
            return ledger.commit_times(connection, "model", dataset)

    def _read_part(self, stage: str, dataset: str, part: str) -> str | None:
        from luigi_traffic.warehouse import ledger

        with self._project.warehouse.connect() as connection:
            return ledger.current_id(connection, stage, dataset, part)


def ledger_view(project: Project) -> LedgerView:
    """The view of that project's ledger, one for all its targets."""
    return project.keep(LedgerView, lambda: LedgerView(project))


class GoldPartition(luigi.Target):
    """One day of gold."""

    def __init__(self, project: Project, dataset: str, day: date) -> None:
        self.project = project
        self.chain = DayChain(project, dataset, day)

    def exists(self) -> bool:
        """Live in the ledger, or left out because the source has nothing for that day."""
        wanted = self.chain.id("gold")
        if wanted is None:
            return self.chain.absent() is not None
        day = self.chain.day.isoformat()
        return ledger_view(self.project).holds("gold", self.chain.name, day, wanted)

    def absent(self) -> bool:
        """Whether the day is left out."""
        return self.chain.absent() is not None


def known_gold(project: Project, dataset: str, days: Iterable[date]) -> dict[str, str]:
    """Day → id of the gold that there is of these days."""
    known = [GoldPartition(project, dataset, day) for day in days]
    found = {p.chain.day.isoformat(): p.chain.id("gold") for p in known if p.exists()}
    return {day: made for day, made in found.items() if made is not None}


class LedgerPartition(luigi.Target):
    """A registered model: a part and the id that is called for."""

    def __init__(
        self, project: Project, stage: str, dataset: str, part: str, partition_id: str | None
    ) -> None:
        self.project = project
        self.stage = stage
        self.dataset = dataset
        self.part = part
        self.partition_id = partition_id

    def exists(self) -> bool:
        """Live in the ledger. An id of None cannot be known yet: its inputs are missing."""
        return self.partition_id is not None and ledger_view(self.project).holds(
            self.stage, self.dataset, self.part, self.partition_id
        )
