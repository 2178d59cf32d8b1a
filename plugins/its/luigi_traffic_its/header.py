"""The first line of an ITS file: which of the known formats it is, or what it is instead."""

from __future__ import annotations

import re
from enum import Enum

from luigi_traffic import DataError

#: The documented columns, in the order of the file.
COLUMNS = ("CREATDE", "CREATHM", "LINKID", "ROADINSTTCD", "PASNGSPED", "PASNGTIME")
_LONGEST_SHOWN = 100
_DATE = re.compile(r"\d{8}")
_HHMM = re.compile(r"\d{1,4}")
_MOMENT = re.compile(r"\d{4}-\d{2}-\d{2}[ T]\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?")
_LINK = re.compile(r"\d{10}")


class Layout(Enum):
    """The columns of a row; the value is how many of them must be there."""

    #: CREATDE, CREATHM, LINKID, ROADINSTTCD, PASNGSPED, PASNGTIME: with or without a header.
    SIX = 6
    #: `2020-01-01 00:44:00.000`, link id, speed: the headerless files of 2020 and 2021.
    THREE = 3


def fields(line: str) -> list[str]:
    """The fields of a line without quotes and surrounding blanks."""
    return [field.strip().strip('"').strip() for field in line.strip().split(",")]


def layout_of_row(line: str) -> Layout | None:
    """The layout of a data row, None where it has neither."""
    row = fields(line)
    if len(row) >= 6 and _DATE.fullmatch(row[0]) and _HHMM.fullmatch(row[1]):
        return Layout.SIX
    if len(row) >= 3 and _MOMENT.fullmatch(row[0]) and _LINK.fullmatch(row[1]):
        return Layout.THREE
    return None


def is_header(line: str) -> bool:
    """True for the documented header, False for a data row of a known layout.

    Columns after the known ones are accepted. Raises `DataError` that says what was
    expected, what was found and what it may be instead.
    """
    names = [name.upper() for name in fields(line)]
    if tuple(names[:6]) == COLUMNS:
        return True
    if layout_of_row(line) is not None:
        return False
    found = line if len(line) <= _LONGEST_SHOWN else line[:_LONGEST_SHOWN] + "…"
    raise DataError(
        f"the first line is {found!r}, expected the header {','.join(COLUMNS)}, a row in that "
        "order (20240101,0005,1920161400,…), or a row of the 2020 format "
        f"(2020-01-01 00:44:00.000,1920161400,57.2). {_guess(line, names)}"
    )


def _guess(line: str, names: list[str]) -> str:
    text = line.strip()
    known = [name for name in names if name in COLUMNS]
    if "\x00" in line or line[:1] in ("\ufffe", "\ufffd"):
        return "It looks like UTF-16: convert it, for example with iconv -f UTF-16 -t UTF-8."
    if not text:
        return "The line is blank."
    if text.startswith("<"):
        return "It looks like an HTML or XML page: the server may have sent an error page."
    if text.startswith(("{", "[")):
        return "It looks like JSON: the server may have sent an error message."
    if sorted(known) == sorted(COLUMNS):
        return (
            "All columns are there, but in another order: reorder them, because they are read by "
            "position."
        )
    for sign, said in ((";", "semicolons"), ("\t", "tabs"), ("|", "vertical bars")):
        if text.count(sign) >= 2 and text.count(",") < 2:
            return f"It looks delimited by {said}: expected commas."
    if known:
        missing = [name for name in COLUMNS if name not in known]
        return f"It looks like a header without {', '.join(missing)}."
    return "It is neither."
