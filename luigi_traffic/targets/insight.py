"""What is computed from the speeds of a window as a Luigi Target: it is of the gold of now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import cached_property

from luigi_traffic.project import Project
from luigi_traffic.recipe import Input, Recipe
from luigi_traffic.settings.insight_keys import InsightSettings
from luigi_traffic.targets.chain import lineage
from luigi_traffic.targets.stage_versions import STAGE_VERSIONS
from luigi_traffic.targets.warehouse import LedgerPartition, known_gold


@dataclass(frozen=True)
class InsightPlan:
    """A window of days that ends on `day`: recipe, inputs and id, as they are now."""

    project: Project = field(repr=False)
    dataset: str
    day: date
    window_days: int

    @property
    def days(self) -> list[date]:
        """The window, oldest first."""
        return [self.day - timedelta(days=n) for n in range(self.window_days - 1, -1, -1)]

    @cached_property
    def gold(self) -> Mapping[str, str]:
        """Day → id of the gold that there is of `days`."""
        return known_gold(self.project, self.dataset, self.days)

    @property
    def settings(self) -> InsightSettings:
        """The thresholds and periods."""
        return self.project.settings.insight

    @property
    def recipe(self) -> Recipe:
        """The window, the settings, and the link table, which the ids of gold do not have."""
        table = lineage(self.project, self.dataset).link_table
        terms = {
            "core": STAGE_VERSIONS["insight"],
            # Days without gold are no inputs, so the inputs do not say which window it was.
            "window": [self.days[0].isoformat(), self.day.isoformat()],
            "settings": self.settings.model_dump(mode="json", exclude={"window_days"}),
            "link_table": table.checksum if table else None,
        }
        return Recipe("insight", self.dataset, terms)

    @property
    def inputs(self) -> Sequence[Input]:
        """Gold."""
        return [Input("gold", day, made) for day, made in self.gold.items()]

    @property
    def partition_id(self) -> str | None:
        """None while there is no gold in the window."""
        if not self.gold:
            return None
        return self.recipe.partition_id([f"{one.part}:{one.id}" for one in self.inputs])

    def output(self) -> LedgerPartition:
        """The day's partition of `insight.<dataset>`."""
        part = self.day.isoformat()
        return LedgerPartition(self.project, "insight", self.dataset, part, self.partition_id)
