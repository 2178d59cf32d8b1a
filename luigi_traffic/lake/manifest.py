"""The manifest: the JSON object whose creation is the commit of a lake partition.

Key: `_manifests/<stage>/<dataset>/<date>/<recipe hash>-<partition id>.json`. All that a
listing must tell lies in the key, so that one LIST a stage answers for all days.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime
from typing import Any

from luigi_traffic.recipe import Recipe

ROOT = "_manifests"
ABSENT = "absent"


@dataclass(frozen=True)
class Entry:
    """One manifest as a listing shows it. `modified` is aware, in UTC."""

    key: str
    day: date
    recipe_hash: str
    partition_id: str
    modified: datetime

    @property
    def absent(self) -> bool:
        """Whether it records that the source has nothing for that day."""
        return self.partition_id.startswith(ABSENT)


@dataclass(frozen=True)
class Manifest:
    """What a committed partition holds and how it came to be.

    rows_in = rows_out + rows_rejected. `inputs` are {"stage", "part", "id"}; `files` are
    {"key", "size", "checksum"}; `checksum` is over the rows, whatever their order and file
    layout; `details` belongs to the stage.
    """

    stage: str
    dataset: str
    day: str
    recipe: dict[str, Any]
    recipe_hash: str
    partition_id: str
    inputs: list[dict[str, str]]
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
    format: int = 1

    @property
    def key(self) -> str:
        """Where it is, or will be."""
        place = folder(self.stage, self.dataset, self.day)
        return f"{place}{self.recipe_hash}-{self.partition_id}.json"

    def to_json(self) -> bytes:
        """As stored; `committed_at` is filled in."""
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        content = asdict(self) | {"committed_at": self.committed_at or now}
        return json.dumps(content, indent=1, ensure_ascii=False).encode()

    @classmethod
    def from_json(cls, data: bytes) -> Manifest:
        """As read back."""
        return cls(**json.loads(data))

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


def folder(stage: str, dataset: str, day: str | None = None) -> str:
    """The prefix of a stage's manifests, of all days or of one."""
    return f"{ROOT}/{stage}/{dataset}/" + (f"{day}/" if day else "")


def parse_key(key: str, modified: datetime) -> Entry | None:
    """The entry a key stands for, None for a key that is no manifest's."""
    parts = key.split("/")
    if len(parts) != 5 or parts[0] != ROOT or not parts[4].endswith(".json"):
        return None
    recipe_hash, dash, partition_id = parts[4].removesuffix(".json").partition("-")
    try:
        day = date.fromisoformat(parts[3])
    except ValueError:
        return None
    return Entry(key, day, recipe_hash, partition_id, modified) if dash else None
