from __future__ import annotations

import io
import random
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

import inflate64
import pytest

from luigi_traffic.errors import SourceError
from luigi_traffic.ingest.archive import Limits, opened_members

LIMITS = Limits(max_bytes=64 << 20, max_ratio=200.0)
TEXT = b"a,b\n1,2\n" * 100


def packed(*members: tuple[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, data in members:
            archive.writestr(zipfile.ZipInfo(name), data, method)
    return file.getvalue()


@contextmanager
def _one(file: IO[bytes], name: str, limits: Limits) -> Iterator[Iterator[bytes]]:
    with opened_members(file, name, limits) as members:
        yield next(members)[1]


def text_of(archive: bytes, limits: Limits = LIMITS) -> bytes:
    with _one(io.BytesIO(archive), "day.zip", limits) as chunks:
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
        with _one(file, "day.zip", LIMITS) as chunks:
            assert b"".join(chunks) == TEXT


@pytest.mark.parametrize(
    ("archive", "message"),
    [
        (b"", "an empty file"),
        (b"  <!DOCTYPE html><title>Login</title>", "HTML or XML page.*<!DOCTYPE html>"),
        (b"a,b\n1,2\n", "data that begins with b'a,b"),
        (packed(), "found 0: none"),
        (packed(("folder/", b"")), "found 0: none"),
        (packed(("a.csv", TEXT), ("b.csv", TEXT)), "found 2: 'a.csv', 'b.csv'.*members: "),
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


@pytest.mark.parametrize("level", [1, 6, 9])
def test_of_a_damaged_archive_nothing_is_read_that_zipfile_would_refuse(level: int) -> None:
    numbers = random.Random(level)
    text = b"".join(b"20240110,%04d,%d\n" % (n, numbers.randrange(10**6)) for n in range(9000))
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=level) as made:
        made.writestr("day.csv", text)
    whole, read, unlimited = file.getvalue(), 0, Limits(1 << 40, 1e9)
    for round in range(200):
        archive = bytearray(whole)
        # Every second time in the headers, of which not every bit matters.
        place = numbers.randrange(len(archive)) if round % 2 else numbers.randrange(-120, 40)
        archive[place] ^= 1 << numbers.randrange(8)
        try:
            found = text_of(bytes(archive), unlimited)
        except SourceError:
            continue
        read += 1
        with zipfile.ZipFile(io.BytesIO(archive)) as opened:
            assert found == opened.read(opened.infolist()[0]) == text
    assert 20 < read < 100


def test_a_text_that_ends_on_a_full_chunk() -> None:
    for size in (1 << 20, (1 << 20) + 1, 3 << 20):
        assert text_of(packed(("day.csv", bytes(size)))) == bytes(size)


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


def deflate64(text: bytes, said: bytes | None = None) -> bytearray:
    """An archive as Windows makes it of a file over 2 GB, which says that it holds `said`."""
    packer, said = inflate64.Deflater(), text if said is None else said
    data = packer.deflate(text) + packer.flush()
    archive = bytearray(packed(("day.csv", data), method=zipfile.ZIP_STORED))
    directory = archive.index(b"PK\x01\x02")
    for at in (8, directory + 10):
        archive[at : at + 2] = struct.pack("<H", 9)
    for at in (14, directory + 16):
        archive[at : at + 4] = struct.pack("<L", zlib.crc32(said))
    for at in (22, directory + 24):
        archive[at : at + 4] = struct.pack("<L", len(said))
    return archive


def test_deflate64() -> None:
    text = b"".join(b"20240101,0005,%d,50\n" % n for n in range(50_000))
    assert text_of(bytes(deflate64(text))) == text
    refused(bytes(deflate64(text, text[:-1] + b"x")), r"damaged or cut short: .*\(CRC-32\)")
    damaged = deflate64(text)
    damaged[2000:2100] = bytes(100)
    refused(bytes(damaged), "day.csv is damaged or cut short")
    refused(bytes(deflate64(bytes(40 << 20), b"")), "zip bomb|damaged")


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
    with _one(io.BytesIO(bomb(40 << 20)), "day.zip", LIMITS) as chunks:
        seen: list[int] = []
        with pytest.raises(SourceError, match="treated as a zip bomb"):
            seen.extend(map(len, chunks))
    assert sum(seen) <= 17 << 20


@pytest.mark.parametrize("declared", [1, 1000])
def test_a_bomb_that_lies_about_its_size_never_passes(declared: int) -> None:
    seen: list[int] = []

    def unpack() -> None:
        limits = Limits(1 << 20, 200.0)
        with _one(io.BytesIO(bomb(declared)), "day.zip", limits) as chunks:
            seen.extend(map(len, chunks))

    with pytest.raises(SourceError, match=r"zip bomb|damaged"):
        unpack()
    assert sum(seen) <= 1 << 20


def test_a_small_file_of_zeros_is_no_bomb() -> None:
    assert text_of(packed(("day.csv", bytes(10 << 20)))) == bytes(10 << 20)


SEVERAL = (
    ("data/b.CSV", b"b"), ("data/a.csv", b"a"), ("README.txt", b"about"), ("__MACOSX/c.csv", b"x"),
    ("자료.csv", b"k"),
)  # fmt: skip


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ("*.csv", [("data/a.csv", b"a"), ("data/b.CSV", b"b"), ("자료.csv", b"k")]),
        ("data/*", [("data/a.csv", b"a"), ("data/b.CSV", b"b")]),
        ("a.csv", [("data/a.csv", b"a")]),
        ("자*.csv", [("자료.csv", b"k")]),
    ],
)
def test_wanted_members_come_in_order_of_their_names(wanted: str, expected: list) -> None:
    with opened_members(io.BytesIO(packed(*SEVERAL)), "day.zip", LIMITS, wanted) as members:
        assert [(name, b"".join(chunks)) for name, chunks in members] == expected


def test_members_named_by_korean_windows() -> None:
    name = "울산.csv".encode("cp949")
    archive = packed(("x" * len(name), b"k"), ("about.txt", b"")).replace(b"x" * len(name), name)
    with opened_members(io.BytesIO(archive), "day.zip", LIMITS, "울*.csv") as members:
        assert [b"".join(chunks) for _, chunks in members] == [b"k"]


def test_no_member_is_as_wanted() -> None:
    with (
        pytest.raises(SourceError, match=r"no file .* matches .*'\*\.tsv'; it has 'data"),
        opened_members(io.BytesIO(packed(*SEVERAL)), "day.zip", LIMITS, "*.tsv"),
    ):
        pass


def test_members_are_limited_together() -> None:
    half = bytes(LIMITS.max_bytes // 2 + 1)
    archive = packed(("a.csv", half), ("b.csv", half), method=zipfile.ZIP_STORED)
    with (
        pytest.raises(SourceError, match=r"2 files says it unpacks to .* the limit is"),
        opened_members(io.BytesIO(archive), "day.zip", LIMITS, "*.csv"),
    ):
        pass


def test_a_member_that_was_not_read_is_checked_all_the_same() -> None:
    archive = packed(("a.csv", TEXT), ("b.csv", TEXT), method=zipfile.ZIP_STORED)
    damaged = archive.replace(b"1,2\n", b"1,3\n", 1)
    with (
        opened_members(io.BytesIO(damaged), "day.zip", LIMITS, "*.csv") as members,
        pytest.raises(SourceError, match=r"a\.csv is damaged"),
    ):
        list(members)
