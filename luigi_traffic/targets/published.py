"""The forecast of a day as a Luigi Target: it exists if it is published, and of today's gold."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

import luigi

from luigi_traffic.project import Project
from luigi_traffic.targets.chain import DayChain
from luigi_traffic.targets.warehouse import ledger_view


class PublishedForecast(luigi.Target):
    """A day's forecast by the champion.

    target    the measure, empty for the dataset's own
    training  id of a model: who is champion must have been looked up after it was trained. None:
              any champion's forecast will do, so that a day that is over keeps what was said then.
    """

    def __init__(
        self, project: Project, dataset: str, target: str, day: date, training: str | None
    ) -> None:
        self.project = project
        self.dataset = dataset
        self.target = target
        self.day = day
        self.training = training

    def exists(self) -> bool:
        """Whether it is published, and the gold that it was made from has not changed since."""
        view = ledger_view(self.project)
        found = view.published(self.dataset, self.target, self.day, self.training)
        return (
            found is not None
            and self.day.isoformat() in found.gold
            and of_gold(self.project, self.dataset, found.gold)
        )


def of_gold(project: Project, dataset: str, gold: Mapping[str, str]) -> bool:
    """Whether these ids of gold (day → id) are those that today's recipes and raw call for."""
    return all(
        DayChain(project, dataset, date.fromisoformat(day)).id("gold") == wanted
        for day, wanted in gold.items()
    )
