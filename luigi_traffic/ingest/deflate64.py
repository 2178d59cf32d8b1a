"""Members of a ZIP in Deflate64, as Windows packs files over 2 GB: Python's zipfile has none."""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Iterator
from typing import IO

#: The compression method in the directory of a ZIP.
DEFLATE64 = 9
#: Packed bytes taken at once: they unpack to some 16 MiB at most, which the limits then see.
_PACKED_BYTES = 16 << 10
_LOCAL_HEADER = struct.Struct("<4s2B4HL2L2H")


def inflated(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Iterator[bytes]:
    """The text of a member in Deflate64. Raises `zipfile.BadZipFile` for a damaged one."""
    import inflate64

    file = archive.fp
    if file is None:
        raise zipfile.BadZipFile("the archive is closed")
    file.seek(member.header_offset)
    begin = file.read(_LOCAL_HEADER.size)
    if len(begin) < _LOCAL_HEADER.size or begin[:4] != b"PK\x03\x04":
        raise zipfile.BadZipFile("its header is not where the directory says")
    name_bytes, extra_bytes = _LOCAL_HEADER.unpack(begin)[-2:]
    file.seek(name_bytes + extra_bytes, 1)
    unpacker, crc, size = inflate64.Inflater(), 0, 0
    for packed in _pieces(file, member.compress_size):
        try:
            text = unpacker.inflate(packed)
        except ValueError as e:
            raise zipfile.BadZipFile(f"the Deflate64 data is damaged: {e}") from e
        crc, size = zlib.crc32(text, crc), size + len(text)
        if text:
            yield text
    if not unpacker.eof:
        raise zipfile.BadZipFile("the Deflate64 data ends too early")
    if (crc, size) != (member.CRC, member.file_size):
        raise zipfile.BadZipFile("its text is not the one that was packed (CRC-32)")


def _pieces(file: IO[bytes], left: int) -> Iterator[bytes]:
    while left and (packed := file.read(min(_PACKED_BYTES, left))):
        left -= len(packed)
        yield packed
