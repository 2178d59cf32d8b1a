"""A partition of the lake as a Luigi Target: it exists where its manifest does."""

from __future__ import annotations

from datetime import date

import luigi

from luigi_traffic.lake.manifest import Entry, Manifest
from luigi_traffic.parts import parts
from luigi_traffic.targets.chain import DayChain


class LakePartition(luigi.Target):
    """Raw, bronze, silver, or the receipt of an announcement, of one day."""

    def __init__(self, stage: str, dataset: str, day: date) -> None:
        self.stage = stage
        self.chain = DayChain(dataset, day)

    def entry(self) -> Entry | None:
        """The committed manifest with the id that is called for."""
        wanted = self.chain.id(self.stage)
        if wanted is None:
            return None
        recipe = self.chain.recipe(self.stage)
        return parts().catalog.find(
            self.stage, self.chain.name, self.chain.day, recipe.hash, wanted
        )

    def exists(self) -> bool:
        """Committed, or left out because the source has nothing for that day."""
        return self.entry() is not None or self.chain.absent() is not None

    def absent(self) -> bool:
        """Whether the day is left out."""
        return self.chain.absent() is not None

    def manifest(self) -> Manifest:
        """What it holds. Raises `FileNotFoundError` where it is not committed."""
        entry = self.entry()
        if entry is None:
            raise FileNotFoundError(f"{self.stage} of {self.chain.name} {self.chain.day}")
        return parts().catalog.manifest(entry)
