"""One day from its source into the lake, tried again where that may help."""

from __future__ import annotations

import hashlib
import logging
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
from luigi_traffic.errors import SourceError, TrafficError, TransientError
from luigi_traffic.ingest.data_lines import DataLines
from luigi_traffic.ingest.day_writer import DayWriter, Keep
from luigi_traffic.ingest.stream_text import (
    Counted,
    Progress,
    StreamText,
    unpack,
    unpack_kept,
)
from luigi_traffic.lake.attempt import Attempt
from luigi_traffic.lake.catalog import Catalog
from luigi_traffic.lake.store import Sealed
from luigi_traffic.settings.keys import IngestSettings

logger = logging.getLogger("luigi_traffic")
_LINES = Keep()


@dataclass
class Ingested:
    """A day in the lake, not committed yet.

    `archives` are {"name", "origin", "bytes", "sha256"}, and "kept_sha256" of the text that is
    left where a source edits it: one day of a file that holds many.

    files     all of them, durable
    as_came   of those that are kept as they came {"key", "packing", "members"}
    scoped    the lines of a scope that are kept apart: "keys" of their files, what the scope was
              ("links", "cell"), and the number of lines "outside"; None if none are
    """

    attempt: Attempt
    files: list[Sealed]
    header: str | None
    first_line: str
    lines: int
    text_bytes: int
    archives: list[dict[str, Any]] = field(default_factory=list)
    as_came: list[dict[str, Any]] = field(default_factory=list)
    scoped: dict[str, Any] | None = None

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
    keep: Keep = _LINES,
) -> Ingested:
    """Read the day's streams into the lake under a fresh attempt prefix.

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
    return again(_once, dataset, day, catalog, limits, spool, progress, keep)


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
    keep: Keep,
) -> Ingested:
    attempt = catalog.attempt("raw", dataset.name, day, dataset.settings.lake_prefix)
    text = DataLines(dataset.header)
    writer = DayWriter(catalog.store, attempt, limits.piece_bytes, text, keep)
    archives: list[dict[str, Any]] = []
    try:
        source = dataset.source()
        source.keep_parts(spool)
        with source.open(day) as streams:
            for stream in streams:
                archives.append(_stream(stream, writer, limits, spool, progress))
        sealed = writer.close()
    except BaseException as e:
        writer.abandon()
        catalog.discard(attempt)
        if isinstance(e, _Unsettled):
            raise _Unsettled(f"{dataset.name} {day}: {e}", e.settled_in) from e
        if isinstance(e, TrafficError):
            raise type(e)(f"{dataset.name} {day}: {e}") from e
        raise
    return Ingested(
        attempt, sealed, text.header, text.first_line, text.lines, text.text_bytes, archives,
        writer.archives, writer.scoped,
    )  # fmt: skip


class _Unsettled(TransientError):
    """It may still be written; in `settled_in` seconds it is known, if it is left alone."""

    def __init__(self, message: str, settled_in: float) -> None:
        super().__init__(message)
        self.settled_in = settled_in


def _stream(
    stream: Stream, writer: DayWriter, limits: IngestSettings, spool: Path, progress: Progress
) -> dict[str, Any]:
    """Take one stream in, to its last byte. Raises `TransientError` if it may not be whole."""
    digest = hashlib.sha256()
    counted = Counted(stream, digest.update, progress, limits.max_bytes)
    key = writer.archive_key(stream)
    try:
        text = StreamText(stream, writer, limits, progress, into_pieces=key is None)
        if key is None:
            unpack(stream, counted, text, spool)
        else:
            unpack_kept(stream, counted, text, key)
        for _ in counted:  # what an edit left unread is a part of the archive too
            pass
        counted.check()
    except (SourceError, TransientError) as e:
        _refuse_young(stream, limits, f"{e}; it")
        raise
    # The packed formats say themselves that they are whole.
    if stream.packing == "none":
        _refuse_young(stream, limits, stream.name)
    if key is not None:
        writer.keep(key, stream, counted.seen, digest.hexdigest())
    archive_of_day = {
        "name": stream.name,
        "origin": stream.origin,
        "bytes": counted.seen,
        "sha256": digest.hexdigest(),
    }
    said = {"said": dict(stream.said)} if stream.said else {}
    left = {"kept_sha256": text.kept} if text.kept is not None else {}
    return archive_of_day | left | said


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
