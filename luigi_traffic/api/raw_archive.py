"""A file of raw that is kept as it came from the source."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

#: How the text inside is packed; other files of a source are kept as text.
ArchivePacking = Literal["zip", "gzip"]


@dataclass(frozen=True)
class RawArchive:
    """Where it is, and how its text is found in it: see `Stream` for `packing` and `members`."""

    path: str
    packing: ArchivePacking
    members: str | None = None
