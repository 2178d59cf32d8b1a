"""Where a declared dataset's bytes come from, one day cut out of files that hold many."""

from __future__ import annotations

import codecs
import csv
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any

from luigi_traffic.api.builtin_sources import Files, Http
from luigi_traffic.api.source import Source, Stream
from luigi_traffic.errors import DataError, SourceAbsent
from luigi_traffic.yaml_dataset.header import delimiter_of, has_header, positions
from luigi_traffic.yaml_dataset.settings import Table
from luigi_traffic.yaml_dataset.wide import lengthen

_BOM = b"\xef\xbb\xbf"
_LONGEST_LINE = 1 << 20
Edit = Callable[[Iterator[bytes]], Iterator[bytes]]
Modified = Callable[[], datetime | None] | None


class TableSource(Source):
    """The files that `url_template` or `glob` names, as UTF-8 text of one day."""

    def __init__(self, table: Table) -> None:
        self.table = table
        packing = "parquet" if table.format == "parquet" else table.packing
        self.files: Source = (
            Http(
                table.url_template,
                packing=packing,
                timeout=table.timeout,
                unknown_length=table.unknown_length,
                members=table.members,
                absent=table.absent_when,
            )
            if table.url_template
            else Files(
                table.glob or "", packing=packing, growing=table.many_days, members=table.members
            )
        )

    def recipe(self) -> dict[str, Any]:
        """That of the files, and whether their first line is a header, which raw leaves out; if a
        day is cut out of them, also what says which day it is."""
        terms = self.files.recipe() | {"header": has_header(self.table)}
        if self.table.encoding != "utf-8":
            terms["encoding"] = self.table.encoding
        columns = self.table.columns.by_role()
        if self.table.wide is not None:
            terms["wide"] = self.table.model_dump(mode="json", include={"wide", "delimiter"}) | {
                "columns": columns
            }
        if self.table.many_days:
            moment = {role: columns.get(role) for role in self.table.columns.moment}
            terms["day_of"] = moment | self.table.model_dump(
                mode="json", include={"header", "delimiter", "time_format", "timezone"}
            )
            if self.table.time_unit or self.table.stamp == "end":
                terms["day_of"] |= {"unit": self.table.time_unit, "stamp": self.table.stamp}
        return terms

    def look(self, day: date) -> list[Mapping[str, str | int]] | None:
        """What is said of the files."""
        return self.files.look(day)

    def address(self) -> dict[str, Any]:
        """That of the files."""
        return self.files.address()

    @contextmanager
    def open(self, day: date) -> Iterator[Iterator[Stream]]:
        """A stream a file. `SourceAbsent` where no file is there, or none has a row of the day."""
        with self.files.open(day) as streams:
            yield self._edited(streams, day)

    def _edited(self, streams: Iterator[Stream], day: date) -> Iterator[Stream]:
        cut = _Cut(self.table.long, day) if self.table.many_days else None
        for stream in streams:
            edit = self._edit(stream.name, cut)
            modified = cut.modified(stream.modified) if cut else stream.modified
            yield replace(stream, edit=edit, modified=modified)
        if cut and cut.absent:
            raise SourceAbsent(
                f"no row belongs to {day}; the rows are from {cut.first} to {cut.last}"
            )

    def _edit(self, name: str, cut: _Cut | None) -> Edit | None:
        encoding, wide = self.table.encoding, self.table.wide

        def edit(chunks: Iterator[bytes]) -> Iterator[bytes]:
            if encoding != "utf-8":
                chunks = _as_utf8(name, chunks, encoding)
            if wide is not None:
                chunks = lengthen(name, chunks, self.table)
            return cut.lines(chunks) if cut else chunks

        return edit if cut or wide or encoding != "utf-8" else None


def _as_utf8(name: str, chunks: Iterator[bytes], encoding: str) -> Iterator[bytes]:
    """The chunks in UTF-8. Raises `DataError` for what is not in that encoding."""
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        for chunk in chunks:
            yield decoder.decode(chunk).encode()
        yield decoder.decode(b"", final=True).encode()
    except UnicodeDecodeError as e:
        raise DataError(
            f"{name}: the bytes {e.object[e.start : e.start + 8]!r} are not {encoding}, the "
            "configured `encoding`"
        ) from e


@dataclass
class _Cut:
    """Passes on the lines of one day, in flat memory.

    Blank lines are dropped. A line whose time cannot be read is passed on: bronze rejects it,
    so that it is counted, not lost; it counts for every day of the file.
    """

    table: Table
    day: date
    first: date | None = None
    last: date | None = None
    found: bool = False
    #: Whether the file at hand had a row of a later day: then it is whole for this one, though
    #: it may still grow.
    over: bool = False

    @property
    def absent(self) -> bool:
        """Whether there were rows of other days and none of this one."""
        return self.first is not None and not self.found

    def modified(self, of_file: Modified) -> Modified:
        """When what matters to this day was last changed."""
        return (lambda: None if self.over else of_file()) if of_file else None

    def lines(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        """Of one file: its header where it has one, and the day's lines."""
        day_of: Callable[[bytes], date | None] | None = None
        self.over = False
        for number, (block, ended) in enumerate(_whole_lines(chunks)):
            kept, lines = [], block.split(b"\n")
            if number == 0:
                first = lines[0].removeprefix(_BOM).decode(errors="replace")
                day_of = self._day_of(first)
                if has_header(self.table):
                    kept.append(lines.pop(0))
                else:
                    lines[0] = lines[0].removeprefix(_BOM)
            assert day_of is not None
            for line in lines:
                if not line or line == b"\r":
                    continue
                day = day_of(line)
                if day is None and not ended and self.over:
                    continue  # what a writer has written so far of its next line
                if day is None or day == self.day:
                    kept.append(line)
                if day is not None:
                    self._note(day)
            if kept:
                yield b"\n".join([*kept, b""])

    def _note(self, day: date) -> None:
        if day == self.day:
            self.found = True
        self.over = self.over or day > self.day
        if self.first is None or self.last is None:
            self.first = self.last = day
        elif day < self.first:
            self.first = day
        elif day > self.last:
            self.last = day

    def _day_of(self, first_line: str) -> Callable[[bytes], date | None]:
        """A function from a line to its day, None for a line whose time cannot be read."""
        at = positions(self.table, first_line)
        wanted = [at[name] for name in self.table.columns.moment]
        delimiter = delimiter_of(self.table)
        sign, last = delimiter.encode(), max(wanted)
        read = self.table.moment.day_reader()

        def day_of(line: bytes) -> date | None:
            if b'"' in line:
                row = _quoted(line.decode(errors="replace"), delimiter)
                parts = [row[n] for n in wanted] if len(row) > last else []
            else:
                cells = line.split(sign, last + 1)
                parts = (
                    [cells[n].decode(errors="replace") for n in wanted] if len(cells) > last else []
                )
            return read(" ".join(part.strip() for part in parts))

        return day_of


def _quoted(line: str, delimiter: str) -> list[str]:
    """The fields of a line with quotes in it, none where they are not RFC 4180's."""
    try:
        return next(csv.reader([line], delimiter=delimiter, skipinitialspace=True), [])
    except csv.Error:  # a line break within, a field of more than 128 KiB
        return []


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
