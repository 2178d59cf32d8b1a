"""A wide table as a long one: a line a value, in place of a column a time of day or a link."""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Iterable, Iterator

from luigi_traffic.api.dataset import slots_of_a_day
from luigi_traffic.errors import DataError
from luigi_traffic.yaml_dataset.header import delimiter_of, positions
from luigi_traffic.yaml_dataset.settings import Table

#: Rows of the wide table turned at a time.
_ROWS = 500


def lengthen(name: str, chunks: Iterable[bytes], table: Table) -> Iterator[bytes]:
    """The UTF-8 text of the file `name`, each row as one line a value, with a header.

    The columns are those of `table.long`, in its order. Raises `DataError`, with the line, for
    a row of another width: which value is whose cannot be known.
    """
    rows = csv.reader(
        _lines(chunks), delimiter=delimiter_of(table), skipinitialspace=True, strict=True
    )
    try:
        header = [field.strip() for field in next(rows, [])]
        kept = positions(table, _line(header, table))
        wide = _wide(name, header, set(kept.values()), table)
        titles = _titles(name, header, wide, table)
        yield _text([list(table.long.columns.by_role().values())])
        long: list[list[str]] = []
        for row in rows:
            if not any(field.strip() for field in row):
                continue
            if len(row) != len(header):
                raise DataError(
                    f"{name}, line {rows.line_num}: {len(row)} columns, expected {len(header)} as "
                    "in line 1"
                )
            long += _values(row, titles, kept, table)
            if rows.line_num % _ROWS == 0:
                yield _text(long)
                long = []
        yield _text(long)
    except csv.Error as e:
        raise DataError(f"{name}, line {rows.line_num}: not a row of fields: {e}") from e


def _wide(name: str, header: list[str], named: set[int], table: Table) -> list[int]:
    """Positions of the columns that each hold a time of day, or a link."""
    assert table.wide is not None
    free = [n for n, title in enumerate(header) if n not in named and title]
    if not free:
        raise DataError(f"{name}: the header has no column that `columns` does not name")
    ends = []
    for key, otherwise in (("first", free[0]), ("last", free[-1])):
        title = getattr(table.wide, key)
        if title is not None and header.count(title) != 1:
            raise DataError(
                f"{name}: the header has {header.count(title) or 'no'} columns {title!r} "
                f"(wide.{key}): {', '.join(header)[:200]}"
            )
        ends.append(otherwise if title is None else header.index(title))
    return [n for n in range(ends[0], ends[1] + 1) if n not in named]


def _titles(name: str, header: list[str], wide: list[int], table: Table) -> dict[int, str]:
    """Position of a wide column → what its name says; `HH:mm` of one that is numbered."""
    assert table.wide is not None
    if not table.wide.numbered:
        return {n: header[n] for n in wide}
    slots = slots_of_a_day(table.interval)
    if len(slots) != len(wide):
        raise DataError(
            f"{name}: a day has {len(slots)} intervals of {table.interval}, but there are "
            f"{len(wide)} numbered columns, {header[wide[0]]!r} to {header[wide[-1]]!r}. Correct "
            "`interval`, or wide.first and wide.last"
        )
    return {n: f"{at:%H:%M}" for n, at in zip(wide, slots, strict=True)}


def _values(
    row: list[str], titles: dict[int, str], kept: dict[str, int], table: Table
) -> Iterator[list[str]]:
    assert table.wide is not None
    own = {table.wide.by: "", table.wide.measure: ""}
    roles = {column: role for role, column in table.long.columns.by_role().items()}
    places = [(column, kept.get(roles[column])) for column in table.long.columns.by_role().values()]
    for n, title in titles.items():
        own[table.wide.by], own[table.wide.measure] = title, row[n]
        yield [own[column] if at is None else row[at] for column, at in places]


def _line(header: list[str], table: Table) -> str:
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter_of(table), lineterminator="").writerow(header)
    return text.getvalue()


def _lines(chunks: Iterable[bytes]) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder("utf-8-sig")(errors="replace")
    rest = ""
    for chunk in chunks:
        *whole, rest = (rest + decoder.decode(chunk)).split("\n")
        yield from (line + "\n" for line in whole)
    if rest := rest + decoder.decode(b"", final=True):
        yield rest


def _text(rows: Iterable[list[str]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()
