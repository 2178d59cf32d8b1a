"""What a stage may read when it works on a day, gathered before it begins.

The recipe is made of the same things: what the work reads and what its id says cannot differ.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from luigi_traffic.api.dataset import Dataset
from luigi_traffic.api.graph import LinkGraph
from luigi_traffic.api.scope import ScopeOf
from luigi_traffic.api.source import Source
from luigi_traffic.lake.attempt import Attempt
from luigi_traffic.lake.manifest import Manifest
from luigi_traffic.recipe import Input, Recipe


@dataclass(frozen=True)
class SourceInput:
    """All that shapes the text of a day in raw.

    dataset    with raw's settings alone (`stage_settings`)
    address    hash of where `source` asks for the bytes: provenance, in no id
    scope_of   how bronze, as it is set now, finds the lines of some links, None if it wants all:
               those are kept apart as well, which is in no id
    """

    day: date
    dataset: Dataset
    source: Source
    address: str
    recipe: Recipe
    scope_of: ScopeOf | None = None


@dataclass(frozen=True)
class StageInput:
    """All that shapes the output of a later stage of one day.

    dataset    its settings are those of this stage and the ones before it; reading another is
               an error (`stage_settings`)
    upstream   the partition that this one is made from, its files as they were committed
    graph      gold alone: the links' neighbours, of the checksum that the recipe has
    """

    day: date
    dataset: Dataset
    recipe: Recipe
    upstream: Manifest
    graph: LinkGraph | None = None
    started: float = field(default_factory=time.monotonic)

    @property
    def partition_id(self) -> str:
        """The id of what is made."""
        return self.recipe.partition_id([self.upstream.partition_id])

    @property
    def inputs(self) -> list[Input]:
        """What it is made from, as manifests and ledger rows have it."""
        made = self.upstream
        return [Input(made.stage, made.day, made.partition_id)]

    @property
    def seconds(self) -> float:
        """How long the work has taken so far."""
        return round(time.monotonic() - self.started, 3)

    def manifest(self, generation: int, attempt: Attempt | None = None, **made: Any) -> Manifest:
        """The manifest of what was made, whose data, if any, are those of `attempt`."""
        return Manifest.start(
            self.recipe,
            self.day,
            self.partition_id,
            generation=generation,
            inputs=self.inputs,
            prefix=attempt.prefix if attempt else "",
            **made,
        )
