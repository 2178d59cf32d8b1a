"""The data lines of files that raw keeps as they came."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from luigi_traffic.api.open_file import read_chunks
from luigi_traffic.api.raw_archive import RawArchive
from luigi_traffic.ingest.archive import Limits, opened_members
from luigi_traffic.ingest.data_lines import DataLines
from luigi_traffic.ingest.gzipped import gunzipped

#: It was measured when it came, and is the very file that was committed.
_LIMITS = Limits(1 << 62, float(1 << 62))


def archived_lines(archive: RawArchive, header: str | None) -> Iterator[bytes]:
    """The lines, without those that are `header`, in blocks that end with LF.

    Raises `SourceError` for what is damaged.
    """
    lines = DataLines(lambda line: line == header)
    path = Path(archive.path)
    with path.open("rb") as file:
        if archive.packing == "gzip":
            yield from lines.blocks(path.name, gunzipped(read_chunks(file), path.name, _LIMITS))
            return
        with opened_members(file, path.name, _LIMITS, archive.members) as members:
            for name, text in members:
                yield from lines.blocks(name, text)
