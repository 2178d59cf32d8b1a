"""A file as a stream of a source: read whole, or an error that says why not."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from luigi_traffic.api.source import Packing, Stream
from luigi_traffic.errors import SourceAbsent, SourceError, TransientError

CHUNK_BYTES = 1 << 20


def read_chunks(file: IO[bytes]) -> Iterator[bytes]:
    """The rest of an open file, a chunk at a time."""
    while chunk := file.read(CHUNK_BYTES):
        yield chunk


def file_stream(
    path: Path, file: IO[bytes], *, packing: Packing, origin: str, growing: bool = False
) -> Stream:
    """The stream of an open file. Its chunks end with a `TransientError` if the file has changed.

    `growing`: the file may be appended to while it is read; what it held when it was opened is
    its content, and who reads it must tell by that content what is whole.
    """
    before = _State.of(file)

    def chunks() -> Iterator[bytes]:
        left = before.size
        while left and (chunk := file.read(min(CHUNK_BYTES, left))):
            left -= len(chunk)
            yield chunk
        _refuse_changed(path, before, _State.of(file), growing)

    def modified() -> datetime:
        return datetime.fromtimestamp(os.fstat(file.fileno()).st_mtime, UTC)

    return Stream(
        path.name, chunks(), before.size, packing=packing, origin=origin, modified=modified,
        said=_said(path, os.fstat(file.fileno())),
    )  # fmt: skip


def look_at(path: Path) -> Mapping[str, str | int]:
    """The `said` of a file's stream, without reading it. Raises `SourceAbsent`, `SourceError`."""
    try:
        return _said(path, path.stat())
    except FileNotFoundError:
        raise SourceAbsent(f"no such file: {path}") from None
    except OSError as e:
        raise SourceError(f"cannot read {path}: {e.strerror}") from e


def _said(path: Path, stat: os.stat_result) -> Mapping[str, str | int]:
    return {"name": path.name, "size": stat.st_size, "modified_ns": stat.st_mtime_ns}


class _State:
    """What tells that a file was changed, or that another one took its name."""

    def __init__(self, stat: os.stat_result) -> None:
        self.size, self.mtime = stat.st_size, stat.st_mtime_ns
        self.file = (stat.st_dev, stat.st_ino)

    @classmethod
    def of(cls, file: IO[bytes]) -> _State:
        return cls(os.fstat(file.fileno()))


def _refuse_changed(path: Path, before: _State, after: _State, growing: bool) -> None:
    why = None
    try:
        named = _State(path.stat()).file
    except FileNotFoundError:
        named = None
    if named != before.file:
        why = "its name now belongs to another file" if named else "it was removed"
    elif after.size < before.size or (after.size > before.size and not growing):
        why = f"{before.size:,} bytes when it was opened, {after.size:,} now"
    elif after.mtime != before.mtime and not growing:
        why = "it was written to"
    if why:
        raise TransientError(f"{path} changed while it was read: {why}. Is it still being written?")
