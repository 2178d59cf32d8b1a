"""The text of a stream on its way into the lake: counted, unpacked, checked and edited."""

from __future__ import annotations

import hashlib
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO

from luigi_traffic.api.source import Stream
from luigi_traffic.crashpoints import CrashPoint, crash_point
from luigi_traffic.errors import SourceError, TransientError
from luigi_traffic.ingest.archive import Limits, opened_members
from luigi_traffic.ingest.day_writer import DayWriter
from luigi_traffic.ingest.gzipped import gunzipped
from luigi_traffic.ingest.parquet import parquet_lines
from luigi_traffic.ingest.xlsx import xlsx_lines
from luigi_traffic.settings.keys import IngestSettings

#: Bytes so far, bytes announced (None: not known), what is being read.
Progress = Callable[[int, int | None, str], None]


class Counted:
    """The chunks of a stream, hashed, counted and reported about twice a second."""

    def __init__(
        self, stream: Stream, update: Callable[[bytes], None], progress: Progress, most: int
    ) -> None:
        self._stream = stream
        self._chunks = iter(stream.chunks)
        self._update = update
        self._progress = progress
        self._most = most
        self.seen = 0

    def __iter__(self) -> Iterator[bytes]:
        """Those that nobody has taken yet."""
        told = time.monotonic()
        for chunk in self._chunks:
            self._update(chunk)
            self.seen += len(chunk)
            if self.seen > self._most:
                raise SourceError(
                    f"{self._stream.origin or self._stream.name} sent more than {self._most:,} "
                    "bytes (setting ingest.max_bytes)"
                )
            if self._stream.size is not None and self.seen > self._stream.size:
                self.check()
            if time.monotonic() - told > 0.5:
                self._progress(self.seen, self._stream.size, self._stream.name)
                told = time.monotonic()
            yield chunk

    def check(self) -> None:
        """Raise `TransientError` if it were other than the announced number of bytes."""
        size = self._stream.size
        if size is not None and self.seen != size:
            more = "more than " if self.seen > size else ""
            raise TransientError(
                f"{self._stream.origin or self._stream.name}: {more}{min(self.seen, size):,} "
                f"bytes came, but {size:,} were announced"
            )


class StreamText:
    """The text of a stream on its way to the writer: checked and edited as the stream says."""

    def __init__(
        self,
        stream: Stream,
        writer: DayWriter,
        limits: IngestSettings,
        progress: Progress,
        *,
        into_pieces: bool,
    ) -> None:
        self.caps = Limits(limits.max_bytes, limits.max_ratio)
        self._stream, self.writer, self._progress = stream, writer, progress
        self._into_pieces = into_pieces
        self._kept = hashlib.sha256()

    @property
    def kept(self) -> str | None:
        """The sha256 of what the stream's edit left, None if it has no edit."""
        return self._kept.hexdigest() if self._stream.edit else None

    def write(self, text: Iterator[bytes], name: str | None = None) -> None:
        """The text of a file inside."""
        stream, name = self._stream, name or self._stream.name
        if stream.edit is None:
            checked = stream.check(text) if stream.check else text
            self.writer.lines(name, checked, self._into_pieces)
            return
        edited = _passed(stream.edit(text), self._kept.update)
        self.writer.lines(name, edited, self._into_pieces)
        for _ in text:  # an edit may stop early; that the rest is whole is checked all the same
            pass

    def write_unpacked(self, text: Iterator[bytes], name: str) -> None:
        """The same with its own progress, of a file that has been downloaded."""
        unpacked = Stream(f"unpacking {name}", text)
        counted = Counted(unpacked, lambda _: None, self._progress, self.caps.max_bytes)
        self.write(iter(counted), name)

    def write_members(self, archive: IO[bytes]) -> None:
        """The files of a ZIP archive that are wanted."""
        stream = self._stream
        with opened_members(archive, stream.name, self.caps, stream.members) as members:
            for member, text in members:
                inner = f"{stream.name}: {member}" if stream.members else stream.name
                self.write_unpacked(text, inner)


def unpack_kept(stream: Stream, counted: Counted, text: StreamText, key: str) -> None:
    """Keep a stream under a key as it comes, and take in its text."""
    writer = text.writer
    if stream.packing == "gzip":
        with writer.archive(key) as archive:
            came = _passed(counted, archive.write)
            text.write(gunzipped(came, stream.name, text.caps))
            for _ in came:  # zeros after the last member are a part of the file too
                pass
        return
    with writer.archive(key) as archive:
        for chunk in counted:
            archive.write(chunk)
    crash_point(CrashPoint.RAW_DOWNLOADED)
    with writer.local(key).open("rb") as written:
        text.write_members(written)


def unpack(stream: Stream, counted: Counted, text: StreamText, spool: Path) -> None:
    """Take in the text of a stream. Raises `SourceError` for what is not packed as it says."""
    if stream.packing in ("zip", "parquet", "xlsx"):
        # The directory is at the end: spool it, under no name, so that a crash leaves nothing.
        with tempfile.TemporaryFile(dir=spool) as archive:
            for chunk in counted:
                archive.write(chunk)
            crash_point(CrashPoint.RAW_DOWNLOADED)
            if stream.packing == "parquet":
                text.write_unpacked(parquet_lines(archive, stream.name, text.caps), stream.name)
            elif stream.packing == "xlsx":
                lines = xlsx_lines(archive, stream.name, text.caps, stream.sheet)
                text.write_unpacked(lines, stream.name)
            else:
                text.write_members(archive)
    elif stream.packing == "gzip":
        text.write(gunzipped(counted, stream.name, text.caps))
    else:
        text.write(iter(counted))


def _passed(chunks: Iterable[bytes], each: Callable[[bytes], object]) -> Iterator[bytes]:
    for chunk in chunks:
        each(chunk)
        yield chunk
