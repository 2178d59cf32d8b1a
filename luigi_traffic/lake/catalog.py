"""Which lake partitions are committed: one LIST a stage, kept for the life of the process.

While a run plans, one listing a stage answers everything, misses too: `planning`. As soon as
it works, what the listing does not show is asked for again, a day at a time, because another
runner may have committed it since.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, date, datetime
from typing import Any

from luigi_traffic.errors import StoreError
from luigi_traffic.lake.attempt import Attempt
from luigi_traffic.lake.entries import (
    RAW,
    DayEntries,
    Entry,
    absent_name,
    by_day,
    folder,
    same_key,
    void_key,
)
from luigi_traffic.lake.index import Index, key_of
from luigi_traffic.lake.manifest import Manifest
from luigi_traffic.lake.store import ObjectStore
from luigi_traffic.recipe import Recipe

_READERS = 8


class Catalog:
    """The manifests of a lake. `index` keeps what they say, None: they are read each time."""

    def __init__(self, store: ObjectStore, index: Index | None = None) -> None:
        self.store = store
        self._index = index
        self._stages: dict[tuple[str, str], dict[date, DayEntries]] = {}
        self._bodies: dict[tuple[str, str], dict[tuple[str, int, str], bytes]] = {}
        self._manifests: dict[str, Manifest] = {}
        #: Whether what a listing does not show is taken as not there without asking again.
        self.planning = True

    def days(self, stage: str, dataset: str) -> dict[date, DayEntries]:
        """All entries of a stage by day, from the kept listing."""
        if (stage, dataset) not in self._stages:
            days = by_day(self.store.list(folder(stage, dataset)))
            self._stages[stage, dataset] = days
            if stage == RAW:  # every later id begins with what these say
                self.manifests(e for entries in days.values() for e in entries.commits)
        return self._stages[stage, dataset]

    def day(self, stage: str, dataset: str, day: date, *, ask_again: bool = False) -> DayEntries:
        """The entries of one day, `ask_again`: as they are now."""
        known = self.days(stage, dataset)
        if ask_again:
            found = by_day(self.store.list(folder(stage, dataset, day.isoformat())))
            known[day] = found.get(day, DayEntries())
        return known.get(day, DayEntries())

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Inside, one fresh listing a stage answers everything, misses too."""
        before = self.planning
        self._stages.clear()
        self.planning = True
        try:
            yield
        finally:
            self.planning = before

    def begin_work(self) -> None:
        """From now on, what the listing does not show is asked for again."""
        self.planning = False

    def live(
        self, stage: str, dataset: str, day: date, recipe_hash: str, partition_id: str | None = None
    ) -> Entry | None:
        """The commit that counts of that recipe and id (raw: of that recipe), if there is one."""
        found = self.day(stage, dataset, day).live(recipe_hash, partition_id)
        if found is None and not self.planning:
            found = self.day(stage, dataset, day, ask_again=True).live(recipe_hash, partition_id)
        return found

    def next_generation(
        self, stage: str, dataset: str, day: date, recipe_hash: str, partition_id: str | None = None
    ) -> int:
        """The number to commit that partition under: to be asked for before its work begins.

        That of a commit that counts already, so that committing it again loses; else the next.
        """
        entries = self.day(stage, dataset, day)
        highest = entries.highest(recipe_hash, partition_id)
        if highest is None:
            return 1
        return highest.generation + (1 if entries.is_void(highest) else 0)

    def manifest(self, entry: Entry) -> Manifest:
        """What that commit, or record of an absence, holds."""
        if entry.key not in self._manifests:
            body = self._kept(entry.stage, entry.dataset).get(key_of(entry))
            if body is None:
                body = self.store.read(entry.key)
                self._keep([(entry, body)])
            self._manifests[entry.key] = Manifest.from_json(body)
        return self._manifests[entry.key]

    def manifests(self, entries: Iterable[Entry]) -> list[Manifest]:
        """Those of many entries: what the index lacks is read by several threads at once."""
        wanted = list(entries)
        missing = [
            e
            for e in wanted
            if e.key not in self._manifests and key_of(e) not in self._kept(e.stage, e.dataset)
        ]
        if missing:
            with ThreadPoolExecutor(_READERS) as pool:
                bodies = list(pool.map(lambda e: self.store.read(e.key), missing))
            self._keep(list(zip(missing, bodies, strict=True)))
        return [self.manifest(entry) for entry in wanted]

    def _kept(self, stage: str, dataset: str) -> dict[tuple[str, int, str], bytes]:
        if (stage, dataset) not in self._bodies:
            self._bodies[stage, dataset] = self._index.read(stage, dataset) if self._index else {}
        return self._bodies[stage, dataset]

    def _keep(self, found: list[tuple[Entry, bytes]]) -> None:
        for entry, body in found:
            self._kept(entry.stage, entry.dataset)[key_of(entry)] = body
        if self._index:
            self._index.add(found)

    def attempt(self, stage: str, dataset: str, day: date, below: str | None = None) -> Attempt:
        """A fresh place for data that no manifest names yet, `below` a folder of the lake."""
        return Attempt.fresh(stage, dataset, day, below)

    def commit(self, manifest: Manifest) -> bool:
        """Commit: True for the one runner whose manifest it is, False if it existed.

        An answer that was lost is resolved by reading back: our attempt prefix in the stored
        manifest says that it was ours. Raises `StoreError`, and what was committed counts no
        more, if a file of the manifest is not there. `gc` looks for a manifest after it has removed
        something, too: whichever of the two comes last sees the other.
        """
        if gone := self._gone(manifest):
            raise StoreError(gone)
        self.days(manifest.stage, manifest.dataset)
        body = manifest.to_json()
        won = self.store.create(manifest.key, body)
        day = date.fromisoformat(manifest.day)
        entries = self.day(manifest.stage, manifest.dataset, day, ask_again=True)
        if not won and manifest.prefix:
            stored = self.store.read(manifest.key)
            won = Manifest.from_json(stored).prefix == manifest.prefix
            body = stored
        if won:
            ours = [e for e in entries.entries if e.key == manifest.key]
            self._keep([(entry, body) for entry in ours])
            if gone := self._gone(manifest):
                for entry in ours:
                    self.void(entry, gone)
                raise StoreError(gone)
        return won

    def _gone(self, manifest: Manifest) -> str | None:
        """What to say if a file of an attempt is not there as it was written."""
        if not manifest.files:
            return None
        there = {info.key: info.size for info in self.store.list(Attempt(manifest.prefix).prefix)}
        gone = [f["key"] for f in manifest.files if there.get(f["key"]) != f["size"]]
        if not gone:
            return None
        return (
            f"{manifest.stage} of {manifest.dataset} {manifest.day} cannot be committed: files "
            f"are missing or changed since they were written ({', '.join(gone[:3])}). If "
            "`luigi-traffic gc` ran in the meantime, give it a longer --older-than. Run again."
        )

    def record_absence(
        self, recipe: Recipe, day: date, address: str, reason: str, at: datetime
    ) -> None:
        """Keep that the source had nothing for that day."""
        name = absent_name(recipe.hash, address, at)
        key = f"{folder(RAW, recipe.dataset, day.isoformat())}{name}.json"
        record = Manifest.start(recipe, day, "", inputs=[], details={"reason": reason})
        self.store.create(key, record.to_json())
        self.day(RAW, recipe.dataset, day, ask_again=True)

    def record_same(self, commit: Entry, address: str, details: dict[str, Any]) -> None:
        """Keep that an address gave the bytes of a raw commit again."""
        self.store.create(same_key(commit, address, datetime.now(UTC)), _json(details))
        self.day(commit.stage, commit.dataset, commit.day, ask_again=True)

    def mark(self, entry: Entry) -> dict[str, Any]:
        """What was kept with a mark."""
        found: dict[str, Any] = json.loads(self.store.read(entry.key))
        return found

    def void(self, commit: Entry, reason: str) -> None:
        """Let a commit count no more: its partition is made again under the next generation."""
        self.store.create(void_key(commit), _json({"reason": reason}))
        self.day(commit.stage, commit.dataset, commit.day, ask_again=True)

    def discard(self, attempt: Attempt) -> None:
        """Remove the objects of an attempt that lost or failed."""
        self.store.delete(attempt, [info.key for info in self.store.list(attempt.prefix)])


def _json(details: dict[str, Any]) -> bytes:
    at = datetime.now(UTC).isoformat(timespec="milliseconds")
    return json.dumps({**details, "at": at}, indent=1, ensure_ascii=False).encode()
