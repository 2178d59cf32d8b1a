"""One day from its source into the lake, tried again where that may help."""

from __future__ import annotations

import hashlib
import logging
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    stop_after_attempt,
    wait_exponential,
)

from luigi_traffic.api.dataset import Dataset
from luigi_traffic.api.source import Stream
from luigi_traffic.crashpoints import CrashPoint, crash_point
from luigi_traffic.errors import SourceError, TrafficError, TransientError
from luigi_traffic.ingest.parquet import parquet_lines
from luigi_traffic.ingest.pieces import PieceWriter
from luigi_traffic.ingest.xlsx import xlsx_lines
from luigi_traffic.lake.attempt import Attempt
from luigi_traffic.lake.catalog import Catalog
from luigi_traffic.lake.store import Sealed
from luigi_traffic.settings.keys import IngestSettings
from luigi_traffic.text.archive import Limits, opened_members
from luigi_traffic.text.gzipped import gunzipped

logger = logging.getLogger("luigi_traffic")
#: Bytes so far, bytes announced (None: not known), what is being read.
Progress = Callable[[int, int | None, str], None]


@dataclass
class Ingested:
    """A day in the lake, not committed yet.

    `archives` are {"name", "origin", "bytes", "sha256"}, and "kept_sha256" of the text that is
    left where a source edits it: one day of a file that holds many.
    """

    attempt: Attempt
    files: list[Sealed]
    header: str | None
    first_line: str
    lines: int
    text_bytes: int
    archives: list[dict[str, Any]] = field(default_factory=list)

    @property
    def content_hash(self) -> str:
        """One hash over the sha256 of all archives, of what was kept of them, in order."""
        joined = "\n".join(a.get("kept_sha256", a["sha256"]) for a in self.archives)
        return joined if len(self.archives) == 1 else hashlib.sha256(joined.encode()).hexdigest()


def ingest(
    dataset: Dataset,
    day: date,
    catalog: Catalog,
    limits: IngestSettings,
    spool: Path,
    progress: Progress,
) -> Ingested:
    """Read the day's streams into pieces under a fresh attempt prefix.

    Passing failures are tried again with growing pauses. Raises `SourceAbsent` where the
    source has nothing, `SourceError` or `DataError` for what it should not have sent,
    `TransientError` for what was cut, or may still be written, each time. A failed try leaves
    nothing behind.
    """
    spool.mkdir(parents=True, exist_ok=True)
    growing = wait_exponential(multiplier=limits.backoff_seconds, max=60)

    def wait(state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        least = error.settled_in if isinstance(error, _Unsettled) else 0.0
        return max(least, growing(state))

    again = Retrying(
        retry=retry_if_exception_type(TransientError),
        stop=stop_after_attempt(limits.attempts),
        wait=wait,
        before_sleep=_tell,
        reraise=True,
    )
    return again(_once, dataset, day, catalog, limits, spool, progress)


def _tell(state: RetryCallState) -> None:
    error = state.outcome.exception() if state.outcome else None
    pause = state.next_action.sleep if state.next_action else 0
    logger.warning("attempt %d: %s; next attempt in %.1f s", state.attempt_number, error, pause)


def _once(
    dataset: Dataset,
    day: date,
    catalog: Catalog,
    limits: IngestSettings,
    spool: Path,
    progress: Progress,
) -> Ingested:
    attempt = catalog.attempt("raw", dataset.name, day, dataset.settings.lake_prefix)
    writer = PieceWriter(catalog.store, attempt, limits.piece_bytes, dataset.header)
    archives: list[dict[str, Any]] = []
    try:
        source = dataset.source()
        source.keep_parts(spool)
        with source.open(day) as streams:
            for stream in streams:
                archives.append(_stream(stream, writer, limits, spool, progress))
        writer.close()
        sealed = [catalog.store.seal(key) for key in writer.keys]
    except BaseException as e:
        writer.abandon()
        catalog.discard(attempt)
        if isinstance(e, _Unsettled):
            raise _Unsettled(f"{dataset.name} {day}: {e}", e.settled_in) from e
        if isinstance(e, TrafficError):
            raise type(e)(f"{dataset.name} {day}: {e}") from e
        raise
    return Ingested(
        attempt, sealed, writer.header, writer.first_line, writer.lines, writer.text_bytes, archives
    )


class _Unsettled(TransientError):
    """It may still be written; in `settled_in` seconds it is known, if it is left alone."""

    def __init__(self, message: str, settled_in: float) -> None:
        super().__init__(message)
        self.settled_in = settled_in


def _stream(
    stream: Stream, writer: PieceWriter, limits: IngestSettings, spool: Path, progress: Progress
) -> dict[str, Any]:
    """Take one stream in, to its last byte. Raises `TransientError` if it may not be whole."""
    digest = hashlib.sha256()
    counted = _Counted(stream, digest.update, progress, limits.max_bytes)
    try:
        kept = _unpack(stream, counted, writer, limits, spool, progress)
        for _ in counted:  # what an edit left unread is a part of the archive too
            pass
        counted.check()
    except (SourceError, TransientError) as e:
        _refuse_young(stream, limits, f"{e}; it")
        raise
    # The packed formats say themselves that they are whole.
    if stream.packing == "none":
        _refuse_young(stream, limits, stream.name)
    archive_of_day = {
        "name": stream.name,
        "origin": stream.origin,
        "bytes": counted.seen,
        "sha256": digest.hexdigest(),
    }
    said = {"said": dict(stream.said)} if stream.said else {}
    return archive_of_day | ({"kept_sha256": kept} if kept is not None else {}) | said


def _refuse_young(stream: Stream, limits: IngestSettings, what: object) -> None:
    """Raise `_Unsettled` if it changed a moment ago. A time far ahead of our clock says nothing."""
    at = stream.modified() if stream.modified else None
    age = (datetime.now(UTC) - at).total_seconds() if at else limits.settle_seconds
    if abs(age) < limits.settle_seconds:
        raise _Unsettled(
            f"{what} changed {max(age, 0):.1f} s ago, so it may still be written (setting "
            f"ingest.settle_seconds = {limits.settle_seconds:g})",
            limits.settle_seconds - age,
        )


def _unpack(
    stream: Stream,
    counted: _Counted,
    writer: PieceWriter,
    limits: IngestSettings,
    spool: Path,
    progress: Progress,
) -> str | None:
    """Write the text of a stream; the sha256 of what its edit left of it, None without one."""
    kept = hashlib.sha256()

    def write(text: Iterator[bytes], name: str = stream.name) -> None:
        if stream.edit is None:
            writer.write(name, stream.check(text) if stream.check else text)
            return
        writer.write(name, _hashed(stream.edit(text), kept.update))
        for _ in text:  # an edit may stop early; that the rest is whole is checked all the same
            pass

    def write_unpacked(text: Iterator[bytes], name: str) -> None:
        unpacked = Stream(f"unpacking {name}", text)
        write(iter(_Counted(unpacked, lambda _: None, progress, limits.max_bytes)), name)

    caps = Limits(limits.max_bytes, limits.max_ratio)
    if stream.packing in ("zip", "parquet", "xlsx"):
        # The directory is at the end: spool it, under no name, so that a crash leaves nothing.
        with tempfile.TemporaryFile(dir=spool) as archive:
            for chunk in counted:
                archive.write(chunk)
            crash_point(CrashPoint.RAW_DOWNLOADED)
            if stream.packing == "parquet":
                write_unpacked(parquet_lines(archive, stream.name, caps), stream.name)
            elif stream.packing == "xlsx":
                lines = xlsx_lines(archive, stream.name, caps, stream.sheet)
                write_unpacked(lines, stream.name)
            else:
                with opened_members(archive, stream.name, caps, stream.members) as members:
                    for member, text in members:
                        inner = f"{stream.name}: {member}" if stream.members else stream.name
                        write_unpacked(text, inner)
    elif stream.packing == "gzip":
        write(gunzipped(counted, stream.name, caps))
    else:
        write(iter(counted))
    return kept.hexdigest() if stream.edit else None


def _hashed(chunks: Iterator[bytes], update: Callable[[bytes], None]) -> Iterator[bytes]:
    for chunk in chunks:
        update(chunk)
        yield chunk


class _Counted:
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
