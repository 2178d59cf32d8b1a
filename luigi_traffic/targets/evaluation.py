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
    from luigi_traffic.warehouse.ticks import IssuedDay

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
    def _other(self) -> str:
        return other_target(self.project.plugins.dataset(self.dataset), self.target)

    @property
    def _both(self) -> tuple[date, date]:
        """The day before, whose forecasts reach into the day, and the day."""
        return self.day - timedelta(days=1), self.day

    @cached_property
    def forecasts(self) -> Mapping[date, Published]:
        """What is published of both days; nothing, if nothing is of the day itself."""
        view = ledger_view(self.project)
        found = {d: view.published(self.dataset, self._other, d, None) for d in self._both}
        if found[self.day] is None:
            return {}
        return {day: one for day, one in found.items() if one is not None}

    @cached_property
    def live(self) -> Mapping[date, IssuedDay]:
        """What was issued on both days while they went on; it cannot change any more."""
        view = ledger_view(self.project)
        found = {day: view.live(self.dataset, self._other, day) for day in self._both}
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
        """None while there is no forecast of the day, published or live, or its gold is missing."""
        if not (self.forecasts or self.day in self.live) or self.day.isoformat() not in self.gold:
            return None
        # Live forecasts are no partition, so they are no inputs with a lineage.
        live = [f"live {day}:{one.id}" for day, one in self.live.items()]
        return self.recipe.partition_id([f"{i.stage} {i.part}:{i.id}" for i in self.inputs] + live)

    def output(self) -> LedgerPartition:
        """The day's partition of `evaluation.<dataset>`."""
        from luigi_traffic.warehouse.tables import evaluation_part

        part = evaluation_part(self.day, self.target)
        return LedgerPartition(self.project, "evaluation", self.dataset, part, self.partition_id)
