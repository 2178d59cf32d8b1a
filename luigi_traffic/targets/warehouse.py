"""Partitions of the warehouse as Luigi Targets: they exist where the ledger says so."""

from __future__ import annotations

from datetime import date

import luigi

from luigi_traffic.project import current
from luigi_traffic.targets.chain import DayChain


class LedgerView:
    """Live ledger ids, one query a stage; what is not there is asked for again, a part at a
    time, unless a run only plans (see `luigi_traffic.lake.catalog`)."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], dict[str, str | None]] = {}

    def holds(self, stage: str, dataset: str, part: str, partition_id: str) -> bool:
        """Whether that id is the live one of its part."""
        if (stage, dataset) not in self._known:
            self._known[stage, dataset] = self._read(stage, dataset)
        known = self._known[stage, dataset]
        if known.get(part) != partition_id and not current().catalog.planning:
            known[part] = self._read_part(stage, dataset, part)
        return known.get(part) == partition_id

    def forget(self) -> None:
        """Read anew at the next question."""
        self._known.clear()

    @staticmethod
    def _read(stage: str, dataset: str) -> dict[str, str | None]:
        from luigi_traffic.warehouse import ledger

        with current().warehouse.connect() as connection:
            return dict(ledger.current_ids(connection, stage, dataset))

    @staticmethod
    def _read_part(stage: str, dataset: str, part: str) -> str | None:
        from luigi_traffic.warehouse import ledger

        with current().warehouse.connect() as connection:
            return ledger.current_id(connection, stage, dataset, part)


def ledger_view() -> LedgerView:
    """The view of the current project's ledger."""
    return current().keep(LedgerView, LedgerView)


class GoldPartition(luigi.Target):
    """One day of gold."""

    def __init__(self, dataset: str, day: date) -> None:
        self.chain = DayChain(dataset, day)

    def exists(self) -> bool:
        """Live in the ledger, or left out because the source has nothing for that day."""
        wanted = self.chain.id("gold")
        if wanted is None:
            return self.chain.absent() is not None
        return ledger_view().holds("gold", self.chain.name, self.chain.day.isoformat(), wanted)

    def absent(self) -> bool:
        """Whether the day is left out."""
        return self.chain.absent() is not None


class LedgerPartition(luigi.Target):
    """A forecast or a registered model: a part and the id that is called for."""

    def __init__(self, stage: str, dataset: str, part: str, partition_id: str | None) -> None:
        self.stage = stage
        self.dataset = dataset
        self.part = part
        self.partition_id = partition_id

    def exists(self) -> bool:
        """Live in the ledger. An id of None cannot be known yet: its inputs are missing."""
        return self.partition_id is not None and ledger_view().holds(
            self.stage, self.dataset, self.part, self.partition_id
        )
