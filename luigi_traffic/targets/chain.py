"""The ids that today's code, settings and inputs call for, stage by stage, for one day."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import cache, cached_property

from luigi_traffic.dataset import Dataset
from luigi_traffic.errors import SettingsError
from luigi_traffic.events.announcement import topic_of
from luigi_traffic.lake.manifest import Entry
from luigi_traffic.parts import parts
from luigi_traffic.plugins import plugins
from luigi_traffic.recipe import Recipe
from luigi_traffic.spark import neighbours

#: A day absent this long after its end is taken as absent for good.
_SETTLED = timedelta(days=7)
STAGES = ("raw", "announce", "bronze", "silver", "gold")


class Lineage:
    """The recipes of a dataset's stages. They depend on settings and code alone."""

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset
        if timedelta(days=1) % dataset.interval:
            raise SettingsError(
                f"dataset {dataset.name}: its interval {dataset.interval} does not divide a day"
            )

    @cached_property
    def raw(self) -> Recipe:
        """What decides the bytes: the source alone."""
        source = plugins().call(self.dataset, "source()", self.dataset.source)
        terms = {
            "source": plugins().call(self.dataset, "source().recipe()", lambda: source.recipe())
        }
        return Recipe("raw", self.dataset.name, terms)

    @cached_property
    def announce(self) -> Recipe:
        """The topic."""
        topic = topic_of(self.dataset, parts().settings.events)
        return Recipe("announce", self.dataset.name, {"topic": topic})

    @cached_property
    def bronze(self) -> Recipe:
        """The dataset's version and its parsing settings."""
        terms = {"version": self.dataset.version, **self.dataset.recipe_terms("bronze")}
        return Recipe("bronze", self.dataset.name, terms)

    @cached_property
    def silver(self) -> Recipe:
        """The dataset's cleaning version, its link filter and other cleaning settings."""
        terms = {
            "version": self.dataset.silver_version,
            "interval_seconds": int(self.dataset.interval.total_seconds()),
            **self.dataset.recipe_terms("silver"),
        }
        if self.dataset.extra_columns:
            terms["extra_columns"] = list(self.dataset.extra_columns)
        return Recipe("silver", self.dataset.name, terms)

    @cached_property
    def gold(self) -> Recipe:
        """The graph and the meaning of the neighbour features."""
        graph = plugins().call(self.dataset, "graph()", self.dataset.graph)
        terms = {
            "version": neighbours.VERSION,
            "graph": graph.checksum if graph else None,
            **self.dataset.recipe_terms("gold"),
        }
        return Recipe("gold", self.dataset.name, terms)


@cache
def lineage(dataset: str) -> Lineage:
    """The recipes of that dataset, made once a process."""
    return Lineage(plugins().dataset(dataset))


class DayChain:
    """One dataset and day: which raw partition there is, and the ids that follow from it."""

    def __init__(self, dataset: str, day: date) -> None:
        self.name = dataset
        self.day = day
        self.lineage = lineage(dataset)

    def raw(self) -> Entry | None:
        """The committed raw partition of today's recipe."""
        found = self._raw(ask_again=False)
        # A day that counts as absent is not asked for again with every question.
        return found if found or self.absent() else self._raw(ask_again=True)

    def _raw(self, ask_again: bool) -> Entry | None:
        return parts().catalog.find(
            "raw", self.name, self.day, self.lineage.raw.hash, ask_again=ask_again
        )

    def absent(self) -> Entry | None:
        """The record that this day is left out, None where there is data or it counts no more.

        Under the policy "fail" an absent day is never done. Under "skip" it is asked for
        again every `recheck_hours`, until it was found absent a week after its end.
        """
        policy = parts().settings.missing_days
        if policy.policy == "fail" or self._raw(ask_again=False):
            return None
        entry = parts().catalog.absent("raw", self.name, self.day, self.lineage.raw.hash)
        if entry is None:
            return None
        day_end = datetime.combine(self.day, datetime.min.time(), UTC) + timedelta(days=1)
        settled = entry.modified - day_end >= _SETTLED
        fresh = datetime.now(UTC) - entry.modified < timedelta(hours=policy.recheck_hours)
        return entry if settled or fresh else None

    def recipe(self, stage: str) -> Recipe:
        """The recipe of one of `STAGES`."""
        recipe: Recipe = getattr(self.lineage, stage)
        return recipe

    def id(self, stage: str) -> str | None:
        """The partition id that is called for, None while there is no raw partition."""
        raw = self.raw()
        if raw is None:
            return None
        if stage == "raw":
            return raw.partition_id
        if stage == "announce":
            return self.lineage.announce.partition_id([raw.partition_id])
        current = raw.partition_id
        for name in STAGES[2 : STAGES.index(stage) + 1]:
            current = self.recipe(name).partition_id([current])
        return current
