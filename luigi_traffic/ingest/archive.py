"""Opening the one text file inside an archive that nobody here has seen before."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO

from luigi_traffic.errors import SourceError

CHUNK_BYTES = 1 << 20
#: Below this many bytes no ratio is suspicious: a small file of zeros is no bomb.
RATIO_FLOOR = 16 << 20
_ENCRYPTED = 0x1


@dataclass(frozen=True)
class Limits:
    """How much text an archive may hold: bytes in all, and times its packed size."""

    max_bytes: int
    max_ratio: float


@contextmanager
def only_member(archive: IO[bytes], name: str, limits: Limits) -> Iterator[Iterator[bytes]]:
    """The bytes of the single file inside a ZIP archive, never written under its own name.

    Raises `SourceError` for what is no archive, holds none or several files, names a path
    outside (zip slip), is encrypted, is damaged, or unpacks to more than `limits` (zip bomb).
    """
    archive.seek(0)
    head = archive.read(256)
    archive.seek(0)
    try:
        opened = zipfile.ZipFile(archive)
    except zipfile.BadZipFile as e:
        raise SourceError(f"{name}: {_why_no_zip(head, e)}") from e
    with opened:
        member = _single(opened, name)
        if member.file_size > limits.max_bytes:
            raise SourceError(
                f"{name}: {member.filename} says it unpacks to {member.file_size:,} bytes; the "
                f"limit is {limits.max_bytes:,} (setting ingest.max_bytes). Nothing was unpacked."
            )
        try:
            with opened.open(member) as file:
                yield _limited(file, member, name, limits)
        except (zipfile.BadZipFile, zlib.error, EOFError) as e:
            raise SourceError(f"{name}: {member.filename} is damaged or cut short: {e}") from e
        except NotImplementedError as e:
            raise SourceError(f"{name}: {member.filename} is packed in an unknown way: {e}") from e


def _why_no_zip(head: bytes, error: Exception) -> str:
    start = head.lstrip()[:60]
    if start[:1] == b"<":
        return f"expected a ZIP archive, got an HTML or XML page that begins with {start!r}"
    if head[:4] == b"PK\x03\x04":
        return f"the ZIP archive is cut short: {error}. Download it again"
    if not head:
        return "expected a ZIP archive, got an empty file"
    return f"expected a ZIP archive, got data that begins with {start!r}"


def _single(archive: zipfile.ZipFile, name: str) -> zipfile.ZipInfo:
    for info in archive.infolist():
        path = info.orig_filename.replace("\\", "/")
        if path.startswith("/") or ".." in path.split("/") or path[1:2] == ":":
            raise SourceError(
                f"{name}: the archive names a file outside itself ({info.orig_filename!r}): refused"
            )
    members = [
        info
        for info in archive.infolist()
        if not info.is_dir() and not info.filename.startswith("__MACOSX/")
    ]
    if len(members) != 1:
        shown = ", ".join(repr(m.filename) for m in members[:5]) or "none"
        raise SourceError(
            f"{name}: expected one file in the archive, found {len(members)}: {shown}"
        )
    if members[0].flag_bits & _ENCRYPTED:
        raise SourceError(f"{name}: {members[0].filename} is encrypted; no password is known")
    return members[0]


def _limited(
    file: IO[bytes], member: zipfile.ZipInfo, name: str, limits: Limits
) -> Iterator[bytes]:
    # The sizes an archive declares may lie: count what really comes out.
    most = min(limits.max_bytes, max(RATIO_FLOOR, int(member.compress_size * limits.max_ratio)))
    seen = 0
    while chunk := file.read(CHUNK_BYTES):
        seen += len(chunk)
        if seen > most:
            raise SourceError(
                f"{name}: {member.filename} unpacks {member.compress_size:,} bytes to more than "
                f"{most:,}: it is treated as a zip bomb (settings ingest.max_ratio, "
                "ingest.max_bytes)"
            )
        yield chunk
