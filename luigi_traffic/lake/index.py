"""What manifests say, kept on this machine: one read answers for all days of a stage.

A manifest never changes, so what is kept of it stays true; a copy whose object has another size
or time than the listing shows is not used. Nothing depends on this file: it is a cache, made
anew from the manifests where it is lost.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from luigi_traffic.lake.entries import Entry

_TABLE = (
    "CREATE TABLE IF NOT EXISTS manifest (lake TEXT, stage TEXT, dataset TEXT, key TEXT,"
    " size INTEGER, modified TEXT, body BLOB, PRIMARY KEY (lake, stage, dataset, key))"
)
_PATIENCE_S = 30.0
#: Kept in `user_version`; a file of another version is made anew.
_VERSION = 1


class Index:
    """Manifests of the lake called `lake`, in the SQLite file `path`; any process may use it."""

    def __init__(self, path: Path, lake: str) -> None:
        self._path = path
        self._lake = lake

    def read(self, stage: str, dataset: str) -> dict[tuple[str, int, str], bytes]:
        """(key, size, modified) → the manifest as stored, of a stage of a dataset."""
        try:
            with self._open() as connection:
                rows = connection.execute(
                    "SELECT key, size, modified, body FROM manifest"
                    " WHERE lake = ? AND stage = ? AND dataset = ?",
                    (self._lake, stage, dataset),
                ).fetchall()
        except sqlite3.DatabaseError:
            self._path.unlink(missing_ok=True)
            return {}
        return {(key, size, modified): body for key, size, modified, body in rows}

    def add(self, found: Iterable[tuple[Entry, bytes]]) -> None:
        """Keep these manifests."""
        rows = [
            (self._lake, e.stage, e.dataset, e.key, e.size, e.modified.isoformat(), body)
            for e, body in found
        ]
        if not rows:
            return
        try:
            self._insert(rows)
        except sqlite3.DatabaseError:
            # Damaged, or half a file of a process that was killed: it is only a cache.
            self._path.unlink(missing_ok=True)
            self._insert(rows)

    def _insert(self, rows: Sequence[tuple[object, ...]]) -> None:
        with self._open() as connection, connection:
            connection.executemany("REPLACE INTO manifest VALUES (?, ?, ?, ?, ?, ?, ?)", rows)

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """A connection for one use: one that is kept would be used on both sides of a fork."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(self._path, timeout=_PATIENCE_S)) as connection:
            # A power cut may cost the file; it is made anew then.
            connection.execute("PRAGMA synchronous = OFF")
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if version != _VERSION:
                with connection:
                    connection.execute("DROP TABLE IF EXISTS manifest")
                    connection.execute(_TABLE)
                    connection.execute(f"PRAGMA user_version = {_VERSION}")
            yield connection


def key_of(entry: Entry) -> tuple[str, int, str]:
    """What `Index.read` finds the manifest of an entry under."""
    return entry.key, entry.size, entry.modified.isoformat()
