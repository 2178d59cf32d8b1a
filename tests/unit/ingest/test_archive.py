from __future__ import annotations

import io
import struct
import zipfile
import zlib

import pytest

from luigi_traffic.errors import SourceError
from luigi_traffic.ingest.archive import Limits, only_member

LIMITS = Limits(max_bytes=64 << 20, max_ratio=200.0)
TEXT = b"a,b\n1,2\n" * 100


def packed(*members: tuple[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, data in members:
            archive.writestr(zipfile.ZipInfo(name), data, method)
    return file.getvalue()


def text_of(archive: bytes, limits: Limits = LIMITS) -> bytes:
    with only_member(io.BytesIO(archive), "day.zip", limits) as chunks:
        return b"".join(chunks)


def refused(archive: bytes, message: str, limits: Limits = LIMITS) -> None:
    with pytest.raises(SourceError, match=rf"^day\.zip: (.|\n)*{message}"):
        text_of(archive, limits)


@pytest.mark.parametrize(
    "members",
    [
        [("day.csv", TEXT)],
        [("2012/03/day.csv", TEXT)],
        [("2012/", b""), ("2012/day.csv", TEXT)],
        [("day.csv", TEXT), ("__MACOSX/._day.csv", b"junk")],
        [("울산..csv", TEXT)],
    ],
)
def test_the_one_file_is_found(members: list[tuple[str, bytes]]) -> None:
    assert text_of(packed(*members)) == TEXT
    assert text_of(packed(*members, method=zipfile.ZIP_STORED)) == TEXT


def test_it_may_be_read_twice_from_anywhere() -> None:
    file = io.BytesIO(packed(("a", TEXT)))
    file.seek(5)
    for _ in range(2):
        with only_member(file, "day.zip", LIMITS) as chunks:
            assert b"".join(chunks) == TEXT


@pytest.mark.parametrize(
    ("archive", "message"),
    [
        (b"", "an empty file"),
        (b"  <!DOCTYPE html><title>Login</title>", "HTML or XML page.*<!DOCTYPE html>"),
        (b"a,b\n1,2\n", "data that begins with b'a,b"),
        (packed(), "found 0: none"),
        (packed(("folder/", b"")), "found 0: none"),
        (packed(("a.csv", TEXT), ("b.csv", TEXT)), "found 2: 'a.csv', 'b.csv'"),
        (packed(("../a.csv", TEXT)), "outside itself"),
        (packed(("x/../../a.csv", TEXT)), "outside itself"),
        (packed(("/etc/passwd", TEXT)), "outside itself"),
        (packed(("..\\a.csv", TEXT)), "outside itself"),
        (packed(("C:\\a.csv", TEXT)), "outside itself"),
        (packed(("day.csv", TEXT), ("../", b"")), "outside itself"),
    ],
)
def test_what_is_not_one_file_in_an_archive(archive: bytes, message: str) -> None:
    refused(archive, message)


def test_an_archive_cut_short_anywhere() -> None:
    whole = packed(("day.csv", bytes(range(256)) * 400))
    for length in range(4, len(whole), max(1, len(whole) // 40)):
        refused(whole[:length], "cut short")


def test_a_damaged_member() -> None:
    # Stored, so that the wrong byte passes the decompressor and only the checksum tells.
    archive = bytearray(packed(("day.csv", TEXT), method=zipfile.ZIP_STORED))
    archive[60] ^= 1
    refused(bytes(archive), "damaged or cut short.*CRC")
    broken = bytearray(packed(("day.csv", TEXT * 50)))
    broken[40:60] = bytes(20)
    refused(bytes(broken), "damaged or cut short")


def test_an_encrypted_member() -> None:
    archive = bytearray(packed(("day.csv", TEXT)))
    directory = archive.index(b"PK\x01\x02")
    archive[6] |= 1
    archive[directory + 8] |= 1
    refused(bytes(archive), "encrypted")


def test_a_packing_nobody_knows() -> None:
    archive = bytearray(packed(("day.csv", TEXT)))
    directory = archive.index(b"PK\x01\x02")
    archive[8:10] = archive[directory + 10 : directory + 12] = struct.pack("<H", 97)
    refused(bytes(archive), "packed in an unknown way")


def test_a_declared_size_over_the_limit_is_refused_unread() -> None:
    refused(packed(("day.csv", TEXT)), "Nothing was unpacked", Limits(100, 200.0))


def bomb(declared: int) -> bytes:
    """40 MB of zeros that say they are `declared` bytes."""
    data = bytes(40 << 20)
    archive = bytearray(packed(("day.csv", data)))
    directory = archive.index(b"PK\x01\x02", 30)
    for offset in (22, directory + 24):
        archive[offset : offset + 4] = struct.pack("<I", declared)
    assert zlib.crc32(data) == struct.unpack_from("<I", archive, 14)[0]
    return bytes(archive)


def test_a_bomb_is_stopped_by_its_ratio() -> None:
    with only_member(io.BytesIO(bomb(40 << 20)), "day.zip", LIMITS) as chunks:
        seen: list[int] = []
        with pytest.raises(SourceError, match="treated as a zip bomb"):
            seen.extend(map(len, chunks))
    assert sum(seen) <= 17 << 20


@pytest.mark.parametrize("declared", [1, 1000])
def test_a_bomb_that_lies_about_its_size_never_passes(declared: int) -> None:
    seen: list[int] = []

    def unpack() -> None:
        limits = Limits(1 << 20, 200.0)
        with only_member(io.BytesIO(bomb(declared)), "day.zip", limits) as chunks:
            seen.extend(map(len, chunks))

    with pytest.raises(SourceError, match=r"zip bomb|damaged"):
        unpack()
    assert sum(seen) <= 1 << 20


def test_a_small_file_of_zeros_is_no_bomb() -> None:
    assert text_of(packed(("day.csv", bytes(10 << 20)))) == bytes(10 << 20)
