"""The data lines of a text that comes in chunks, without its header line and byte-order mark."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

from luigi_traffic.errors import DataError

_BOM = b"\xef\xbb\xbf"
_LONGEST_LINE = 1 << 20


class DataLines:
    """Takes the text of one or several files apart.

    Header lines (as `is_header` decides of the first line of each file) are taken out
    and kept in `header`; `lines` counts the data lines, `text_bytes` all text.
    """

    def __init__(self, is_header: Callable[[str], bool]) -> None:
        self._is_header = is_header
        self.header: str | None = None
        self.first_line = ""
        self.lines = 0
        self.text_bytes = 0

    def blocks(self, name: str, chunks: Iterator[bytes]) -> Iterator[bytes]:
        """The data lines of one file in blocks that end with LF.

        Raises `DataError` for what is not UTF-8 text in lines.
        """
        for number, block in enumerate(_blocks(name, chunks)):
            self.text_bytes += len(block)
            if number == 0:
                block = self._without_header(name, block)
            if not block:
                continue
            if self.lines == 0:
                self.first_line = _first_line(block)
            self.lines += _count_lines(block)
            yield block

    def _without_header(self, name: str, block: bytes) -> bytes:
        text = _first_line(block)
        try:
            is_header = self._is_header(text)
        except DataError as e:
            raise DataError(f"{name}: {e}") from e
        if not is_header:
            return block
        if self.header not in (None, text):
            raise DataError(
                f"{name}: its header {text!r} differs from the first file's, {self.header!r}"
            )
        self.header = text
        return block.partition(b"\n")[2]


def _first_line(block: bytes) -> str:
    return block.partition(b"\n")[0].decode("utf-8").rstrip("\r")


def _blocks(name: str, chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The chunks again, each ending with a line's end, checked to be UTF-8 text."""
    rest = b""
    done = 0
    for chunk in _with_checked_start(name, chunks):
        end = chunk.rfind(b"\n") + 1
        block = b"".join((rest, memoryview(chunk)[:end])) if end else b""
        rest = chunk[end:] if end else rest + chunk
        if len(rest) > _LONGEST_LINE:
            raise DataError(
                f"{name}: no line end within {_LONGEST_LINE:,} bytes after byte {done:,}: "
                "expected a text table with one row per line"
            )
        if block:
            yield _checked(name, block, done)
            done += len(block)
    if rest:
        yield _checked(name, rest + b"\n", done)


def _with_checked_start(name: str, chunks: Iterator[bytes]) -> Iterator[bytes]:
    first = b""
    for chunk in chunks:
        first += chunk
        if len(first) >= 4:
            break
    if first[:2] in (b"\xff\xfe", b"\xfe\xff") or b"\x00" in first[:1024]:
        raise DataError(
            f"{name}: the text is UTF-16 or binary (it begins {first[:8]!r}); expected UTF-8. "
            "Convert it, for example: iconv -f UTF-16 -t UTF-8"
        )
    yield first.removeprefix(_BOM)
    yield from chunks


def _checked(name: str, block: bytes, offset: int) -> bytes:
    if block.isascii():  # six times as fast as decoding it
        return block
    try:
        block.decode("utf-8")
    except UnicodeDecodeError as e:
        bad = block[e.start : e.start + 8]
        raise DataError(
            f"{name}: byte {offset + e.start:,} is not UTF-8 ({bad!r}). Convert Korean files in "
            "CP949 with: iconv -f CP949 -t UTF-8"
        ) from e
    return block


def _count_lines(text: bytes) -> int:
    numpy = _numpy()
    if numpy is None:
        return text.count(b"\n")
    # In a sixth of the time.
    return int(numpy.count_nonzero(numpy.frombuffer(text, numpy.uint8) == ord("\n")))


@cache
def _numpy() -> Any:
    """numpy, if it is there: it comes with the engines, and raw needs none."""
    try:
        import numpy
    except ModuleNotFoundError:
        return None
    return numpy
