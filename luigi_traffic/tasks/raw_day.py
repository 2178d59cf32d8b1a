"""What bronze reads of a raw partition: all its lines, or those that were kept apart."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from luigi_traffic.api.dataset import RawDay
from luigi_traffic.api.raw_archive import RawArchive
from luigi_traffic.api.scope import Outside, Scope
from luigi_traffic.errors import StoreError
from luigi_traffic.ingest.archived_lines import archived_lines
from luigi_traffic.ingest.pieces import PieceWriter
from luigi_traffic.lake.attempt import Attempt
from luigi_traffic.lake.local import LocalStore
from luigi_traffic.lake.manifest import Manifest
from luigi_traffic.lake.store import ObjectStore

if TYPE_CHECKING:
    from luigi_traffic.compute.engine import Engine

#: Of text; Spark reads the pieces in parallel.
_PIECE_BYTES = 64 << 20


def whole_day(raw: Manifest, engine: Engine, store: ObjectStore) -> RawDay:
    """All lines of a day."""
    as_came = _as_came(raw)
    others = {archive["key"] for archive in as_came} | set(_scoped(raw).get("keys", ()))
    keys = (file["key"] for file in raw.files)
    return RawDay(
        day=date.fromisoformat(raw.day),
        paths=_addresses(engine, store, (key for key in keys if key not in others)),
        header=raw.details["header"],
        first_line=raw.details["first_line"],
        lines=raw.rows_out,
        archives=tuple(_archive(raw, store, archive) for archive in as_came),
    )


def day_of_scope(
    day: RawDay, scope: Scope, raw: Manifest, engine: Engine, store: ObjectStore
) -> RawDay:
    """The same day, of which `functions.lines` gives the lines of the scope alone.

    If raw kept the lines of this very scope apart, they are read, and the day is not searched.
    """
    scoped = _scoped(raw)
    if {name: scoped.get(name) for name in scope.described} != scope.described:
        return replace(day, scope=scope)
    outside = Outside(**scoped["outside"])
    scope.count(lambda: outside)
    return replace(day, paths=_addresses(engine, store, scoped["keys"]), archives=())


@contextmanager
def archives_as_text(engine: Engine, scratch: Path) -> Iterator[Callable[[RawDay], RawDay]]:
    """A function that gives a day as the engine reads it: if it cannot read archives, their lines
    are in pieces below a scratch folder until the end of the block."""
    with ExitStack() as stack:

        def as_text(day: RawDay) -> RawDay:
            if engine.reads_archives or not day.archives:
                return day
            scratch.mkdir(parents=True, exist_ok=True)
            folder = stack.enter_context(TemporaryDirectory(dir=scratch, prefix="text-"))
            store = LocalStore(Path(folder))
            pieces = PieceWriter(store, Attempt.fresh("raw", "text", day.day), _PIECE_BYTES)
            for archive in day.archives:
                for block in archived_lines(archive, day.header):
                    pieces.write(block)
            pieces.close()
            more = _addresses(engine, store, pieces.keys)
            return replace(day, paths=day.paths + more, archives=())

        yield as_text


def _addresses(engine: Engine, store: ObjectStore, keys: Iterable[str]) -> tuple[str, ...]:
    return tuple(engine.address(store, key) for key in keys)


def _archive(raw: Manifest, store: ObjectStore, said: dict[str, Any]) -> RawArchive:
    path = store.local_path(said["key"])
    if path is None:
        raise StoreError(
            f"{said['key']} in {store.describe()} is a file as it came from the source, which can "
            "be read only if the lake is a folder. Have the day fetched again: "
            f"luigi-traffic invalidate raw {raw.dataset} {raw.day}"
        )
    return RawArchive(str(path), said["packing"], said["members"])


# Partitions that were made before these two were kept have neither.


def _as_came(raw: Manifest) -> list[dict[str, Any]]:
    return raw.details.get("as_came") or []


def _scoped(raw: Manifest) -> dict[str, Any]:
    return raw.details.get("scoped") or {}
