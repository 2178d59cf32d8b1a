"""A worksheet of an Excel workbook as lines of text: raw is text, whatever a source sends."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Iterator, Sequence
from datetime import date, datetime, time, timedelta
from typing import IO, TYPE_CHECKING, Any

from luigi_traffic.errors import SourceError
from luigi_traffic.ingest.archive import RATIO_FLOOR, Limits

if TYPE_CHECKING:
    from openpyxl.workbook import Workbook

#: All parts of a workbook but its worksheets are held in memory: its texts above all.
MOST_HELD_BYTES = 256 << 20
#: Rows of a worksheet, as Excel limits them: a cell that says another number is no row of it.
_MOST_ROWS = 1 << 20
#: Rows turned into text at a time.
_BATCH_ROWS = 2_000
_SHEETS = "xl/worksheets/"
#: How a compound file begins: a workbook with a password, or one of Excel 97 (.xls).
_COMPOUND = b"\xd0\xcf\x11\xe0"
_LARGEST_WHOLE = 10**15


def xlsx_lines(
    file: IO[bytes], name: str, limits: Limits, sheet: str | None = None
) -> Iterator[bytes]:
    """The rows of a worksheet as comma-separated text quoted as RFC 4180 says.

    Read row by row; `sheet` is the name of the worksheet, None: the first. Each line has as many
    fields as the first row at least; rows without any value are left out. Of a formula it is the
    value that Excel computed last. Raises `SourceError` for what is no workbook, is encrypted, is
    damaged or is larger than `limits`, and for a worksheet that is not there.
    """
    import openpyxl

    file.seek(0)
    head = file.read(60)
    _refuse_bomb(file, name, head, limits)
    try:
        book = openpyxl.load_workbook(file, read_only=True, data_only=True, keep_links=False)
        yield from _text(_rows(book, name, sheet), name, limits)
    except SourceError:
        raise
    # What a damaged workbook makes of the library has many types.
    except Exception as e:
        raise SourceError(
            f"{name}: the Excel workbook is damaged or cut short: {e.__class__.__name__}: {e}. "
            "Download it again, or open it in Excel and save it anew"
        ) from e


def _refuse_bomb(file: IO[bytes], name: str, head: bytes, limits: Limits) -> None:
    """What it unpacks to is bounded by what it says: `zipfile` reads no more than that."""
    if head.startswith(_COMPOUND):
        raise SourceError(
            f"{name}: the workbook is encrypted, or of Excel 97 (.xls). Save it as .xlsx without a "
            "password"
        )
    try:
        with zipfile.ZipFile(file) as archive:
            parts = archive.infolist()
    except zipfile.BadZipFile as e:
        said = f"data that begins with {head!r}" if head else "an empty file"
        said = "one that is cut short" if head.startswith(b"PK") else said
        raise SourceError(f"{name}: expected an Excel workbook, got {said}") from e
    for part in parts:
        most = max(RATIO_FLOOR, int(part.compress_size * limits.max_ratio))
        if part.file_size > most:
            raise SourceError(
                f"{name}: {part.filename} unpacks {part.compress_size:,} bytes to "
                f"{part.file_size:,}: it is treated as a zip bomb (setting ingest.max_ratio)"
            )
    if (size := sum(part.file_size for part in parts)) > limits.max_bytes:
        raise SourceError(
            f"{name}: the workbook unpacks to {size:,} bytes; the limit is {limits.max_bytes:,} "
            "(setting ingest.max_bytes)"
        )
    held = sum(part.file_size for part in parts if not part.filename.startswith(_SHEETS))
    if held > MOST_HELD_BYTES:
        raise SourceError(
            f"{name}: the texts and other parts of the workbook, which are held in memory, unpack "
            f"to {held:,} bytes; the limit is {MOST_HELD_BYTES:,}. Save the worksheet as CSV"
        )


def _rows(book: Workbook, name: str, wanted: str | None) -> Iterator[list[str]]:
    from openpyxl.styles.numbers import is_datetime

    sheets = {sheet.title: sheet for sheet in book.worksheets}
    if not sheets or (wanted is not None and wanted not in sheets):
        there = ", ".join(map(repr, sheets)) or "none"
        what = "a worksheet" if wanted is None else f"the worksheet {wanted!r}"
        raise SourceError(f"{name}: expected {what} in the workbook; it has {there}")
    sheet: Any = sheets[wanted] if wanted is not None else next(iter(sheets.values()))
    sheet.reset_dimensions()  # what a workbook says of its size is often wrong
    kinds: dict[str, Any] = {}
    for number, row in enumerate(sheet.iter_rows()):
        if number >= _MOST_ROWS:
            raise SourceError(
                f"{name}: the worksheet {sheet.title!r} has more than {_MOST_ROWS:,} rows, which "
                "no Excel workbook has"
            )
        cells = []
        for cell in row:
            value = cell.value
            day_alone = False
            if isinstance(value, datetime):
                shown = cell.number_format
                if shown not in kinds:
                    kinds[shown] = is_datetime(shown)
                day_alone = kinds[shown] == "date" and value.time() == time()
            cells.append(_cell(value.date() if day_alone else value))
        yield cells


def _text(rows: Iterator[list[str]], name: str, limits: Limits) -> Iterator[bytes]:
    width, given = 0, 0
    batch: list[Sequence[str]] = []
    for row in rows:
        if not any(row):
            continue
        width = width or len(row)
        batch.append(row + [""] * (width - len(row)))
        if len(batch) == _BATCH_ROWS:
            text = _lines(batch)
            given += len(text)
            if given > limits.max_bytes:
                raise SourceError(
                    f"{name}: its rows are more than {limits.max_bytes:,} bytes of text (setting "
                    "ingest.max_bytes)"
                )
            yield text
            batch = []
    yield _lines(batch)


def _lines(rows: Sequence[Sequence[str]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()


def _cell(value: object) -> str:
    """A value as text: ISO 8601 for days and times, numbers as they are typed."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        whole = value.is_integer() and abs(value) < _LARGEST_WHOLE
        return str(int(value)) if whole else repr(value)
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, timedelta):  # shown as [h]:mm, so it may be 24:00
        minutes, seconds = divmod(round(value.total_seconds()), 60)
        return f"{minutes // 60:02d}:{minutes % 60:02d}:{seconds:02d}"
    # A line of raw is a row, so that no field may have a line break.
    return " ".join(str(value).splitlines())
