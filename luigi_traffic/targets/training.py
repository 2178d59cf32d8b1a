"""Which model a window of days calls for, and which forecast of its last day: recipes and ids."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date as Date
from datetime import timedelta
from functools import cached_property
from typing import Any

from luigi_traffic.api.dataset import Dataset
from luigi_traffic.api.model import ModelConfig, stored_config, takes_context
from luigi_traffic.errors import SourceAbsent
from luigi_traffic.project import Project
from luigi_traffic.recipe import Recipe
from luigi_traffic.targets.chain import DayChain, Lineage, lineage
from luigi_traffic.targets.published import PublishedForecast
from luigi_traffic.targets.stage_versions import STAGE_VERSIONS
from luigi_traffic.targets.warehouse import LedgerPartition


@dataclass(frozen=True)
class TrainingPlan:
    """A model plugin with its configuration, applied to a window of days of gold."""

    project: Project = field(repr=False)
    dataset: str
    model: str
    date: Date
    window_days: int
    #: Laid over the model's configuration.
    training: dict[str, Any]

    @property
    def days(self) -> list[Date]:
        """The window, oldest first."""
        return [self.date - timedelta(days=n) for n in range(self.window_days - 1, -1, -1)]

    @property
    def lineage(self) -> Lineage:
        """The recipes of the dataset's stages."""
        return lineage(self.project, self.dataset)

    @cached_property
    def config(self) -> ModelConfig:
        """The checked configuration. Raises `SettingsError`."""
        return self.project.plugins.model_config(self.model, self.training)

    @cached_property
    def target(self) -> str:
        """The measure that is forecast. Raises `SettingsError`."""
        dataset = self.lineage.dataset
        return dataset.measure_to_forecast(self.config.target, f"models.{self.model}.target")

    @cached_property
    def recipe(self) -> Recipe:
        """Model, version, configuration, window, and what gold's ids do not say."""
        model = self.project.plugins.model(self.model)
        # Where the numbers are computed is no part of what is computed.
        config = stored_config(self.config)
        for elsewhere in ("device", "target"):
            config.pop(elsewhere)
        terms = {
            **self._beyond_gold(takes_context(model)),
            "model": model.name,
            "version": model.version,
            "config": config,
            "core": STAGE_VERSIONS["model"],
            # Days that are absent are no inputs, so the inputs do not say which window it was.
            "window": [self.days[0].isoformat(), self.days[-1].isoformat()],
        }
        return Recipe("model", self.dataset, terms)

    def _beyond_gold(self, sees_roads: bool) -> dict[str, Any]:
        """What models of earlier versions did not have is left out: their ids stay."""
        terms: dict[str, Any] = {}
        if self.target != "speed":
            terms["target"] = self.target
        known = self.lineage
        if sees_roads and known.graph is not None and known.graph.weights_checksum:
            terms["graph_weights"] = known.graph.weights_checksum
        if sees_roads and known.link_table is not None:
            terms["link_table"] = known.link_table.checksum
        return terms

    def gold_ids(self) -> dict[str, str] | None:
        """Day → id of gold, without the absent days; None while a day's raw is missing."""
        ids: dict[str, str] = {}
        for day in self.days:
            chain = DayChain(self.project, self.dataset, day)
            found = chain.id("gold")
            if found:
                ids[day.isoformat()] = found
            elif not chain.absent():
                return None
        return ids

    def absent_days(self) -> dict[str, str]:
        """Days of the window that are left out, with the reason the source gave."""
        catalog = self.project.catalog
        records = {day: DayChain(self.project, self.dataset, day).absent() for day in self.days}
        return {
            day.isoformat(): catalog.manifest(entry).details["reason"]
            for day, entry in records.items()
            if entry
        }

    def refuse_too_many_absent(self) -> None:
        """Raise `SourceAbsent` where more days are left out than `missing_days.max` allows."""
        absent, most = self.absent_days(), self.project.settings.missing_days.max
        if len(absent) > most:
            raise SourceAbsent(
                f"{self.dataset}: {len(absent)} of {self.window_days} days are absent "
                f"({', '.join(absent)}), but missing_days.max allows {most}."
            )

    def partition_id(self) -> str | None:
        """The model's id, None while it cannot be known."""
        ids = self.gold_ids()
        return self.recipe.partition_id([f"{d}:{i}" for d, i in ids.items()]) if ids else None

    def model_target(self) -> LedgerPartition:
        """The registered model."""
        partition_id = self.partition_id()
        return LedgerPartition(
            self.project, "model", self.dataset, partition_id or "", partition_id
        )

    def forecast_target(self) -> PublishedForecast:
        """The forecast of the window's last day, by the champion that there is after the training.

        While the model's id cannot be known, that of a model which is not there.
        """
        return PublishedForecast(
            self.project, self.dataset, other_target(self.lineage.dataset, self.target), self.date,
            self.partition_id() or "",
        )  # fmt: skip


def other_target(dataset: Dataset, target: str) -> str:
    """The measure that is forecast, empty for the dataset's own."""
    return "" if target == dataset.target else target
