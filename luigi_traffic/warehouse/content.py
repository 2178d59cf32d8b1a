"""What a table holds: its rows, their checksum and the ends of columns, in one scan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from luigi_traffic.warehouse.sql_names import literal, quote

#: Checksums of rows hashed by their values begin so; those of earlier versions, which were hashed
#: as text (three times as slow), begin with the number of rows.
BY_VALUE = "values:"


class Ends(NamedTuple):
    """Of a column; least and greatest value are text, as the server prints them."""

    nulls: int
    least: str | None
    greatest: str | None


@dataclass(frozen=True)
class Content:
    """`checksum` does not depend on the order of rows; `ends` are of the columns asked for."""

    rows: int
    checksum: str
    ends: Mapping[str, Ends]

    @classmethod
    def measure(cls, connection: Any, table: str, columns: Sequence[str] = ()) -> Content:
        """Of `table` (quoted for SQL)."""
        ends = "".join(
            f", count(*) - count({quote(c)}), min({quote(c)})::text, max({quote(c)})::text"
            for c in columns
        )
        with connection.cursor() as cursor:
            cursor.execute(
                f"SELECT count(*), sum({row_hash('t', BY_VALUE)}){ends} FROM {table} t"  # noqa: S608
            )
            rows, total, *found = cursor.fetchone()
        each = zip(found[::3], found[1::3], found[2::3], strict=True)
        return cls(
            rows,
            checksum(rows, total, BY_VALUE),
            {name: Ends(*of) for name, of in zip(columns, each, strict=True)},
        )

    def lies_inside(self, connection: Any, condition: str, types: Mapping[str, str]) -> bool:
        """Whether no row breaks `condition`, an SQL range of each of the columns in `types`.

        It is so if no value is NULL, and the least and the greatest values are in the range.
        """
        ends = [self.ends[name] for name in types]
        if not self.rows or any(end.nulls for end in ends):
            return not self.rows
        names = ", ".join(quote(name) for name in types)
        corner = ", ".join(f"%s::{kind}" for kind in types.values())
        with connection.cursor() as cursor:
            cursor.execute(
                f"SELECT bool_and(({condition}) IS TRUE)"  # noqa: S608
                f" FROM (VALUES ({corner}), ({corner})) v ({names})",
                [*(end.least for end in ends), *(end.greatest for end in ends)],
            )
            return bool(cursor.fetchone()[0])

    def range_of(self, names: Sequence[str]) -> str:
        """The SQL condition that all values of the columns hold; "" if there is no value."""
        return " AND ".join(
            f"{quote(name)} >= {literal(ends.least)} AND {quote(name)} <= {literal(ends.greatest)}"
            for name in names
            if (ends := self.ends[name]).least is not None and ends.greatest is not None
        )


def kind_of(checksum: str) -> str:
    """How rows were hashed for a checksum: `BY_VALUE`, or "" for text."""
    return BY_VALUE if checksum.startswith(BY_VALUE) else ""


def row_hash(row: str, kind: str) -> str:
    """SQL of the 64-bit hash of a row."""
    # The hash of a record is linear in those of its values: a sum of these alone would not see
    # values that two rows have exchanged.
    hashed = f"hash_record_extended({row}, 0)" if kind else row
    return f"hashtextextended({hashed}::text, 0)"


def checksum(rows: int, total: Any, kind: str) -> str:
    """From the number of rows and the sum of their hashes (None of no rows)."""
    return f"{kind}{rows}:{total or 0}"
