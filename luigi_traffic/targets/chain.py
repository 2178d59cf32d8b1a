"""The ids that today's code, settings and inputs call for, stage by stage, for one day."""

from __future__ import annotations

from datetime import date, timedelta
from functools import cached_property

from luigi_traffic.api import clock
from luigi_traffic.api.dataset import Dataset
from luigi_traffic.api.graph import LinkGraph
from luigi_traffic.api.links import LinkTable
from luigi_traffic.api.source import Source
from luigi_traffic.api.stages import made_from
from luigi_traffic.errors import PluginError, SettingsError
from luigi_traffic.events.announcement import topic_of
from luigi_traffic.lake.entries import DayEntries, Entry
from luigi_traffic.plugins.loading import Plugins
from luigi_traffic.project import Project
from luigi_traffic.recipe import Recipe, canonical_json, short_hash
from luigi_traffic.targets.stage_settings import ORDER, dataset_for
from luigi_traffic.targets.stage_versions import STAGE_VERSIONS


class Lineage:
    """The recipes of a dataset's stages. They depend on settings and code alone."""

    def __init__(self, plugins: Plugins, dataset: Dataset) -> None:
        self._plugins = plugins
        self.dataset = dataset
        self._views: dict[str, Dataset] = {}
        if timedelta(days=1) % dataset.interval:
            raise SettingsError(
                f"dataset {dataset.name}: its interval {dataset.interval} does not divide a day"
            )

    def dataset_for(self, stage: str) -> Dataset:
        """The dataset as that stage may read it: without the settings of later stages."""
        if stage not in self._views:
            # Settings are declared for some stages: one without reads what the one before it may.
            declared = next(name for name in made_from(stage) if name in ORDER)
            self._views[stage] = dataset_for(self.dataset, declared)
        return self._views[stage]

    @cached_property
    def source(self) -> Source:
        """Where the dataset's bytes come from."""
        return self._plugins.call(self.dataset, "source()", self.dataset_for("raw").source)

    @cached_property
    def address(self) -> str:
        """Hash of where today's settings ask for the bytes: provenance, part of no recipe."""
        source = self.source  # a call of its own, with a time limit of its own
        said = self._plugins.call(self.dataset, "source().address()", lambda: source.address())
        return short_hash(canonical_json(said))

    @cached_property
    def graph(self) -> LinkGraph | None:
        """The graph, read once: what gold joins is what its recipe names."""
        return self._plugins.call(self.dataset, "graph()", self.dataset_for("gold").graph)

    @cached_property
    def link_table(self) -> LinkTable | None:
        """What the dataset knows of its links, read once: only models see it."""
        said: object = self._plugins.call(self.dataset, "links()", self.dataset_for("gold").links)
        if said is None or isinstance(said, LinkTable):
            return said
        raise PluginError(
            f"dataset {self.dataset.name}: links() returned a {type(said).__name__}. Return a "
            "LinkTable, as LinkTable.from_rows makes one, or None."
        )

    @cached_property
    def raw(self) -> Recipe:
        """What makes text of the bytes."""
        source = self.source
        said = self._plugins.call(self.dataset, "source().recipe()", lambda: source.recipe())
        return self._recipe("raw", {"source": said, "version": self.dataset.source_version})

    @cached_property
    def announce(self) -> Recipe:
        """The topic."""
        return self._recipe(
            "announce", {"topic": topic_of(self.dataset, self._plugins.settings.events)}
        )

    @cached_property
    def bronze(self) -> Recipe:
        """The dataset's version and its parsing settings."""
        terms = {"version": self.dataset.version, **self.dataset.recipe_terms("bronze")}
        return self._recipe("bronze", terms)

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
        needed = set(self.dataset.measures) - self.dataset.optional_measures
        if needed != {"speed"}:
            terms["measures"] = sorted(needed)
        return self._recipe("silver", terms)

    @cached_property
    def gold(self) -> Recipe:
        """The graph, and of which measure the neighbour features are."""
        graph = self.graph.checksum if self.graph else None
        terms = {"graph": graph, **self.dataset.recipe_terms("gold")}
        if self.dataset.target != "speed":
            terms["target"] = self.dataset.target
        return self._recipe("gold", terms)

    def _recipe(self, stage: str, terms: dict[str, object]) -> Recipe:
        return Recipe(stage, self.dataset.name, {"core": STAGE_VERSIONS[stage], **terms})


def lineage(project: Project, dataset: str) -> Lineage:
    """The recipes of that dataset, made once a project."""

    def make() -> Lineage:
        return Lineage(project.plugins, project.plugins.dataset(dataset))

    return project.keep((Lineage, dataset), make)


class DayChain:
    """One dataset and day: which raw partition there is, and the ids that follow from it."""

    def __init__(self, project: Project, dataset: str, day: date) -> None:
        self.project = project
        self.name = dataset
        self.day = day
        self.lineage = lineage(project, dataset)

    def live(self) -> Entry | None:
        """The raw generation that counts of today's recipe, wherever it was asked for."""
        kept = self._entries().live(self.lineage.raw.hash)
        # A day that counts as absent is not asked for again with every question.
        if kept or self._rests():
            return kept
        return self.project.catalog.live("raw", self.name, self.day, self.lineage.raw.hash)

    def raw(self) -> Entry | None:
        """The live generation, if it came from the address that today's settings name, or was
        compared with it. None: the day is to be asked for.

        If that address has nothing, and such days are left out, an older address's is kept.
        """
        entry = self.live()
        if entry is None:
            return None
        asked = {mark.address for mark in self._entries().compared(entry)}
        if self.lineage.address in asked | {self._address(entry)} or self._rests():
            return entry
        return None

    def _address(self, entry: Entry) -> str:
        return str(self.project.catalog.manifest(entry).details["address"])

    def _entries(self) -> DayEntries:
        return self.project.catalog.day("raw", self.name, self.day)

    def absent(self) -> Entry | None:
        """The record that this day is left out, None if there is data or it counts no more.

        Under the policy "fail" an absent day is never done. Under "skip" it rests, see `_rests`.
        """
        return None if self._entries().live(self.lineage.raw.hash) else self._rests()

    def _rests(self) -> Entry | None:
        """The newest record that today's address has nothing, while it need not be asked again.

        It rests for `recheck_hours` after it was asked, and for longer the longer it has been
        absent each time it was asked: a file can be late by months, so no day is absent for good,
        least of all at the first look.
        """
        policy = self.project.settings.missing_days
        if policy.policy == "fail":
            return None
        records = self.absences()
        if not records:
            return None
        times = [record.at for record in records if record.at]
        rest = max(timedelta(hours=policy.recheck_hours), times[-1] - times[0])
        return records[-1] if clock.now() - times[-1] < rest else None

    def absences(self) -> list[Entry]:
        """The records that today's address has nothing, the oldest first."""
        return self._entries().absences(self.lineage.raw.hash, self.lineage.address)

    def recipe(self, stage: str) -> Recipe:
        """The recipe of a stage of a day."""
        recipe: Recipe = getattr(self.lineage, stage)
        return recipe

    def id(self, stage: str) -> str | None:
        """The partition id that is called for, None while there is no raw partition."""
        raw = self.raw()
        if raw is None:
            return None
        made = self.project.catalog.manifest(raw).partition_id
        _, *following = reversed(list(made_from(stage)))
        for name in following:
            made = self.recipe(name).partition_id([made])
        return made
