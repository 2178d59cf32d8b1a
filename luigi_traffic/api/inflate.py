"""Inflating in flat memory, by isal: two to three times as fast as zlib, with the same checks."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from isal import igzip_lib, isal_zlib

if TYPE_CHECKING:
    from isal.isal_zlib import Decompress

#: Most bytes of text at once.
CHUNK_BYTES = 1 << 20
_GZIP = 16 + zlib.MAX_WBITS
_MAGIC = b"\x1f\x8b"


def begins_gzip(packed: bytes) -> bool:
    """Whether a member of a gzip file may begin so. isal itself would wait for a whole header."""
    return _MAGIC.startswith(packed[:2])


def gzip_member(packed: bytes) -> Decompress:
    """What inflates a member of a gzip file that begins so. Raises `zlib.error` if none does."""
    if not begins_gzip(packed):
        raise zlib.error(f"no gzip header, but {packed[:60]!r}")
    return isal_zlib.decompressobj(_GZIP)


def texts(unpacker: Decompress, packed: bytes) -> Iterator[bytes]:
    """All text that these packed bytes give, at most `CHUNK_BYTES` at a time.

    Raises `zlib.error` for damaged data.
    """
    while True:
        try:
            text = unpacker.decompress(packed, CHUNK_BYTES)
        except igzip_lib.IsalError as e:  # type: ignore[misc]  # wrong in its stubs
            raise zlib.error(str(e)) from e
        if text:
            yield text
        packed = unpacker.unconsumed_tail
        # After a full chunk isal may hold text back, though it has taken all packed bytes.
        if unpacker.eof or (not packed and len(text) < CHUNK_BYTES):
            return
