from __future__ import annotations

import gzip
import random
from collections.abc import Iterator

import pytest

from luigi_traffic.errors import SourceError
from luigi_traffic.ingest.archive import Limits
from luigi_traffic.ingest.gzipped import gunzipped

LIMITS = Limits(max_bytes=64 << 20, max_ratio=200.0)
TEXT = b"".join(b"%d,%d\n" % (n, n * n) for n in range(50_000))


def chunks(data: bytes, size: int) -> Iterator[bytes]:
    return (data[at : at + size] for at in range(0, len(data), size))


def text_of(data: bytes, size: int = 1000, limits: Limits = LIMITS) -> bytes:
    return b"".join(gunzipped(chunks(data, size), "day.csv.gz", limits))


@pytest.mark.parametrize("size", [1, 7, 1 << 20])
def test_one_member_and_several(size: int) -> None:
    short = TEXT[:3000]
    assert text_of(gzip.compress(short), size) == short
    assert text_of(gzip.compress(short[:10]) + gzip.compress(short[10:]), size) == short
    assert text_of(gzip.compress(short) + bytes(512), size) == short
    assert text_of(gzip.compress(b""), size) == b""


def test_a_long_text_comes_in_pieces() -> None:
    assert text_of(gzip.compress(TEXT)) == TEXT
    assert max(map(len, gunzipped(chunks(gzip.compress(TEXT), 1 << 20), "x", LIMITS))) <= 1 << 20


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "expected gzip, got an empty file"),
        (b"a,b", "expected gzip, got data that begins with b'a,b'"),
        (b"<html>sorry</html>", "expected gzip, got data that begins with b'<html>"),
        (gzip.compress(TEXT, mtime=0)[:-20], "cut short. Download it again"),
        (gzip.compress(TEXT, mtime=0)[:5], "expected gzip|cut short"),
        (
            gzip.compress(TEXT, mtime=0)[:30_000]
            + b"x" * 500
            + gzip.compress(TEXT, mtime=0)[30_500:],
            "damaged",
        ),
        (gzip.compress(TEXT, mtime=0) + b"trailing", "damaged"),
    ],
)
def test_what_is_no_whole_gzip(data: bytes, told: str) -> None:
    with pytest.raises(SourceError, match=told) as caught:
        text_of(data)
    assert str(caught.value).startswith("day.csv.gz: ")


def test_damage_after_some_text_is_called_damage() -> None:
    data = bytearray(gzip.compress(TEXT, mtime=0))
    data[-6] ^= 1
    with pytest.raises(SourceError, match="the gzip data is damaged"):
        text_of(bytes(data), 1 << 20)


@pytest.mark.parametrize("size", [100, 1 << 20])
def test_zeros_come_whole_however_they_are_cut(size: int) -> None:
    limits = Limits(max_bytes=64 << 20, max_ratio=2000.0)
    assert text_of(gzip.compress(bytes(5 << 20)), size, limits) == bytes(5 << 20)


def test_a_bomb_is_stopped_early() -> None:
    bomb = gzip.compress(bytes(64 << 20))
    given: list[int] = []
    with pytest.raises(SourceError, match="treated as a bomb"):
        given.extend(map(len, gunzipped(iter([bomb]), "day.csv.gz", LIMITS)))
    assert sum(given) <= 16 << 20
    noise = gzip.compress(random.Random(0).randbytes(5000))
    with pytest.raises(SourceError, match="more than 4,000"):
        text_of(noise, limits=Limits(max_bytes=4000, max_ratio=200.0))
