"""Where in a line of a declared table its time is, and whether the first ones can be read."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator

from luigi_traffic.errors import DataError
from luigi_traffic.yaml_dataset.header import delimiter_of, has_header, positions
from luigi_traffic.yaml_dataset.settings import Table

_BOM = b"\xef\xbb\xbf"
#: So many lines say whether the time format is that of the file; fewer than a few say nothing.
_TRIED, _FEWEST = 20, 3
_LONGEST_SHOWN = 40
#: Bytes in which they are looked for.
_LOOKED_AT = 1 << 18


def moment_text(table: Table, first_line: bytes) -> Callable[[bytes], str]:
    """A function from a line to the text that says when, of a file with that first line.

    Raises `DataError` if a column is not there.
    """
    at = positions(table, first_line.decode(errors="replace"))
    wanted = [at[name] for name in table.columns.moment]
    delimiter = delimiter_of(table)
    sign, last = delimiter.encode(), max(wanted)

    def text(line: bytes) -> str:
        if b'"' in line:
            row = _quoted(line.decode(errors="replace"), delimiter)
            parts = [row[n] for n in wanted] if len(row) > last else []
        else:
            cells = line.split(sign, last + 1)
            parts = [cells[n].decode(errors="replace") for n in wanted] if len(cells) > last else []
        return " ".join(part.strip() for part in parts)

    return text


def with_readable_times(name: str, table: Table, chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The chunks of the file `name` again.

    Raises `DataError` if none of its first times can be read: the format is then another one, and
    the day is refused before anything is committed.
    """
    begun: list[bytes] = []
    ends, size = 0, 0
    for chunk in chunks:
        begun.append(chunk)
        ends, size = ends + chunk.count(b"\n"), size + len(chunk)
        if ends > _TRIED or size > _LOOKED_AT:
            break
    _look(name, b"".join(begun)[:_LOOKED_AT], table)
    yield from begun
    yield from chunks


def _look(name: str, start: bytes, table: Table) -> None:
    lines = [line for line in start.removeprefix(_BOM).split(b"\n") if line.strip()]
    if len(lines) < _FEWEST + 1:
        return
    text = moment_text(table, lines[0])
    times = [text(line) for line in lines[1 if has_header(table) else 0 :][:_TRIED]]
    if len(times) >= _FEWEST and not any(table.moment.reads(time) for time in times):
        shown = next((time for time in times if time), "")[:_LONGEST_SHOWN]
        raise DataError(
            f"{name}: none of its first {len(times)} times can be read as {table.moment.said}, for "
            f"example {shown!r}. Correct `time_format`, or `columns` if another column has the time"
        )


def _quoted(line: str, delimiter: str) -> list[str]:
    """The fields of a line with quotes in it, none where they are not RFC 4180's."""
    try:
        return next(csv.reader([line], delimiter=delimiter, skipinitialspace=True), [])
    except csv.Error:  # a line break within, a field of more than 128 KiB
        return []
