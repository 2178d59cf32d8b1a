"""The contract of a source: named byte streams of one day, and nothing else.

Hashing, retries, size caps, safe unzipping and the write to the lake are the core's
(`luigi_traffic.ingest`), so every source gets them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any, Literal

#: How the text of a day is packed; see `Stream`.
Packing = Literal["zip", "gzip", "parquet", "xlsx", "none"]


@dataclass(frozen=True)
class Stream:
    """One named run of bytes.

    name      for people and manifests (a file name, the last part of a URL)
    chunks    the bytes, in order, each chunk at most a few MiB
    size      bytes announced by the source, None where it does not say. Other than that many
              are a `TransientError`
    packing   "zip": an archive with exactly one text file inside, see `members`; "gzip";
              "parquet": a table, unpacked to comma-separated lines below a header; "xlsx": a
              worksheet, unpacked to such lines, see `sheet`; "none": text as it is
    origin    where it came from (a URL without credentials): for messages and lineage
    edit      what is done to the unpacked text on its way, chunks to chunks, None: nothing.
              It cuts one day out of a file of many, or turns another encoding into UTF-8
    check     looks at the unpacked text on its way and passes it on as it is, None: nobody does.
              What it raises refuses the day before anything is committed
    modified  asked after the last byte: when the source last changed what was read (aware), None
              if it does not say. Young text may still be written, and is read again
    said      what tells without reading that it has changed (ETag and Last-Modified of HTTP, size
              and time of a file); see `Source.look`. Kept in the manifest: no secret
    members   of a ZIP archive with several files: a pattern of those that are wanted, for example
              *.csv; they are read in order of their names. None: it must hold exactly one
    sheet     of an Excel workbook: the name of the worksheet. None: the first
    """

    name: str
    chunks: Iterator[bytes]
    size: int | None = None
    packing: Packing = "none"
    origin: str = ""
    edit: Callable[[Iterator[bytes]], Iterator[bytes]] | None = None
    check: Callable[[Iterator[bytes]], Iterator[bytes]] | None = None
    modified: Callable[[], datetime | None] | None = None
    said: Mapping[str, str | int] = field(default_factory=dict)
    members: str | None = None
    sheet: str | None = None


class Source(ABC):
    """Where the bytes of a day come from."""

    @abstractmethod
    def open(self, day: date) -> AbstractContextManager[Iterator[Stream]]:
        """The streams of that day, one after the other, closed at the end.

        Raises `SourceAbsent` where the source has nothing for that day,
        `TransientError` where trying again may help (the core then calls `open` again),
        any other `TrafficError` where it will not. Chunks that end say that the stream is
        whole: a source that was cut off must raise.
        """

    @abstractmethod
    def recipe(self) -> dict[str, Any]:
        """What decides the text of a day beside the bytes that arrive: how they are packed, their
        encoding, which rows are the day's, the seed of a simulation. JSON, no secret.

        A change makes every day of the dataset stale.
        """

    def look(self, day: date) -> list[Mapping[str, str | int]] | None:
        """What the source says of the day's streams now, without reading them: equal to their
        `said` if nothing has changed. None: it cannot tell, so that the streams have to be read.

        Raises as `open`.
        """
        return None

    def keep_parts(self, folder: Path) -> None:
        """Told before `open`: a scratch folder in which it may keep what came of a download that
        broke off, so that it fetches only the rest next time. It need not do so."""
        return

    def address(self) -> dict[str, Any]:
        """Where the bytes are asked for (a URL template with its query, a folder): JSON.

        A change makes every day be asked for again; where the bytes are equal, nothing else
        happens. Only a hash of it is kept, so it may hold a key of an API.
        """
        return {}
