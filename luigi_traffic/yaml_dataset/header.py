"""The first line of a file, and where in a line each column stands."""

from __future__ import annotations

import csv

from luigi_traffic.errors import DataError, did_you_mean
from luigi_traffic.yaml_dataset.settings import Table

_LONGEST_SHOWN = 200


def fields(line: str, delimiter: str) -> list[str]:
    """The fields of one line, quoted as RFC 4180 says, without blanks around them.

    Raises `DataError` for a line that has another line break within.
    """
    reader = csv.reader([line.rstrip("\r\n")], delimiter=delimiter, skipinitialspace=True)
    try:
        return [field.strip() for field in next(reader, [])]
    except csv.Error as e:
        raise DataError(
            f"the first line is not a row of fields: {e}: {line[:_LONGEST_SHOWN]!r}. Lines must "
            "end with LF or CRLF"
        ) from e


def delimiter_of(table: Table) -> str:
    """What stands between the fields of the text in raw."""
    return table.delimiter if table.format == "csv" else ","


def has_header(table: Table) -> bool:
    """Whether the first line names the columns; that of a Parquet file's text does."""
    return table.names_columns


def positions(table: Table, first_line: str) -> dict[str, int]:
    """Meaning of a column → its position, in a file whose first line is that.

    Raises `DataError` where a column is not there, is there twice, or is beyond the line's end.
    """
    found = fields(first_line, delimiter_of(table))
    shown = first_line[:_LONGEST_SHOWN]
    at = {}
    for role, column in table.columns.by_role().items():
        if not has_header(table):
            at[role] = int(column)
            if at[role] >= len(found):
                raise DataError(
                    f"{role} is column {column}, but the first line has {len(found)} columns (the "
                    f"first is 0): {shown!r}.{_other_delimiter(first_line, table)}"
                )
        elif found.count(column) != 1:
            many = found.count(column)
            raise DataError(
                f"the header has {f'{many} columns' if many else 'no column'} {column!r} (columns."
                f"{role}): {shown!r}.{did_you_mean(column, found) if not many else ''}"
                f"{_guess(first_line, table)}"
            )
        else:
            at[role] = found.index(column)
    return at


def _guess(line: str, table: Table) -> str:
    start = line.lstrip()
    if start.startswith("<"):
        return " It looks like an HTML or XML page: the server may have sent an error page."
    if start.startswith(("{", "[")):
        return " It looks like JSON: the server may have sent an error message."
    found = fields(line, delimiter_of(table))
    if any(field.replace(".", "", 1).isdecimal() for field in found):
        return " It looks like a row: for a file without a header, set header: false."
    return _other_delimiter(line, table)


def _other_delimiter(line: str, table: Table) -> str:
    used = delimiter_of(table)
    for sign, said in ((";", "semicolons"), ("\t", "tabs"), (",", "commas"), ("|", "bars")):
        if sign != used and line.count(sign) >= 2 and line.count(used) < 2:
            return f" It looks delimited by {said}: set `delimiter`."
    return ""
