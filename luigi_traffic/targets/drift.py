"""How a day compares with the training of the champion, as a Luigi Target: a row of the ledger."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import luigi

from luigi_traffic.project import Project
from luigi_traffic.targets.published import of_gold

if TYPE_CHECKING:
    from luigi_traffic.warehouse.ledger import LedgerRow


class DriftResult(luigi.Target):
    """How a day compares with the training of the champion of then.

    A day that was compared keeps its result, whoever is champion later, unless gold has changed.
    """

    def __init__(self, project: Project, dataset: str, target: str, day: date) -> None:
        self.project = project
        self.dataset = dataset
        self.day = day
        self.part = f"{day.isoformat()}/{target}"

    def exists(self) -> bool:
        """Whether it is there, of today's gold."""
        found = self.row()
        return found is not None and of_gold(self.project, self.dataset, _gold(found))

    def row(self) -> LedgerRow | None:
        """The live row of the ledger."""
        from luigi_traffic.warehouse import ledger

        with self.project.warehouse.connect() as connection:
            return ledger.live(connection, "drift", self.dataset, self.part)


def _gold(row: LedgerRow) -> dict[str, str]:
    return {one.part: one.id for one in row.inputs if one.stage == "gold"}
