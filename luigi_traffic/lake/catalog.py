"""Which lake partitions are committed: one LIST a stage, kept for the life of the process.

A commit is never taken back while a run lasts, so what the listing shows stays true; what
it does not show is asked for again, a day at a time, unless inside `snapshot()`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date

from luigi_traffic.lake.attempt import Attempt
from luigi_traffic.lake.manifest import Entry, Manifest, folder, parse_key
from luigi_traffic.lake.store import ObjectStore


class Catalog:
    """The manifests of a lake."""

    def __init__(self, store: ObjectStore) -> None:
        self.store = store
        self._listed: dict[tuple[str, str], dict[date, list[Entry]]] = {}
        self._manifests: dict[str, Manifest] = {}
        #: Inside `snapshot()`: what a listing does not show is not asked for again.
        self.trusts_misses = False

    def days(self, stage: str, dataset: str) -> dict[date, list[Entry]]:
        """All entries of a stage by day, from the kept listing."""
        if (stage, dataset) not in self._listed:
            days: dict[date, list[Entry]] = {}
            for entry in self._list(folder(stage, dataset)):
                days.setdefault(entry.day, []).append(entry)
            self._listed[stage, dataset] = days
        return self._listed[stage, dataset]

    def _list(self, prefix: str) -> Iterator[Entry]:
        for info in self.store.list(prefix):
            if entry := parse_key(info.key, info.modified):
                yield entry

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Inside, one fresh listing a stage answers everything, misses too."""
        self._listed.clear()
        self.trusts_misses = True
        try:
            yield
        finally:
            self.trusts_misses = False

    def find(
        self,
        stage: str,
        dataset: str,
        day: date,
        recipe_hash: str,
        partition_id: str | None = None,
        *,
        ask_again: bool = True,
    ) -> Entry | None:
        """The committed partition of that recipe (and id), None where there is none.

        `ask_again=False`: the kept listing alone answers, as inside `snapshot()`.

        Several of one recipe (two runners read the source at different times, and it had
        changed in between): the first committed counts, for every reader.
        """
        known = self.days(stage, dataset)
        found = _pick(known.get(day, []), recipe_hash, partition_id)
        if found is None and ask_again and not self.trusts_misses:
            known[day] = list(self._list(folder(stage, dataset, day.isoformat())))
            found = _pick(known[day], recipe_hash, partition_id)
        return found

    def absent(self, stage: str, dataset: str, day: date, recipe_hash: str) -> Entry | None:
        """The newest record that the source has nothing for that day."""
        entries = self.days(stage, dataset).get(day, [])
        records = [e for e in entries if e.absent and e.recipe_hash == recipe_hash]
        return max(records, key=lambda e: e.modified, default=None)

    def manifest(self, entry: Entry) -> Manifest:
        """What that partition holds."""
        if entry.key not in self._manifests:
            self._manifests[entry.key] = Manifest.from_json(self.store.read(entry.key))
        return self._manifests[entry.key]

    def attempt(self, stage: str, dataset: str, day: date, below: str | None = None) -> Attempt:
        """A fresh place for data that no manifest names yet, `below` a folder of the lake."""
        return Attempt.fresh(stage, dataset, day, below)

    def commit(self, manifest: Manifest) -> bool:
        """Commit: True for the one runner whose manifest it is, False where it existed.

        An answer that was lost is resolved by reading back: our attempt prefix in the
        stored manifest says that it was ours.
        """
        won = self.store.create(manifest.key, manifest.to_json())
        day = date.fromisoformat(manifest.day)
        prefix = folder(manifest.stage, manifest.dataset, manifest.day)
        self.days(manifest.stage, manifest.dataset)[day] = list(self._list(prefix))
        if won or not manifest.prefix:
            return won
        stored = Manifest.from_json(self.store.read(manifest.key))
        return stored.prefix == manifest.prefix

    def discard(self, attempt: Attempt) -> None:
        """Remove the objects of an attempt that lost or failed."""
        self.store.delete(attempt, [info.key for info in self.store.list(attempt.prefix)])


def _pick(entries: list[Entry], recipe_hash: str, partition_id: str | None) -> Entry | None:
    fitting = [
        e
        for e in entries
        if not e.absent and e.recipe_hash == recipe_hash and partition_id in (None, e.partition_id)
    ]
    return min(fitting, key=lambda e: (e.modified, e.partition_id), default=None)
