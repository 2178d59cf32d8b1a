"""Unpacking gzip as it comes, within limits."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator

from luigi_traffic.errors import SourceError
from luigi_traffic.ingest.archive import CHUNK_BYTES, RATIO_FLOOR, Limits

_GZIP = 16 + zlib.MAX_WBITS


def gunzipped(packed: Iterable[bytes], name: str, limits: Limits) -> Iterator[bytes]:
    """The text inside one or several gzip members, a chunk at a time.

    Raises `SourceError` for what is no gzip, is damaged or cut short, or unpacks to more than
    `limits`.
    """
    unpacker = zlib.decompressobj(_GZIP)
    taken = given = 0
    begun = False
    for chunk in packed:
        taken += len(chunk)
        rest = chunk
        while rest:
            if unpacker.eof:
                if not rest.strip(b"\0"):  # padding after the last member
                    break
                unpacker = zlib.decompressobj(_GZIP)
            try:
                text = unpacker.decompress(rest, CHUNK_BYTES)
            except zlib.error as e:
                if not begun:
                    raise SourceError(
                        f"{name}: expected gzip, got data that begins with {chunk[:60]!r}"
                    ) from e
                raise SourceError(f"{name}: the gzip data is damaged: {e}") from e
            begun = True
            rest = unpacker.unused_data if unpacker.eof else unpacker.unconsumed_tail
            given += len(text)
            most = min(limits.max_bytes, max(RATIO_FLOOR, int(taken * limits.max_ratio)))
            if given > most:
                raise SourceError(
                    f"{name}: {taken:,} bytes of gzip unpack to more than {most:,}: it is treated "
                    "as a bomb (settings ingest.max_ratio, ingest.max_bytes)"
                )
            if text:
                yield text
    if not unpacker.eof:
        raise SourceError(
            f"{name}: the gzip file is cut short. Download it again"
            if begun
            else f"{name}: expected gzip, got an empty file"
        )
