"""The beginning of a file of rows, as text in columns: packing, encoding, delimiter, header."""

from __future__ import annotations

import codecs
import csv
import io
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from luigi_traffic.api.builtin_sources import packing_of
from luigi_traffic.api.open_file import read_chunks
from luigi_traffic.api.source import Packing
from luigi_traffic.errors import SettingsError
from luigi_traffic.ingest.archive import Limits, opened_members
from luigi_traffic.ingest.gzipped import gunzipped
from luigi_traffic.ingest.parquet import parquet_lines
from luigi_traffic.ingest.xlsx import xlsx_lines

if TYPE_CHECKING:
    import pandas as pd

DELIMITERS = ",;\t|"
#: Bytes of text that are looked at.
_HEAD = 4 << 20
#: Rows of them that a delimiter is told by.
_FEW = 200
_LIMITS = Limits(64 << 30, 1000.0)
#: Packings whose text is ours: commas between the fields, UTF-8.
_TABLES = ("parquet", "xlsx")
#: From so many columns on it may be a wide table, whose names may be numbers.
_WIDE = 8
_ENCODINGS = ("utf-8", "cp949")


@dataclass(frozen=True)
class Opened:
    """What the first rows of a file show.

    names  of the columns: those of the header, or their positions from 0
    rows   the cells as text, blanks around them removed; columns by `names`
    """

    path: Path
    packing: Packing
    encoding: str
    delimiter: str
    header: bool
    names: list[str]
    rows: pd.DataFrame
    notes: dict[str, str]


def opened(path: Path) -> Opened:
    """Look at a file. Raises `SettingsError` if it is no table of rows, `SourceError` if it cannot
    be unpacked."""
    packing = packing_of(path.name)
    try:
        with path.open("rb") as file:
            data = _head(file, path.name, packing)
    except OSError as e:
        raise SettingsError(f"cannot read {path}: {e.strerror}. Give --from a file") from e
    notes: dict[str, str] = {}
    encoding = _encoding(data, notes)
    text = data.decode(encoding, errors="replace").removeprefix("\ufeff")
    lines = [line for line in text.splitlines() if line.strip()]
    delimiter = "," if packing in _TABLES else _delimiter(lines)
    if len(lines) < 2 or not delimiter:
        raise SettingsError(
            f"{path}: no table is seen in it: expected rows of fields between commas, semicolons, "
            f"tabs or vertical bars. It begins with {text[:80]!r}"
        )
    return _table(path, packing, encoding, delimiter, lines, notes)


def _head(file: IO[bytes], name: str, packing: Packing) -> bytes:
    """The first whole lines of the text."""
    if packing == "zip":
        with opened_members(file, name, _LIMITS) as members:
            _, chunks = next(members)
            return _first(chunks)
    if packing == "parquet":
        return _first(parquet_lines(file, name, _LIMITS))
    if packing == "xlsx":
        return _first(xlsx_lines(file, name, _LIMITS))
    if packing == "gzip":
        return _first(gunzipped(read_chunks(file), name, _LIMITS))
    return _first(read_chunks(file))


def _first(chunks: Iterator[bytes]) -> bytes:
    found = b""
    for chunk in chunks:
        found += chunk
        if len(found) > _HEAD:
            whole, newline, _ = found[:_HEAD].rpartition(b"\n")
            return whole if newline else found[:_HEAD]
    return found


def _encoding(data: bytes, notes: dict[str, str]) -> str:
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    for encoding in _ENCODINGS:
        try:
            data.decode(encoding)
        except UnicodeDecodeError:
            continue
        return encoding
    notes["encoding"] = "neither utf-8 nor cp949; check the letters of the names"
    return "latin-1"


def _delimiter(lines: list[str]) -> str:
    """What parts the lines into the most fields, nearly always as many."""
    best, most = "", 1
    for sign in DELIMITERS:
        widths = Counter(len(row) for row in csv.reader(lines[:_FEW], delimiter=sign))
        width, times = max(widths.items(), key=lambda item: item[1], default=(0, 0))
        if width > most and times >= 0.9 * sum(widths.values()):
            best, most = sign, width
    return best


def _table(
    path: Path,
    packing: Packing,
    encoding: str,
    delimiter: str,
    lines: list[str],
    notes: dict[str, str],
) -> Opened:
    import pandas as pd

    cells = pd.read_csv(
        io.StringIO("\n".join(lines)), sep=delimiter, header=None, dtype=str, index_col=False,
        keep_default_na=False, skipinitialspace=True, on_bad_lines="skip",
    ).fillna("").apply(lambda column: column.str.strip())  # fmt: skip
    first = list(cells.iloc[0])
    below = cells.iloc[1:_FEW].map(_is_number).sum(axis=1).mean()
    # Names of columns may be numbers, as in a column a time of day; but not as often as in rows.
    header = (
        packing == "parquet"
        or sum(map(_is_number, first)) <= below / 2
        or _names_columns(first, cells.iloc[1:_FEW])
    )
    names = first if header else [str(n) for n in range(cells.shape[1])]
    rows = cells.iloc[1:] if header else cells
    # A column is named by its header: a name that is there twice, or is blank, names none.
    kept = [n for n, name in enumerate(names) if name and names.count(name) == 1]
    rows = rows.iloc[:, kept].reset_index(drop=True)
    rows.columns = [names[n] for n in kept]
    if lost := sorted({name for n, name in enumerate(names) if n not in kept and name}):
        notes["columns"] = f"more than one column is named {', '.join(lost)}: they cannot be used"
    return Opened(path, packing, encoding, delimiter, header, list(rows.columns), rows, notes)


def _names_columns(first: list[str], below: pd.DataFrame) -> bool:
    """Whether the first row of a wide table is a header, though most of its names are numbers:
    all differ, and at least one is a word where the rows below have numbers or times."""
    if len(first) < _WIDE or len({*first, ""}) <= len(first) or below.empty:
        return False
    return any(
        not _is_number(name) and below[n].map(_is_number).mean() > 0.95
        for n, name in enumerate(first)
    )


def _is_number(cell: str) -> bool:
    """Whether it is a number, a date or a time, and so no name of a column."""
    digits = sum(sign.isdigit() for sign in cell)
    return digits > 0 and all(sign.isdigit() or sign in "+-.,:/ TZ" for sign in cell)
