"""One day cut out of files that hold many, as they stream by."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from pathlib import Path
from typing import Any

from luigi_traffic.api.source import Source, Stream
from luigi_traffic.errors import DataError, SourceAbsent

#: From the text of a line, without its line feed, to its day; None for a line that has none.
DayOf = Callable[[bytes], date | None]
_BOM = b"\xef\xbb\xbf"
_LONGEST_LINE = 1 << 20
#: Bytes of lines without a day that may wait for the first line that has one.
_MOST_WAITING = 1 << 20
#: Part of the recipe: raised when the same file is cut otherwise.
_VERSION = "2"


class ManyDays(Source):
    """The lines of one day, out of the files of another source that hold many days.

    files    the source of the whole files, for example Files("/data/2024.csv") or Http(…)
    day_of   from a line, as bytes without its line feed, to its day. None, a ValueError or an
             IndexError: it cannot be read. Raise `source_version` of the dataset when you change it
    header   whether the first line of each file is a header, which stays above the day's lines

    Blank lines are dropped. A line whose day cannot be read is taken to the day of the line
    above it: bronze rejects it, so that it is counted once. A day that has no line is absent.
    """

    def __init__(self, files: Source, *, day_of: DayOf, header: bool = False) -> None:
        self.files = files
        self.day_of = day_of
        self.header = header

    def recipe(self) -> dict[str, Any]:
        """That of the files, and that a day is cut out of them."""
        return self.files.recipe() | {"header": self.header, **cut_recipe()}

    def address(self) -> dict[str, Any]:
        """That of the files."""
        return self.files.address()

    def look(self, day: date) -> list[Mapping[str, str | int]] | None:
        """What is said of the files."""
        return self.files.look(day)

    def keep_parts(self, folder: Path) -> None:
        """Of the files."""
        self.files.keep_parts(folder)

    @contextmanager
    def open(self, day: date) -> Iterator[Iterator[Stream]]:
        """A stream a file. `SourceAbsent` if no file is there, or none has a row of the day."""
        with self.files.open(day) as streams:
            yield cut_out(streams, day, lambda first: self._readable, header=self.header)

    def _readable(self, line: bytes) -> date | None:
        try:
            return self.day_of(line)
        except (ValueError, IndexError):  # what strptime, int and a short line raise
            return None


def cut_recipe() -> dict[str, str]:
    """What the recipe of a source says of the cutting itself."""
    return {"cut": _VERSION}


def cut_out(
    streams: Iterator[Stream], day: date, reader: Callable[[bytes], DayOf], *, header: bool
) -> Iterator[Stream]:
    """The streams with the lines of that day alone; `reader` makes a `DayOf` of a first line.

    Ends with `SourceAbsent` if they had none.
    """
    cut = _Cut(day, reader, header)
    for stream in streams:
        yield replace(
            stream, edit=_then(stream.edit, cut.lines), modified=cut.modified(stream.modified)
        )
    if not cut.found and not cut.undated:
        had = f"from {cut.first} to {cut.last}" if cut.first else "none at all"
        raise SourceAbsent(f"no row belongs to {day}; the rows are {had}")


def _then(
    first: Callable[[Iterator[bytes]], Iterator[bytes]] | None,
    second: Callable[[Iterator[bytes]], Iterator[bytes]],
) -> Callable[[Iterator[bytes]], Iterator[bytes]]:
    return (lambda chunks: second(first(chunks))) if first else second


@dataclass
class _Cut:
    """Passes on the lines of one day, in flat memory."""

    day: date
    reader: Callable[[bytes], DayOf]
    header: bool
    first: date | None = None
    last: date | None = None
    #: Whether there was a line of the day.
    found: bool = False
    #: Whether lines were passed on of a file in which no day could be read.
    undated: bool = False
    #: Whether the file at hand had a row of a later day: then it is whole for this one, though
    #: it may still grow.
    over: bool = False
    #: Of the file at hand: the day of the last line that had one, and the lines before the first.
    above: date | None = None
    waiting: list[bytes] = field(default_factory=list)

    def modified(
        self, of_file: Callable[[], datetime | None] | None
    ) -> Callable[[], datetime | None] | None:
        """When what matters to this day was last changed."""
        return (lambda: None if self.over else of_file()) if of_file else None

    def lines(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        """Of one file: its header if it has one, and the day's lines."""
        self.over, self.above, self.waiting = False, None, []
        day_of: DayOf | None = None
        for block, ended in _whole_lines(chunks):
            kept, lines = [], block.split(b"\n")
            if day_of is None:
                lines[0] = lines[0].removeprefix(_BOM)
                day_of = self.reader(lines[0])
                if self.header:
                    kept.append(lines.pop(0))
            self._sort(lines, day_of, kept, ended)
            if kept:
                yield b"\n".join([*kept, b""])
        if self.waiting:  # no day can be read: bronze shall say so, with an example
            self.undated = True
            yield b"\n".join([*self.waiting, b""])

    def _sort(self, lines: list[bytes], day_of: DayOf, kept: list[bytes], ended: bool) -> None:
        """Add the day's lines to `kept`."""
        for line in lines:
            if not line or line == b"\r":
                continue
            day = day_of(line)
            if day is not None:
                if self.waiting:
                    kept += self.waiting if day == self.day else ()
                    self.waiting = []
                if day != self.above:
                    self._note(day)
            elif not ended and self.over:
                continue  # what a writer has written so far of its next line
            elif self.above is None:
                self.waiting.append(line)
                continue
            if self.above == self.day:
                kept.append(line)
        if sum(map(len, self.waiting)) > _MOST_WAITING:
            kept += self.waiting
            self.waiting, self.undated = [], True

    def _note(self, day: date) -> None:
        self.above = day
        self.found = self.found or day == self.day
        self.over = self.over or day > self.day
        self.first = min(self.first or day, day)
        self.last = max(self.last or day, day)


def _whole_lines(chunks: Iterator[bytes]) -> Iterator[tuple[bytes, bool]]:
    """The chunks again, each ending where a line ends, without its last line feed.

    False with the last line of a file that does not end it.
    """
    rest = b""
    for chunk in chunks:
        head, newline, tail = (rest + chunk).rpartition(b"\n")
        if newline:
            yield head, True
        rest = tail
        if len(rest) > _LONGEST_LINE:
            raise DataError(
                f"no line end within {_LONGEST_LINE:,} bytes: expected a text table with one row "
                "per line"
            )
    if rest:
        yield rest, False
