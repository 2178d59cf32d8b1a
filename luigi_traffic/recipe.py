"""Recipes and partition ids: what produces a partition, as two short hashes.

recipe        stage, dataset, declared versions, the settings that matter
partition id  hash(recipe + ids of the inputs); for raw, hash(recipe + sha256 of the content)
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any


def canonical_json(value: Any) -> str:
    """JSON with sorted keys and no blanks: equal values give equal text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str)


def short_hash(*parts: str, length: int = 16) -> str:
    """The first `length` hex digits of the SHA-256 of the parts, unambiguously joined."""
    return hashlib.sha256(canonical_json(list(parts)).encode()).hexdigest()[:length]


@dataclass(frozen=True)
class Input:
    """What a partition was made from, as its manifest or ledger row records it.

    stage  of the partition, or "source" for a file that was fetched
    part   of the partition: a day, a forecast's day/model:version, an evaluation's day/measure, a
           model's id; or the file's address
    id     the partition id, or sha256:<digest> of the file
    """

    stage: str
    part: str
    id: str


@dataclass(frozen=True)
class Recipe:
    """What produces a partition. `terms` must be JSON-serialisable and hold no secret."""

    stage: str
    dataset: str
    terms: Mapping[str, Any]

    def as_dict(self) -> dict[str, Any]:
        """The recipe as stored in manifests and ledger rows."""
        return {"stage": self.stage, "dataset": self.dataset, **self.terms}

    @cached_property
    def hash(self) -> str:
        """16 hex digits."""
        return short_hash(canonical_json(self.as_dict()))

    def partition_id(self, inputs: Sequence[str]) -> str:
        """32 hex digits from this recipe and the ids (or the content hash) it is applied to."""
        return short_hash(self.hash, *inputs, length=32)
