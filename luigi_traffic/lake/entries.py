"""What a listing of manifests says: the key of each holds all that decides whether a day is done.

    _manifests/<stage>/<dataset>/<date>/
        <recipe hash>-<partition id>.json         a commit
        <recipe hash>-<partition id>.2.json       the same partition, made again after damage
        <recipe hash>-g3.json                     raw: the third generation of that day
        <name of a commit>.void.json              that commit counts no more
        <recipe hash>-g3.same-<address>-<time>.json   raw: asked for at another address, equal bytes
        <recipe hash>-absent-<address>-<time>.json    raw: the source had nothing

A generation is a number that one creates by the atomic create-if-absent: the highest lives,
whatever the objects' times say, which a copy of the lake changes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Literal

from luigi_traffic.errors import TerminalError
from luigi_traffic.lake.store import ObjectInfo, ObjectStore

ROOT = "_manifests"
#: The stage whose partitions have generations instead of an id in their key: which content a
#: day has is decided by who creates the generation, so the content cannot be in its name.
RAW = "raw"

_NAME = re.compile(
    r"(?P<recipe>[0-9a-z]+)-"
    r"(?:absent-(?P<absent>[0-9a-f]+)-(?P<asked>\d+)"
    r"|(?:g(?P<raw>[1-9]\d*)|(?P<id>[0-9a-f]{32})(?:\.(?P<again>[1-9]\d*))?)"
    r"(?P<void>\.void)?(?:\.same-(?P<same>[0-9a-f]+)-(?P<compared>\d+))?)\.json"
)
Kind = Literal["commit", "void", "same", "absent"]


@dataclass(frozen=True)
class Entry:
    """One object of a listing of manifests.

    generation    1 for the first commit of a partition
    partition_id  None for raw: its manifest has it
    address       hash of where the source was asked, of "same" and "absent"
    at            when it was asked there, aware, in UTC
    """

    key: str
    stage: str
    dataset: str
    day: date
    kind: Kind
    recipe_hash: str
    generation: int
    partition_id: str | None
    address: str | None
    at: datetime | None
    size: int
    modified: datetime


@dataclass
class DayEntries:
    """All that is recorded of one stage, dataset and day."""

    entries: list[Entry] = field(default_factory=list)

    def highest(self, recipe_hash: str, partition_id: str | None = None) -> Entry | None:
        """The newest commit of that recipe and id (raw: of that recipe), void or not."""
        commits = [
            e
            for e in self.entries
            if e.kind == "commit" and (e.recipe_hash, e.partition_id) == (recipe_hash, partition_id)
        ]
        return max(commits, key=lambda e: e.generation, default=None)

    def live(self, recipe_hash: str, partition_id: str | None = None) -> Entry | None:
        """The newest commit, None if there is none or it is void: an older one never revives."""
        found = self.highest(recipe_hash, partition_id)
        return None if found is None or self.is_void(found) else found

    def is_void(self, commit: Entry) -> bool:
        """Whether that commit counts no more."""
        return any(e.kind == "void" and _of(e) == _of(commit) for e in self.entries)

    def compared(self, commit: Entry) -> list[Entry]:
        """When and at which addresses the bytes of a raw commit were found again."""
        return [e for e in self.entries if e.kind == "same" and _of(e) == _of(commit)]

    def absences(self, recipe_hash: str, address: str) -> list[Entry]:
        """The records that the source had nothing at that address, the oldest first."""
        found = [
            e
            for e in self.entries
            if e.kind == "absent" and (e.recipe_hash, e.address) == (recipe_hash, address)
        ]
        return sorted(found, key=lambda e: e.key)

    @property
    def commits(self) -> list[Entry]:
        """The commits that are not void, of any recipe."""
        return [e for e in self.entries if e.kind == "commit" and not self.is_void(e)]


def _of(entry: Entry) -> tuple[str, str | None, int]:
    """What a commit and the marks on it have in common."""
    return entry.recipe_hash, entry.partition_id, entry.generation


def folder(stage: str, dataset: str, day: str | None = None) -> str:
    """The prefix of a stage's manifests, of all days or of one."""
    return f"{ROOT}/{stage}/{dataset}/" + (f"{day}/" if day else "")


def commit_name(stage: str, recipe_hash: str, partition_id: str, generation: int) -> str:
    """The name of a commit's manifest, without `.json`."""
    if stage == RAW:
        return f"{recipe_hash}-g{generation}"
    again = f".{generation}" if generation > 1 else ""
    return f"{recipe_hash}-{partition_id}{again}"


def absent_name(recipe_hash: str, address: str, at: datetime) -> str:
    """The name of the record that the source had nothing, without `.json`."""
    return f"{recipe_hash}-absent-{address}-{int(at.timestamp())}"


def void_key(commit: Entry) -> str:
    """The key of the mark that makes a commit count no more."""
    return f"{commit.key.removesuffix('.json')}.void.json"


def same_key(commit: Entry, address: str, at: datetime) -> str:
    """The key of the mark that an address gave a raw commit's bytes again."""
    return f"{commit.key.removesuffix('.json')}.same-{address}-{int(at.timestamp())}.json"


def parse(info: ObjectInfo) -> Entry | None:
    """The entry that an object of a listing is, None for one that is no manifest.

    Raises `TerminalError` for a raw partition of a version before generations.
    """
    parts = info.key.split("/")
    if len(parts) != 5 or parts[0] != ROOT:
        return None
    _, stage, dataset, day, name = parts
    found = _NAME.fullmatch(name)
    try:
        at_day = date.fromisoformat(day)
    except ValueError:
        return None
    if stage == RAW and (found is None or found["id"]) and _before_generations(name):
        raise TerminalError(
            f"The lake has {info.key}, which was written by a version of luigi_traffic without "
            "generations. This version cannot use it, and has changed nothing: set "
            "LUIGI_TRAFFIC_HOME to a new folder (on S3: lake.bucket to a new bucket), or use the "
            "older version."
        )
    if found is None or (stage == RAW) != (found["raw"] is not None or found["absent"] is not None):
        return None
    kind: Kind = (
        "absent" if found["absent"] else "void" if found["void"]
        else "same" if found["same"] else "commit"
    )  # fmt: skip
    stamp = found["asked"] or found["compared"]
    return Entry(
        key=info.key, stage=stage, dataset=dataset, day=at_day, kind=kind,
        recipe_hash=found["recipe"], generation=int(found["raw"] or found["again"] or 1),
        partition_id=found["id"], address=found["absent"] or found["same"],
        at=datetime.fromtimestamp(int(stamp), UTC) if stamp else None,
        size=info.size, modified=info.modified,
    )  # fmt: skip


def _before_generations(name: str) -> bool:
    return bool(re.fullmatch(r"[0-9a-f]{16}-(?:[0-9a-f]{32}|absent-\d+)\.json", name))


def refuse_earlier(store: ObjectStore) -> None:
    """Raise `TerminalError` for a lake that a version before generations wrote."""
    for info in store.list(f"{ROOT}/{RAW}/"):
        parse(info)


def by_day(infos: Iterable[ObjectInfo]) -> dict[date, DayEntries]:
    """The entries of a listing, by their day."""
    days: dict[date, DayEntries] = {}
    for info in infos:
        if entry := parse(info):
            days.setdefault(entry.day, DayEntries()).entries.append(entry)
    return days
