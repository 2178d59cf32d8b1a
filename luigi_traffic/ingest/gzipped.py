"""Unpacking gzip as it comes, within limits."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator

from luigi_traffic.api.inflate import begins_gzip, gzip_member, texts
from luigi_traffic.errors import SourceError
from luigi_traffic.ingest.archive import RATIO_FLOOR, Limits


def gunzipped(packed: Iterable[bytes], name: str, limits: Limits) -> Iterator[bytes]:
    """The text inside one or several gzip members, a chunk at a time.

    Raises `SourceError` for what is no gzip, is damaged or cut short, or unpacks to more than
    `limits`.
    """
    unpacker = None
    taken = given = 0
    for chunk in packed:
        if not taken and not begins_gzip(chunk):
            raise SourceError(f"{name}: expected gzip, got data that begins with {chunk[:60]!r}")
        taken += len(chunk)
        rest = chunk
        while rest:
            if unpacker and unpacker.eof and not rest.strip(b"\0"):  # padding after the last member
                break
            try:
                if unpacker is None or unpacker.eof:
                    unpacker = gzip_member(rest)
                for text in texts(unpacker, rest):
                    given += len(text)
                    _refuse_bomb(name, taken, given, limits)
                    yield text
            except zlib.error as e:
                raise SourceError(f"{name}: the gzip data is damaged: {e}") from e
            rest = unpacker.unused_data
    if unpacker is None:
        raise SourceError(f"{name}: expected gzip, got an empty file")
    if not unpacker.eof:
        raise SourceError(f"{name}: the gzip file is cut short. Download it again")


def _refuse_bomb(name: str, taken: int, given: int, limits: Limits) -> None:
    most = min(limits.max_bytes, max(RATIO_FLOOR, int(taken * limits.max_ratio)))
    if given > most:
        raise SourceError(
            f"{name}: {taken:,} bytes of gzip unpack to more than {most:,}: it is treated "
            "as a bomb (settings ingest.max_ratio, ingest.max_bytes)"
        )
