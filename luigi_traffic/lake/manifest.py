"""The manifest: the JSON object whose creation is the commit of a lake partition.

Its key says what a listing must tell; see `luigi_traffic.lake.entries`.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime
from typing import Any

from luigi_traffic.lake.entries import commit_name, folder
from luigi_traffic.recipe import Input, Recipe


@dataclass(frozen=True)
class Manifest:
    """What a committed partition holds and how it came to be.

    rows_in = rows_out + rows_rejected. `files` are {"key", "size", "checksum"};
    `checksum` is over the rows, whatever their order and file layout; `details` belongs to the
    stage.
    """

    stage: str
    dataset: str
    day: str
    recipe: dict[str, Any]
    recipe_hash: str
    partition_id: str
    inputs: list[Input]
    generation: int = 1
    prefix: str = ""
    files: list[dict[str, Any]] = field(default_factory=list)
    rows_in: int = 0
    rows_out: int = 0
    rows_rejected: int = 0
    rejected: dict[str, int] = field(default_factory=dict)
    checksum: str = ""
    schema: list[dict[str, str]] = field(default_factory=list)
    quality: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    details: dict[str, Any] = field(default_factory=dict)
    committed_at: str = ""
    format: int = 2

    @property
    def key(self) -> str:
        """Where it is, or will be."""
        name = commit_name(self.stage, self.recipe_hash, self.partition_id, self.generation)
        return f"{folder(self.stage, self.dataset, self.day)}{name}.json"

    def to_json(self) -> bytes:
        """As stored; `committed_at` is filled in."""
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        content = asdict(self) | {"committed_at": self.committed_at or now}
        return json.dumps(content, indent=1, ensure_ascii=False).encode()

    @classmethod
    def from_json(cls, data: bytes) -> Manifest:
        """As read back."""
        content = json.loads(data)
        return cls(**content | {"inputs": [Input(**one) for one in content["inputs"]]})

    @classmethod
    def start(cls, recipe: Recipe, day: date, partition_id: str, **more: Any) -> Manifest:
        """The manifest of that recipe and day."""
        return cls(
            stage=recipe.stage,
            dataset=recipe.dataset,
            day=day.isoformat(),
            recipe=recipe.as_dict(),
            recipe_hash=recipe.hash,
            partition_id=partition_id,
            **more,
        )
