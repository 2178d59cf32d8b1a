"""Text into the lake as gzip pieces that end where a line ends, in flat memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress

from isal import igzip_threaded

from luigi_traffic.errors import DataError
from luigi_traffic.lake.attempt import Attempt
from luigi_traffic.lake.store import ObjectStore

_BOM = b"\xef\xbb\xbf"
_LONGEST_LINE = 1 << 20
#: Level 2 of isal packs a tenth smaller than level 1 of zlib, in a quarter of the time.
_LEVEL = 2


class PieceWriter:
    """Cuts the text of one or several files into pieces of an attempt.

    Header lines (as `is_header` decides of the first line of each file) are taken out
    and kept in `header`; `lines` counts the data lines, `text_bytes` all text.
    """

    def __init__(
        self,
        store: ObjectStore,
        attempt: Attempt,
        piece_bytes: int,
        is_header: Callable[[str], bool],
    ) -> None:
        self._store = store
        self._attempt = attempt
        self._piece_bytes = piece_bytes
        self._is_header = is_header
        self._piece: _Piece | None = None
        self.keys: list[str] = []
        self.header: str | None = None
        self.first_line = ""
        self.lines = 0
        self.text_bytes = 0

    def write(self, name: str, chunks: Iterator[bytes]) -> None:
        """All text of one file. Raises `DataError` for what is not UTF-8 text in lines."""
        for number, block in enumerate(_blocks(name, chunks)):
            self.text_bytes += len(block)
            if number == 0:
                block = self._without_header(name, block)
            if not block:
                continue
            if self.lines == 0:
                self.first_line = _first_line(block)
            self.lines += block.count(b"\n")
            if self._piece is None:
                key = self._attempt.key(f"piece-{len(self.keys):05d}.csv.gz")
                self._piece = _Piece(self._store, key)
                self.keys.append(key)
            if self._piece.write(block) >= self._piece_bytes:
                self._end_piece()

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

    def close(self) -> None:
        """End the last piece."""
        self._end_piece()

    def _end_piece(self) -> None:
        if self._piece is not None:
            self._piece.close()
            self._piece = None

    def abandon(self) -> None:
        """Drop the piece being written (the caller discards the finished ones)."""
        if self._piece is not None:
            self._piece.abandon()
            self._piece = None


class _Piece:
    """One gzip object of the lake, packed and written by a thread of its own."""

    def __init__(self, store: ObjectStore, key: str) -> None:
        self._stack = ExitStack()
        file = self._stack.enter_context(store.writer(key))
        self._gzip = igzip_threaded.open(  # type: ignore[no-untyped-call]
            file, "wb", _LEVEL, threads=1
        )
        self._size = 0

    def write(self, block: bytes) -> int:
        self._gzip.write(block)
        self._size += len(block)
        return self._size

    def close(self) -> None:
        with self._stack:
            self._gzip.close()

    def abandon(self) -> None:
        with suppress(Exception):  # it ends the thread; why the thread failed is known already
            self._gzip.close()
        error = InterruptedError("abandoned")
        try:
            self._stack.__exit__(InterruptedError, error, None)
        except InterruptedError as e:
            if e is not error:
                raise


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
