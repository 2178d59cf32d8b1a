"""The evaluation of a day as a Luigi Target: it is of what is published and in gold now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import cached_property
from typing import TYPE_CHECKING

from luigi_traffic.project import Project
from luigi_traffic.recipe import Input, Recipe
from luigi_traffic.targets.stage_versions import STAGE_VERSIONS
from luigi_traffic.targets.training import other_target
from luigi_traffic.targets.warehouse import LedgerPartition, known_gold, ledger_view

if TYPE_CHECKING:
    from luigi_traffic.warehouse.published import Published

#: The free-flow speed of a link is that of so many days of gold, the day itself the last of them.
FREE_FLOW_DAYS = 7


@dataclass(frozen=True)
class EvaluationPlan:
    """What the forecasts for one day are scored with: recipe, inputs and id, as they are now.

    target  the name of the measure
    """

    project: Project = field(repr=False)
    dataset: str
    target: str
    day: date

    @property
    def days(self) -> list[date]:
        """Whose gold is read, oldest first."""
        return [self.day - timedelta(days=n) for n in range(FREE_FLOW_DAYS - 1, -1, -1)]

    @cached_property
    def forecasts(self) -> Mapping[date, Published]:
        """What is published of the day before, which reaches into the day, and of the day."""
        view = ledger_view(self.project)
        other = other_target(self.project.plugins.dataset(self.dataset), self.target)
        both = (self.day - timedelta(days=1), self.day)
        found = {day: view.published(self.dataset, other, day, None) for day in both}
        return {day: one for day, one in found.items() if one is not None}

    @cached_property
    def gold(self) -> Mapping[str, str]:
        """Day → id of the gold that there is of `days`."""
        return known_gold(self.project, self.dataset, self.days)

    @property
    def recipe(self) -> Recipe:
        """The target; all else is in the ids of the inputs."""
        terms = {"core": STAGE_VERSIONS["evaluation"], "target": self.target}
        return Recipe("evaluation", self.dataset, terms)

    @property
    def inputs(self) -> Sequence[Input]:
        """The forecasts, then gold."""
        return [
            *(Input("forecast", one.part, one.partition_id) for one in self.forecasts.values()),
            *(Input("gold", day, made) for day, made in self.gold.items()),
        ]

    @property
    def partition_id(self) -> str | None:
        """None while the day's own forecast is not published, or its gold is missing."""
        if self.day not in self.forecasts or self.day.isoformat() not in self.gold:
            return None
        return self.recipe.partition_id([f"{i.stage} {i.part}:{i.id}" for i in self.inputs])

    def output(self) -> LedgerPartition:
        """The day's partition of `evaluation.<dataset>`."""
        from luigi_traffic.warehouse.tables import evaluation_part

        part = evaluation_part(self.day, self.target)
        return LedgerPartition(self.project, "evaluation", self.dataset, part, self.partition_id)
