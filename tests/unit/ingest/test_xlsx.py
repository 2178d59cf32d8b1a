"""A worksheet as lines of text, and each kind of file that is none."""

from __future__ import annotations

import io
import zipfile
from datetime import date, datetime, time, timedelta
from pathlib import Path

import pytest
from openpyxl import Workbook
from openpyxl.styles import numbers

from luigi_traffic.errors import SourceError
from luigi_traffic.ingest import xlsx
from luigi_traffic.ingest.archive import Limits
from luigi_traffic.ingest.xlsx import xlsx_lines

LIMITS = Limits(1 << 30, 200.0)


def workbook(**sheets: list[list[object]]) -> bytes:
    """A workbook with those rows in its worksheets."""
    book = Workbook()
    book.remove(book.active)
    for title, rows in sheets.items():
        sheet = book.create_sheet(title)
        for row in rows:
            sheet.append(row)
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


def lines(data: bytes, sheet: str | None = None, limits: Limits = LIMITS) -> list[str]:
    text = b"".join(xlsx_lines(io.BytesIO(data), "may.xlsx", limits, sheet))
    return text.decode().splitlines()


def refused(data: bytes, sheet: str | None = None, limits: Limits = LIMITS) -> str:
    with pytest.raises(SourceError) as caught:
        lines(data, sheet, limits)
    assert str(caught.value).startswith("may.xlsx: ")
    return str(caught.value)


def repacked(data: bytes, change: dict[str, bytes | None]) -> bytes:
    """The workbook with other contents of some parts; None: without the part."""
    made = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(data)) as old,
        zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for part in dict.fromkeys([*old.namelist(), *change]):
            content = change.get(part, old.read(part) if part in old.namelist() else None)
            if content is not None:
                new.writestr(part, content)
    return made.getvalue()


def with_shared_texts(data: bytes, shared: bytes) -> bytes:
    """As Excel writes it: the text "x" of the workbook is entry 0 of a table of all texts."""
    with zipfile.ZipFile(io.BytesIO(data)) as book:
        sheet, types = book.read("xl/worksheets/sheet1.xml"), book.read("[Content_Types].xml")
    part = (
        b'<Override PartName="/xl/sharedStrings.xml" ContentType="application/vnd.openxmlformats-'
        b'officedocument.spreadsheetml.sharedStrings+xml" /></Types>'
    )
    cell = sheet.replace(b't="inlineStr"><is><t>x</t></is>', b't="s"><v>0</v>')
    assert cell != sheet
    return repacked(
        data,
        {
            "xl/worksheets/sheet1.xml": cell,
            "[Content_Types].xml": types.replace(b"</Types>", part),
            "xl/sharedStrings.xml": shared,
        },
    )


SHARED = '<sst xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">{}</sst>'


def test_texts_of_the_shared_table() -> None:
    data = workbook(a=[["x", 5]])
    shared = SHARED.format("<si><t>울산</t></si><si><t>other</t></si>").encode()
    assert lines(with_shared_texts(data, shared)) == ["울산,5"]
    none = with_shared_texts(data, SHARED.format("").encode())
    assert "damaged or cut short" in refused(none)


def test_cells_as_text() -> None:
    values = [
        ("plain", "plain"), ('a, "b"', '"a, ""b"""'), ("two\nlines", "two lines"), (None, ""),
        (1920161400, "1920161400"), (57.0, "57"), (57.25, "57.25"), (-1, "-1"), (1e20, "1e+20"),
        (True, "true"), (datetime(2024, 5, 31, 8, 5), "2024-05-31T08:05:00"),
        (datetime(2024, 5, 31), "2024-05-31T00:00:00"), (date(2024, 5, 31), "2024-05-31"),
        (time(8, 5), "08:05:00"), (timedelta(days=1), "24:00:00"), ("한글", "한글"), ("end", "end"),
    ]  # fmt: skip
    (line,) = lines(workbook(a=[[value for value, _ in values]]))
    assert line == ",".join(text for _, text in values)


def test_a_day_that_shows_no_time_keeps_one_that_it_has() -> None:
    book = Workbook()
    for at in (datetime(2024, 5, 31), datetime(2024, 5, 31, 8)):
        book.active.append([at])
    for row in book.active.iter_rows():
        row[0].number_format = numbers.FORMAT_DATE_YYYYMMDD2
    file = io.BytesIO()
    book.save(file)
    assert lines(file.getvalue()) == ["2024-05-31", "2024-05-31T08:00:00"]


def test_a_formula_without_a_value_is_empty() -> None:
    assert lines(workbook(a=[["x", "=1+1", "y"]])) == ["x,,y"]


def test_rows_are_as_wide_as_the_first_and_empty_ones_are_left_out() -> None:
    rows = [[], ["time", "link", "v"], ["t1", "a"], [None, None, None], ["t2", "b", 1, "more"], []]
    assert lines(workbook(a=rows)) == ["time,link,v", "t1,a,", "t2,b,1,more"]


def test_the_worksheet() -> None:
    data = workbook(May=[["m"]], June=[["j"]])
    assert (lines(data), lines(data, "June")) == (["m"], ["j"])
    assert "expected the worksheet 'July' in the workbook; it has 'May', 'June'" in refused(
        data, "July"
    )


def test_more_rows_than_are_turned_at_a_time() -> None:
    found = lines(workbook(a=[[n, "x"] for n in range(4_500)]))
    assert (len(found), found[0], found[-1]) == (4_500, "0,x", "4499,x")


def test_a_wrong_dimension_hides_no_row() -> None:
    data = workbook(a=[["time", "v"], ["t1", 1], ["t2", 2]])
    with zipfile.ZipFile(io.BytesIO(data)) as book:
        sheet = book.read("xl/worksheets/sheet1.xml")
    assert b'ref="A1:B3"' in sheet
    wrong = repacked(data, {"xl/worksheets/sheet1.xml": sheet.replace(b"A1:B3", b"A1:A1")})
    assert lines(wrong) == ["time,v", "t1,1", "t2,2"]


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "expected an Excel workbook, got an empty file"),
        (b"<html>not found", "got data that begins with b'<html>not found'"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "encrypted, or of Excel 97"),
        (workbook(a=[["x"]])[:-400], "expected an Excel workbook, got one that is cut short"),
        (repacked(workbook(a=[["x"]]), {"xl/workbook.xml": None}), "damaged or cut short"),
        (repacked(workbook(a=[["x"]]), {"xl/worksheets/sheet1.xml": b"<worksheet><she"}),
         "damaged or cut short"),
    ],
)  # fmt: skip
def test_what_is_no_workbook(data: bytes, told: str) -> None:
    assert told in refused(data)


def test_bytes_that_were_altered_are_damage() -> None:
    data = bytearray(workbook(a=[[f"text {n}", n] for n in range(2_000)]))
    with zipfile.ZipFile(io.BytesIO(bytes(data))) as book:
        at = book.getinfo("xl/worksheets/sheet1.xml").header_offset
    data[at + 2_000 : at + 2_050] = bytes(50)
    assert "damaged or cut short" in refused(bytes(data))


def test_a_bomb_is_not_unpacked(monkeypatch) -> None:
    bomb = repacked(workbook(a=[["x"]]), {"xl/worksheets/sheet1.xml": b" " * (20 << 20)})
    assert "it is treated as a zip bomb (setting ingest.max_ratio)" in refused(bomb)
    assert "the limit is 100 (setting ingest.max_bytes)" in refused(
        workbook(a=[["x"]]), limits=Limits(100, 200.0)
    )
    monkeypatch.setattr(xlsx, "MOST_HELD_BYTES", 1_000)
    assert "held in memory" in refused(workbook(a=[["x"]]))
    assert "256 MiB" in (Path(__file__).parents[3] / "docs" / "yaml-dataset.md").read_text("utf-8")


def test_entities_that_multiply_are_refused() -> None:
    levels = b"".join(b'<!ENTITY e%d "%s">' % (n, b"&e%d;" % (n - 1) * 10) for n in range(1, 10))
    data = workbook(a=[["x"]])
    with zipfile.ZipFile(io.BytesIO(data)) as book:
        sheet = book.read("xl/worksheets/sheet1.xml")
    bomb = b'<!DOCTYPE worksheet [<!ENTITY e0 "0123456789">' + levels + b"]>" + sheet
    bomb = bomb.replace(b"<t>x</t>", b"<t>&e9;</t>")
    assert b"<t>&e9;" in bomb
    assert "damaged or cut short" in refused(repacked(data, {"xl/worksheets/sheet1.xml": bomb}))


def test_a_row_beyond_those_of_excel_ends_the_reading() -> None:
    data = workbook(a=[["x"], ["y"]])
    with zipfile.ZipFile(io.BytesIO(data)) as book:
        sheet = book.read("xl/worksheets/sheet1.xml")
    far = sheet.replace(b'<row r="2"', b'<row r="99999999999"').replace(b'"A2"', b'"A99999999999"')
    assert far != sheet
    data = repacked(data, {"xl/worksheets/sheet1.xml": far})
    assert "has more than 1,048,576 rows" in refused(data)
