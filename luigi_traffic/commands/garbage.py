"""`luigi-traffic gc`: what attempts that nobody committed have left behind.

Committed partitions are never garbage, superseded ones included: lineage walks them.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from luigi_traffic.api.stages import DATA_STAGES
from luigi_traffic.commands.output import Row, size, table, text
from luigi_traffic.commands.warehouse import is_new
from luigi_traffic.errors import TrafficError
from luigi_traffic.lake.attempt import Attempt
from luigi_traffic.lake.catalog import Catalog
from luigi_traffic.lake.entries import ROOT, Entry, folder, parse
from luigi_traffic.lake.local import LocalStore
from luigi_traffic.lake.manifest import Manifest
from luigi_traffic.project import Project

if TYPE_CHECKING:
    from rich.console import Console

    from luigi_traffic.lake.s3 import Unfinished
    from luigi_traffic.lake.store import ObjectStore
    from luigi_traffic.warehouse.connection import Warehouse

logger = logging.getLogger("luigi_traffic")
_REGISTERED = "-registered"


@dataclass(frozen=True)
class Garbage:
    """One thing to remove. `modified` is of its newest part."""

    kind: str
    what: str
    bytes: int
    modified: datetime | None
    #: False where it turned out to be in use after all.
    remove: Callable[[], bool]


def rows(project: Project, older_than: timedelta, dry_run: bool) -> list[Row]:
    """Remove what is garbage and at least that old, or say what would be: one row a thing.

    kind (attempt, temporary file, upload, staged table, checkpoint, model, scratch), what, bytes,
    modified, removed.
    """
    if is_new(project):
        return []
    warehouse, datasets = project.warehouse, set(project.plugins.datasets)
    # All is found before anything is removed: without a ledger nothing is known to be garbage.
    found = [
        *_attempts(project, older_than),
        *_staged(warehouse, datasets, older_than),
        *_folders(warehouse, project.home, older_than),
    ]
    return [
        {
            "kind": thing.kind,
            "what": thing.what,
            "bytes": thing.bytes,
            "modified": thing.modified,
            "removed": not dry_run and thing.remove(),
        }
        for thing in found
    ]


def draw(rows: Sequence[Row], console: Console, dry_run: bool) -> None:
    """A table and the sum."""
    if not rows:
        console.print("nothing to remove")
        return
    shown = table("kind", "what", "size", "last changed", right=("size",))
    for row in rows:
        changed = f"{row['modified']:%Y-%m-%d %H:%M}" if row["modified"] else ""
        shown.add_row(text(row["kind"]), text(row["what"]), text(size(row["bytes"])), text(changed))
    console.print(shown)
    counted = rows if dry_run else [row for row in rows if row["removed"]]
    verb = "would be removed" if dry_run else "removed"
    console.print(f"{len(counted)} items, {size(sum(r['bytes'] for r in counted))} {verb}")
    if kept := len(rows) - len(counted):
        console.print(f"{kept} kept: now in use")


def _attempts(project: Project, older_than: timedelta) -> Iterator[Garbage]:
    """Prefixes of the lake that no manifest names."""
    catalog, before = project.catalog, datetime.now(UTC) - older_than
    seen: dict[Attempt, tuple[int, datetime]] = {}
    places = _places(project)
    for place in places:
        for info in catalog.store.list(f"{place}/"):
            if found := Attempt.holding(info.key, place.rpartition("/")[0]):
                count, newest = seen.get(found, (0, info.modified))
                seen[found] = count + info.size, max(newest, info.modified)
    old = {attempt: held for attempt, held in seen.items() if held[1] <= before}
    # Read after the data was listed: what was committed in between is named by now.
    named = _named(catalog, f"{ROOT}/") if old else set()
    for attempt in sorted(old, key=lambda a: a.prefix):
        if attempt.prefix not in named:
            count, newest = old[attempt]
            yield Garbage(
                "attempt", attempt.prefix, count, newest, _attempt_remover(catalog, attempt)
            )
    store = catalog.store
    if isinstance(store, LocalStore):
        yield from _temporary_files(store, before)
    elif project.settings.lake.kind == "s3":
        yield from _uploads(store, places, before)


def _places(project: Project) -> list[str]:
    """Where data lie: each stage's folder, below nothing and below each `lake_prefix`.

    Known are the prefixes of the settings as they are and those of every manifest.
    """
    below = {""}
    for name in project.plugins.datasets:
        with suppress(TrafficError):  # its settings are wrong: it cannot have written anything
            below.add(project.plugins.dataset(name).settings.lake_prefix or "")
    for prefix in _named(project.catalog, f"{ROOT}/"):
        below.add(Attempt(prefix).below if prefix else "")
    return sorted(f"{b}/{stage}" if b else stage for b in below for stage in DATA_STAGES)


def _named(catalog: Catalog, prefix: str) -> set[str]:
    """The attempt prefixes that commits below `prefix` name, void ones too: all of their files
    may be whole."""
    return {manifest.prefix for _, manifest in _commits(catalog, prefix)}


def _commits(catalog: Catalog, prefix: str) -> list[tuple[Entry, Manifest]]:
    """The commits below a prefix of the manifests, as they are now."""
    entries = (parse(info) for info in catalog.store.list(prefix))
    commits = [entry for entry in entries if entry and entry.kind == "commit"]
    return list(zip(commits, catalog.manifests(commits), strict=True))


def _attempt_remover(catalog: Catalog, attempt: Attempt) -> Callable[[], bool]:
    def remove() -> bool:
        place = folder(*attempt.place)
        if attempt.prefix in _named(catalog, place):
            return False
        catalog.discard(attempt)
        # Whoever committed it between our look and our removal has looked at its files before, or
        # sees now that they are gone.
        late = [e for e, m in _commits(catalog, place) if m.prefix == attempt.prefix]
        for entry in late:
            catalog.void(entry, "gc removed its files while it was committed")
            logger.error(
                "%s was committed while gc removed its files: it counts as missing, and the "
                "next run makes it again. Give gc an --older-than that is longer than the "
                "longest run.",
                attempt.prefix,
            )
        return not late

    return remove


def _temporary_files(store: LocalStore, before: datetime) -> Iterator[Garbage]:
    """Files of a writer that was killed; no listing shows them."""
    for path in sorted(store.root.rglob(".tmp-*")):
        if path.is_file() and not path.is_symlink():
            info = path.stat()
            modified = datetime.fromtimestamp(info.st_mtime, UTC)
            if modified <= before:
                yield Garbage("temporary file", str(path), info.st_size, modified, _unlinker(path))


def _uploads(store: ObjectStore, places: list[str], before: datetime) -> Iterator[Garbage]:
    """Multipart uploads of a writer that was killed; no listing of objects shows them."""
    from luigi_traffic.lake.s3 import S3Store

    assert isinstance(store, S3Store)

    def remover(upload: Unfinished) -> Callable[[], bool]:
        def remove() -> bool:
            store.abort(upload)
            return True

        return remove

    for upload in store.unfinished():
        ours = upload.key.startswith(tuple(f"{place}/" for place in places))
        if ours and upload.begun and upload.begun <= before:
            yield Garbage("upload", upload.key, upload.size, upload.begun, remover(upload))


def _unlinker(path: Path) -> Callable[[], bool]:
    def remove() -> bool:
        path.unlink(missing_ok=True)
        return True

    return remove


def _staged(warehouse: Warehouse, loaded: set[str], older_than: timedelta) -> Iterator[Garbage]:
    """Tables that were filled, or half filled, and never attached."""
    from luigi_traffic.warehouse.insight_table import insight_table
    from luigi_traffic.warehouse.partitions import PartitionedTable
    from luigi_traffic.warehouse.tables import evaluation_table, forecast_table, gold_table

    def remover(owner: PartitionedTable, staged: str) -> Callable[[], bool]:
        def remove() -> bool:
            with warehouse.connect() as connection:
                owner.discard(connection, staged)
                with connection.cursor() as cursor:
                    cursor.execute("SELECT to_regclass(%s) IS NULL", (staged,))
                    return cursor.fetchone() == (True,)

        return remove

    with warehouse.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT DISTINCT dataset FROM meta.ledger")
        datasets = sorted({name for (name,) in cursor.fetchall()} | loaded)
        tables = (
            table
            for name in datasets
            for table in (
                gold_table(name, ()),
                forecast_table(name),
                evaluation_table(name),
                insight_table(name),
            )
        )
        for owner in tables:
            for staged in owner.orphans(connection, older_than):
                cursor.execute("SELECT pg_total_relation_size(%s::regclass)", (staged,))
                (count,) = cursor.fetchone() or (0,)
                yield Garbage("staged table", staged, count, None, remover(owner, staged))


def _folders(warehouse: Warehouse, home: Path, older_than: timedelta) -> Iterator[Garbage]:
    """Checkpoints, bundles that were not registered, and scratch of processes that are gone."""
    from luigi_traffic.warehouse import ledger

    before = datetime.now(UTC) - older_than
    with warehouse.connect() as connection:
        for path in _children(home / "checkpoints"):
            # Also those of a model that is committed: they are for a training that goes on.
            yield from _folder("checkpoint", path, before)
        for path in _children(home / "models"):
            if ledger.find(connection, path.name.removesuffix(_REGISTERED)) is None:
                yield from _folder("model", path, before)
    for path in _children(home / "tmp"):
        # The engines' own folders stay; what their sessions put in there is theirs.
        inside = _children(path) if path.name in ("spark", "duckdb") and path.is_dir() else [path]
        for scratch in inside:
            yield from _folder("scratch", scratch, before)


def _children(path: Path) -> list[Path]:
    return sorted(p for p in path.iterdir() if not p.is_symlink()) if path.is_dir() else []


def _folder(kind: str, path: Path, before: datetime) -> Iterator[Garbage]:
    count, newest = 0, path.stat().st_mtime
    for inner in path.rglob("*") if path.is_dir() else ():
        info = inner.lstat()
        count += info.st_size if not inner.is_dir() else 0
        newest = max(newest, info.st_mtime)
    count += path.stat().st_size if path.is_file() else 0
    modified = datetime.fromtimestamp(newest, UTC)

    def remove() -> bool:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
        return True

    if modified <= before:
        yield Garbage(kind, str(path), count, modified, remove)
