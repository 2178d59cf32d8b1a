"""A partition of the lake as a Luigi Target: it exists where its manifest does."""

from __future__ import annotations

from datetime import date

import luigi

from luigi_traffic.errors import DamageError
from luigi_traffic.lake.damage import file_damage
from luigi_traffic.lake.entries import Entry
from luigi_traffic.lake.manifest import Manifest
from luigi_traffic.project import Project
from luigi_traffic.targets.chain import DayChain


class LakePartition(luigi.Target):
    """Raw, bronze, silver, or the receipt of an announcement, of one day."""

    def __init__(self, project: Project, stage: str, dataset: str, day: date) -> None:
        self.project = project
        self.stage = stage
        self.chain = DayChain(project, dataset, day)

    def entry(self) -> Entry | None:
        """The committed manifest with the id that is called for."""
        if self.stage == "raw":
            return self.chain.raw()
        wanted = self.chain.id(self.stage)
        if wanted is None:
            return None
        recipe = self.chain.recipe(self.stage)
        return self.project.catalog.live(
            self.stage, self.chain.name, self.chain.day, recipe.hash, wanted
        )

    def exists(self) -> bool:
        """Committed, or left out because the source has nothing for that day."""
        return self.entry() is not None or self.chain.absent() is not None

    def absent(self) -> bool:
        """Whether the day is left out."""
        return self.chain.absent() is not None

    def manifest(self) -> Manifest:
        """What it holds. Raises `FileNotFoundError` if it is not committed."""
        return self.project.catalog.manifest(self._committed())

    def whole(self) -> Manifest:
        """As `manifest`, for those who read its files: they are there as they were committed.

        Raises `DamageError` if they are not; then the commit counts no more, and the next run
        makes the partition anew.
        """
        entry = self._committed()
        manifest = self.project.catalog.manifest(entry)
        damage = file_damage(self.project.store, manifest)
        if damage:
            self.project.catalog.void(entry, "; ".join(damage))
            raise DamageError(
                f"{self.stage} of {self.chain.name} {self.chain.day} is not what was committed: "
                f"{'; '.join(damage)}. It now counts as missing: run again, and it is made again."
            )
        return manifest

    def _committed(self) -> Entry:
        entry = self.entry()
        if entry is None:
            raise FileNotFoundError(f"{self.stage} of {self.chain.name} {self.chain.day}")
        return entry
