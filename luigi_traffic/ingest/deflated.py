"""Members of a ZIP in Deflate, faster than zipfile, and in Deflate64, which zipfile cannot read."""

from __future__ import annotations

import copy
import zipfile
from collections.abc import Iterator
from typing import IO

from isal import isal_zlib

from luigi_traffic.api.inflate import texts

#: The compression method in the directory of a ZIP: Windows packs files over 2 GB so.
DEFLATE64 = 9
METHODS = (zipfile.ZIP_DEFLATED, DEFLATE64)
#: Packed bytes taken at once. In Deflate64 they unpack to some 16 MiB at most, which the limits
#: then see.
_DEFLATE_BYTES = 64 << 10
_DEFLATE64_BYTES = 16 << 10


def inflated(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Iterator[bytes]:
    """The text of a member packed by one of `METHODS`.

    Raises `zipfile.BadZipFile`, `EOFError` or `zlib.error` for a damaged one.
    """
    unpack = _deflate64 if member.compress_type == DEFLATE64 else _deflate
    crc = size = 0
    with archive.open(_as_packed(member)) as file:
        for text in unpack(file):
            crc, size = isal_zlib.crc32(text, crc), size + len(text)
            if size > member.file_size:
                raise zipfile.BadZipFile(
                    f"it unpacks to more than {member.file_size:,} bytes, the size that the "
                    "archive says it has"
                )
            if text:
                yield text
    if crc != member.CRC:
        raise zipfile.BadZipFile(
            f"{size:,} of {member.file_size:,} bytes came, and they are not those that were packed "
            "(CRC-32)"
        )


def _as_packed(member: zipfile.ZipInfo) -> zipfile.ZipInfo:
    """The member as zipfile reads its packed bytes, with all its checks but that of the text."""
    packed = copy.copy(member)
    packed.compress_type = zipfile.ZIP_STORED
    packed.file_size = member.compress_size
    del packed.CRC
    return packed


def _deflate(file: IO[bytes]) -> Iterator[bytes]:
    unpacker = isal_zlib.decompressobj(-isal_zlib.MAX_WBITS)
    while not unpacker.eof and (packed := file.read(_DEFLATE_BYTES)):
        yield from texts(unpacker, packed)


def _deflate64(file: IO[bytes]) -> Iterator[bytes]:
    import inflate64

    unpacker = inflate64.Inflater()
    while not unpacker.eof and (packed := file.read(_DEFLATE64_BYTES)):
        try:
            yield unpacker.inflate(packed)
        except ValueError as e:
            raise zipfile.BadZipFile(f"the Deflate64 data is damaged: {e}") from e
