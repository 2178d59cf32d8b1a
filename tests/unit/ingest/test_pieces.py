from __future__ import annotations

import errno
import gzip
import random
import tempfile
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import IO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from luigi_traffic.errors import DataError, StoreError
from luigi_traffic.ingest.data_lines import DataLines
from luigi_traffic.ingest.pieces import PieceWriter
from luigi_traffic.lake.attempt import Attempt
from luigi_traffic.lake.local import LocalStore

ATTEMPT = Attempt("raw/tiny/2012-03-28/0123456789ab/")
HEADER = "time,link,speed"


def is_header(line: str) -> bool:
    return line == HEADER


def write(
    store: LocalStore, text: DataLines, files: Iterable[Iterable[bytes]], piece_bytes: int
) -> list[str]:
    """The keys of the pieces of all files, which are `file0` and so on."""
    writer = PieceWriter(store, ATTEMPT, piece_bytes)
    try:
        for number, chunks in enumerate(files):
            for block in text.blocks(f"file{number}", iter(chunks)):
                writer.write(block)
        writer.close()
    finally:
        writer.abandon()
    return writer.keys


def written(
    folder: Path, files: Iterable[Iterable[bytes]], piece_bytes: int = 1 << 20
) -> tuple[DataLines, list[bytes]]:
    """What is known of all files, and the content of their pieces."""
    store, text = LocalStore(folder), DataLines(is_header)
    keys = write(store, text, files, piece_bytes)
    assert [info.key for info in store.list("")] == keys
    return text, [gzip.decompress(store.read(key)) for key in keys]


def cut(text: bytes, ends: list[int]) -> list[bytes]:
    places = sorted({0, len(text), *(end % (len(text) + 1) for end in ends)})
    return [text[a:b] for a, b in pairwise(places)]


lines = st.lists(
    st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=12), min_size=1, max_size=40
)


@settings(max_examples=150, deadline=None)
@given(
    rows=lines,
    header=st.booleans(),
    bom=st.booleans(),
    newline=st.sampled_from(["\n", "\r\n"]),
    ended=st.booleans(),
    ends=st.lists(st.integers(0, 10_000), max_size=30),
    piece_bytes=st.integers(1, 200),
)
def test_pieces_hold_all_lines_whole_however_the_bytes_come(
    rows: list[str], header: bool, bom: bool, newline: str, ended: bool, ends: list[int],
    piece_bytes: int,
) -> None:  # fmt: skip
    rows = [row or "-" for row in rows]
    rows[0] = "8:00," + rows[0].replace("\ufeff", "")
    body = newline.join(rows) + (newline if ended else "")
    text = (HEADER + newline if header else "") + body
    data = (b"\xef\xbb\xbf" if bom else b"") + text.encode()
    with tempfile.TemporaryDirectory() as folder:
        writer, pieces = written(Path(folder), [cut(data, ends)], piece_bytes)
    assert all(piece.endswith(b"\n") for piece in pieces)
    whole = b"".join(pieces).decode()
    assert whole == (body if body.endswith("\n") else body + "\n")
    assert writer.lines == len(rows) == whole.count("\n")
    assert writer.header == (HEADER if header else None)
    assert writer.first_line == rows[0]


def test_pieces_are_cut_at_the_wanted_size(tmp_path: Path) -> None:
    rows = [b"%06d\n" % n for n in range(1000)]
    writer, pieces = written(tmp_path, [rows], piece_bytes=700)
    assert [len(piece) for piece in pieces] == [700] * 10
    assert (writer.lines, writer.text_bytes) == (1000, 7000)


def test_a_header_in_each_file_is_taken_out(tmp_path: Path) -> None:
    head = HEADER.encode()
    writer, pieces = written(tmp_path, [[head + b"\n1\n"], [head + b"\r\n2"], [b"3\n"]])
    assert b"".join(pieces) == b"1\n2\n3\n"
    assert (writer.header, writer.first_line, writer.lines) == (HEADER, "1", 3)


def test_files_with_different_headers_are_refused(tmp_path: Path) -> None:
    text = DataLines(lambda line: "," in line)
    files = [[b"link,speed\n1;2\n"], [b"speed,link\n2;1\n"]]
    with pytest.raises(DataError, match="file1: its header 'speed,link'"):
        write(LocalStore(tmp_path), text, files, 100)


def test_a_file_of_nothing_and_one_of_a_header_alone(tmp_path: Path) -> None:
    for content in ([], [b""], [b"", b""]):
        writer, pieces = written(tmp_path, [content])
        assert (pieces, writer.lines, writer.header) == ([], 0, None)
    writer, pieces = written(tmp_path, [[HEADER.encode()]])
    assert (pieces, writer.lines, writer.header, writer.first_line) == ([], 0, HEADER, "")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("a,b\n1,2\n".encode("utf-16"), "UTF-16 or binary"),
        ("a,b\n1,2\n".encode("utf-16-be"), "UTF-16 or binary"),
        ("a,b\n1,2\n".encode("utf-16-le"), "UTF-16 or binary"),
        ("울산,1\n".encode("cp949"), r"byte 0 is not UTF-8.*iconv -f CP949"),
        (b"a,b\n1,\xff\n", "byte 6 is not UTF-8"),
        (b"x" * (2 << 20), "no line end within"),
    ],
)
def test_what_is_no_utf8_table_is_refused_by_name(
    tmp_path: Path, data: bytes, message: str
) -> None:
    for chunks in ([data], [data[:5], data[5:]]):
        store = LocalStore(tmp_path)
        with pytest.raises(DataError, match=f"^file0: (.|\n)*{message}"):
            write(store, DataLines(is_header), [chunks], 100)
        assert list(store.list("")) == []


def test_a_character_cut_in_two_is_whole_again(tmp_path: Path) -> None:
    data = "울산\n".encode()
    _, pieces = written(tmp_path, [[data[n : n + 1] for n in range(len(data))]])
    assert pieces == [data]


def test_an_unknown_first_line_is_refused_with_the_files_name(tmp_path: Path) -> None:
    def refuse(line: str) -> bool:
        raise DataError(f"neither header nor row: {line!r}")

    with pytest.raises(DataError, match="file0: neither header nor row: 'x'"):
        write(LocalStore(tmp_path), DataLines(refuse), [[b"x\n"]], 100)


def test_an_abandoned_piece_leaves_nothing(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    writer = PieceWriter(store, ATTEMPT, 1 << 20)
    writer.write(b"1\n")
    writer.abandon()
    writer.abandon()
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == []


class FullStore(LocalStore):
    """A store whose disk is full after some bytes."""

    @contextmanager
    def writer(self, key: str) -> Iterator[IO[bytes]]:
        with super().writer(key) as file:
            yield _Full(file)  # type: ignore[misc]


class _Full:
    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._left = 1000

    def write(self, data: bytes) -> int:
        self._left -= len(data)
        if self._left < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        return self._file.write(data)

    def flush(self) -> None:
        self._file.flush()


def test_a_disk_that_is_full_is_reported_and_leaves_nothing(tmp_path: Path) -> None:
    threads = threading.active_count()
    noise = random.Random(0)
    for lines in (1, 200):  # it shows at the piece's end, or amid the writing
        text = [noise.randbytes(50_000).hex().encode() + b"\n" for _ in range(lines)]
        with pytest.raises((OSError, StoreError), match=r"[Nn]o space left"):
            write(FullStore(tmp_path), DataLines(is_header), [text], lines * 100_001)
        assert [p for p in tmp_path.rglob("*") if p.is_file()] == []
    assert threading.active_count() == threads
