"""What raw keeps of a day: its lines in pieces, or the files as they came; and lines of a scope."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from luigi_traffic.api.scope import ScopeOf
from luigi_traffic.api.source import Stream
from luigi_traffic.ingest.data_lines import DataLines
from luigi_traffic.ingest.pieces import PieceWriter
from luigi_traffic.ingest.scoped_lines import ScopedLines
from luigi_traffic.lake.attempt import Attempt
from luigi_traffic.lake.store import ObjectStore, Sealed


@dataclass(frozen=True)
class Keep:
    """How a day is kept.

    archives  ZIP and gzip as they came, for an engine that reads them so; only in a lake that is
              a folder. Other text, and text that a source edits, is kept as pieces of lines
    scope     the links whose lines are kept apart as well
    """

    archives: bool = False
    scope: ScopeOf | None = None


class DayWriter:
    """Writes into an attempt. `text` has the header and the counts of all that came."""

    def __init__(
        self, store: ObjectStore, attempt: Attempt, piece_bytes: int, text: DataLines, keep: Keep
    ) -> None:
        self.text = text
        self._store, self._attempt = store, attempt
        self._archives = keep.archives
        self._pieces = PieceWriter(store, attempt, piece_bytes)
        self._scoped = None
        if keep.scope is not None:
            scoped = PieceWriter(store, attempt, piece_bytes, "scoped")
            self._scoped = ScopedLines(scoped, keep.scope)
        self._kept: list[Sealed] = []
        #: What the manifest says of each file that is kept as it came.
        self.archives: list[dict[str, Any]] = []

    def archive_key(self, stream: Stream) -> str | None:
        """The key under which a stream is kept as it comes, None if its lines are."""
        if not self._archives or stream.packing not in ("zip", "gzip") or stream.edit is not None:
            return None
        key = self._attempt.key(f"archive-{len(self.archives):05d}.{stream.packing}")
        return key if self._store.local_path(key) is not None else None

    def archive(self, key: str) -> AbstractContextManager[IO[bytes]]:
        """The file of such a key."""
        return self._store.writer(key)

    def local(self, key: str) -> Path:
        """Where it is once it is written."""
        path = self._store.local_path(key)
        assert path is not None
        return path

    def keep(self, key: str, stream: Stream, size: int, sha256: str) -> None:
        """The archive is whole: all bytes of the stream, and no other, have been written to it."""
        self._kept.append(Sealed(key, size, f"sha256:{sha256}"))
        self.archives.append({"key": key, "packing": stream.packing, "members": stream.members})

    def lines(self, name: str, chunks: Iterator[bytes], into_pieces: bool) -> None:
        """All lines of one file. Raises `DataError` for what is not UTF-8 text in lines."""
        for block in self.text.blocks(name, chunks):
            if into_pieces:
                self._pieces.write(block)
            if self._scoped is not None:
                self._scoped.write(block, self.text.header, self.text.first_line)

    @property
    def scoped(self) -> dict[str, Any] | None:
        """What the manifest says of the lines that are kept apart, None if none are."""
        return self._scoped.said if self._scoped else None

    def close(self) -> list[Sealed]:
        """End the last pieces; all files, durable."""
        keys = []
        for writer in self._writers():
            writer.close()
            keys += writer.keys
        return self._kept + [self._store.seal(key) for key in keys]

    def abandon(self) -> None:
        """Drop the pieces being written (the caller discards the finished ones)."""
        for writer in self._writers():
            writer.abandon()

    def _writers(self) -> list[PieceWriter]:
        return [self._pieces] + ([self._scoped.pieces] if self._scoped else [])
