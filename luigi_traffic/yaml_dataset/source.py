"""Where a declared dataset's bytes come from, one day cut out of files that hold many."""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

from luigi_traffic.api.builtin_sources import Files, Http
from luigi_traffic.api.many_days import DayOf, cut_out, cut_recipe
from luigi_traffic.api.source import Source, Stream
from luigi_traffic.errors import DataError
from luigi_traffic.yaml_dataset.header import has_header
from luigi_traffic.yaml_dataset.settings import Table
from luigi_traffic.yaml_dataset.time_texts import moment_text, with_readable_times
from luigi_traffic.yaml_dataset.wide import lengthen


class TableSource(Source):
    """The files that `url_template` or `glob` names, as UTF-8 text of one day."""

    def __init__(self, table: Table) -> None:
        self.table = table
        packing = table.packing if table.format == "csv" else table.format
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
        if self.table.sheet is not None:
            terms["sheet"] = self.table.sheet
        columns = self.table.columns.by_role()
        if self.table.wide is not None:
            said = self.table.model_dump(mode="json", include={"wide", "delimiter"})
            if self.table.wide.numbered:  # the intervals say which time a column is
                said["interval"] = int(self.table.interval.total_seconds())
            else:
                del said["wide"]["numbered"]  # a table without it is what it was
            terms["wide"] = said | {"columns": columns}
        if self.table.many_days:
            moment = {role: columns.get(role) for role in self.table.columns.moment}
            terms["day_of"] = moment | self.table.model_dump(
                mode="json", include={"header", "delimiter", "time_format", "timezone"}
            )
            if self.table.time_unit or self.table.stamp == "end":
                terms["day_of"] |= {"unit": self.table.time_unit, "stamp": self.table.stamp}
            terms |= cut_recipe()
        return terms

    def look(self, day: date) -> list[Mapping[str, str | int]] | None:
        """What is said of the files."""
        return self.files.look(day)

    def keep_parts(self, folder: Path) -> None:
        """Of the files."""
        self.files.keep_parts(folder)

    def address(self) -> dict[str, Any]:
        """That of the files."""
        return self.files.address()

    @contextmanager
    def open(self, day: date) -> Iterator[Iterator[Stream]]:
        """A stream a file. `SourceAbsent` where no file is there, or none has a row of the day."""
        with self.files.open(day) as streams:
            yield self._edited(streams, day)

    def _edited(self, streams: Iterator[Stream], day: date) -> Iterator[Stream]:
        table = self.table.long
        if table.sheet is not None:
            streams = (replace(s, sheet=table.sheet) for s in streams)
        if self.table.encoding != "utf-8" or self.table.wide is not None:
            streams = (replace(s, edit=partial(self._as_long_text, s.name)) for s in streams)
        elif self.table.many_days:
            streams = (replace(s, edit=_checked(s.name, table)) for s in streams)
        else:
            return (replace(s, check=_checked(s.name, table)) for s in streams)
        if not self.table.many_days:
            return streams
        return cut_out(streams, day, partial(_day_reader, table), header=has_header(table))

    def _as_long_text(self, name: str, chunks: Iterator[bytes]) -> Iterator[bytes]:
        if self.table.encoding != "utf-8":
            chunks = _as_utf8(name, chunks, self.table.encoding)
        if self.table.wide is not None:
            chunks = lengthen(name, chunks, self.table)
        return _checked(name, self.table.long)(chunks)


def _checked(name: str, table: Table) -> Callable[[Iterator[bytes]], Iterator[bytes]]:
    return partial(with_readable_times, name, table)


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


def _day_reader(table: Table, first_line: bytes) -> DayOf:
    """A function from a line to its day, None for a line that names none."""
    text, read = moment_text(table, first_line), table.moment.day_reader()
    return lambda line: read(text(line))
