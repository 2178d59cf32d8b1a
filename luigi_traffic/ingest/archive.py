"""Opening the text files inside an archive that nobody here has seen before."""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import IO

from luigi_traffic.api.inflate import CHUNK_BYTES
from luigi_traffic.errors import SourceError
from luigi_traffic.ingest.deflated import METHODS, inflated

#: Below this many bytes no ratio is suspicious: a small file of zeros is no bomb.
RATIO_FLOOR = 16 << 20
#: What zipfile makes of wrong numbers in headers has the last four types.
_DAMAGE = (
    zipfile.BadZipFile, zlib.error, EOFError, ValueError, OverflowError, struct.error, LookupError,
)  # fmt: skip
_ENCRYPTED = 0x1
_UTF8 = 0x800


@dataclass(frozen=True)
class Limits:
    """How much text an archive may hold: bytes in all, and times its packed size."""

    max_bytes: int
    max_ratio: float


@contextmanager
def opened_members(
    archive: IO[bytes], name: str, limits: Limits, wanted: str | None = None
) -> Iterator[Iterator[tuple[str, Iterator[bytes]]]]:
    """(name, bytes) of each wanted file inside a ZIP archive, in order of their names; none is
    ever written under its own name.

    `wanted` is a pattern of file names, for example *.csv; None: the archive must hold exactly one
    file. Raises `SourceError` for what is no archive, holds no such file, names a path outside (zip
    slip), is encrypted, is damaged, or unpacks to more than `limits` in all (zip bomb).
    """
    archive.seek(0)
    head = archive.read(256)
    archive.seek(0)
    try:
        opened = zipfile.ZipFile(archive)
    except _DAMAGE as e:
        raise SourceError(f"{name}: {_why_no_zip(head, e)}") from e
    with opened:
        members = _chosen(opened, name, wanted)
        if (said := sum(m.file_size for m in members)) > limits.max_bytes:
            what = members[0].filename if len(members) == 1 else f"{len(members)} files"
            raise SourceError(
                f"{name}: {what} says it unpacks to {said:,} bytes; the "
                f"limit is {limits.max_bytes:,} (setting ingest.max_bytes). Nothing was unpacked."
            )
        yield _each(opened, members, name, limits)


def _each(
    archive: zipfile.ZipFile, members: list[zipfile.ZipInfo], name: str, limits: Limits
) -> Iterator[tuple[str, Iterator[bytes]]]:
    left = limits.max_bytes
    for member in members:
        chunks = _limited(archive, member, name, Limits(left, limits.max_ratio))
        yield member.filename, chunks
        for _ in chunks:  # what was not asked for is checked all the same
            pass
        left -= member.file_size


def _why_no_zip(head: bytes, error: Exception) -> str:
    start = head.lstrip()[:60]
    if start[:1] == b"<":
        return f"expected a ZIP archive, got an HTML or XML page that begins with {start!r}"
    if head[:4] == b"PK\x03\x04":
        return f"the ZIP archive is cut short: {error}. Download it again"
    if not head:
        return "expected a ZIP archive, got an empty file"
    return f"expected a ZIP archive, got data that begins with {start!r}"


def _chosen(archive: zipfile.ZipFile, name: str, wanted: str | None) -> list[zipfile.ZipInfo]:
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
    shown = ", ".join(repr(m.filename) for m in members[:5]) or "none"
    if wanted is None and len(members) != 1:
        raise SourceError(
            f"{name}: expected one file in the archive, found {len(members)}: {shown}. If some are "
            "wanted, name them by a pattern: members: '*.csv' (members=\"*.csv\" in Python)"
        )
    if wanted is not None:
        members = sorted(
            (m for m in members if _matches(m, wanted.lower())), key=lambda m: m.filename
        )
        if not members:
            raise SourceError(
                f"{name}: no file in the archive matches members: {wanted!r}; it has {shown}"
            )
    for member in members:
        if member.flag_bits & _ENCRYPTED:
            raise SourceError(f"{name}: {member.filename} is encrypted; no password is known")
    return members


def _matches(member: zipfile.ZipInfo, wanted: str) -> bool:
    """Whether its path, or the last part of it, matches, in lower case."""
    names = [member.filename]
    if not member.flag_bits & _UTF8 and not member.filename.isascii():
        # Korean Windows writes CP949, which zipfile reads as CP437.
        names.append(member.filename.encode("cp437", "replace").decode("cp949", "replace"))
    return any(
        fnmatchcase(part, wanted) for n in names for part in (n.lower(), n.lower().split("/")[-1])
    )


def _limited(
    archive: zipfile.ZipFile, member: zipfile.ZipInfo, name: str, limits: Limits
) -> Iterator[bytes]:
    # The sizes an archive declares may lie: count what really comes out.
    most = min(limits.max_bytes, max(RATIO_FLOOR, int(member.compress_size * limits.max_ratio)))
    seen = 0
    for chunk in _unpacked(archive, member, name):
        seen += len(chunk)
        if seen > most:
            raise SourceError(
                f"{name}: {member.filename} unpacks {member.compress_size:,} bytes to more than "
                f"{most:,}: it is treated as a zip bomb (settings ingest.max_ratio, "
                "ingest.max_bytes)"
            )
        yield chunk


def _unpacked(archive: zipfile.ZipFile, member: zipfile.ZipInfo, name: str) -> Iterator[bytes]:
    try:
        if member.compress_type in METHODS:
            yield from inflated(archive, member)
            return
        with archive.open(member) as file:
            while chunk := file.read(CHUNK_BYTES):
                yield chunk
    except _DAMAGE as e:
        why = str(e) or "it ends too early"
        raise SourceError(f"{name}: {member.filename} is damaged or cut short: {why}") from e
    except NotImplementedError as e:
        raise SourceError(f"{name}: {member.filename} is packed in an unknown way: {e}") from e
