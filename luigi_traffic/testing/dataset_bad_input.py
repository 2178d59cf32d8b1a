"""Days that are empty, cut short or full of garbage: flagged, never dropped, never fatal."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import TYPE_CHECKING, Any

import pytest

from luigi_traffic.errors import DataError
from luigi_traffic.testing.sample import VERDICT, advised

if TYPE_CHECKING:
    from luigi_traffic.testing.sample import Sample

_COLUMNS = (
    "Raise DataError in header() if the columns differ from those you read by position, and reject "
    "rows with too few fields or with an invalid time, link or speed."
)
_TIMES = (
    "Read times with F.wall_time(text) or F.time_of_parts(…) of luigi_traffic.functions: a cast "
    "alone takes '2024-05-01' for midnight."
)
_KEYS = ("timestamp", "link_id", "speed")
_EMPTY = (
    "Give an empty frame of the same columns if raw.paths is empty, as F.lines(session, raw) of "
    "luigi_traffic.functions does."
)
#: How a date of eight digits may begin a time.
_DATES = ("%Y%m%d", "%d%m%Y", "%m%d%Y")
_DATE = 8
_ANSI = (
    "ANSI mode is on, so cast() raises on bad text: use F.number, F.wall_time and F.cell of "
    "luigi_traffic.functions, and flag what comes out as NULL."
)


class BadInputChecks:
    """What sources send on bad days."""

    sample: Sample

    def test_empty_day(self) -> None:
        """A header without rows gives empty tables of the usual columns."""
        sample = self.sample
        nothing = sample.raw_of([], parts=0)
        for raw, what in (
            (nothing, "no file at all"),
            (sample.raw_of([]), "an empty file"),
        ):
            with advised(f"a day with {what}", _EMPTY):
                bronze, silver = sample.bronze_of(raw), sample.silver_of(raw)
            assert not bronze.rows and not silver.rows, (
                f"a day with {what} gives {len(bronze.rows)} rows of bronze and "
                f"{len(silver.rows)} of silver. Make no row that is not in a file."
            )
            assert (bronze.types, silver.types) == (sample.bronze.types, sample.silver.types), (
                f"a day with {what} has other columns or types than a full day: {bronze.types} "
                f"and {silver.types}. {_EMPTY}"
            )

    def test_one_row_day(self) -> None:
        """A single good row comes through."""
        sample = self.sample
        raw = sample.raw_of(sample.good_lines[:1])
        with advised("a day of one row", "Do not assume a number of rows."):
            bronze, silver = sample.bronze_of(raw), sample.silver_of(raw)
        assert len(bronze.good) == len(silver.rows) == 1 and silver.rows[0]["n_obs"] == 1, (
            f"a day of one good line gives {len(bronze.good)} good rows of bronze and "
            f"{len(silver.rows)} of silver (n_obs {[row['n_obs'] for row in silver.rows]}), "
            "expected one each, with n_obs 1. The result for a row must not depend on other rows."
        )

    def test_missing_columns(self) -> None:
        """A header without one of its columns, or in another order, never gives wrong rows."""
        sample = self.sample
        header = sample.taken.header
        names = sample.fields(header if header is not None else sample.good_lines[0])
        orders = {f"without the column {name!r}": [m for m in range(len(names)) if m != n]
                  for n, name in enumerate(names)}  # fmt: skip
        orders["with its columns in reverse"] = list(reversed(range(len(names))))
        for what, order in orders.items():
            lines = [self._picked(line, order) for line in sample.good_lines]
            changed = None if header is None else self._picked(header, order)
            if changed is not None:
                with advised(f"header() of a file {what}", "Raise DataError.", DataError):
                    try:
                        if not sample.dataset.header(changed):
                            lines, changed = [changed, *lines], None
                    except DataError:
                        continue
            self._no_wrong_row(lines, f"a file {what}", header=changed)

    def test_rows_that_are_cut_short(self) -> None:
        """A line that lacks its last fields is rejected, not read by guess."""
        sample = self.sample
        mark = sample.delimiter or ","
        cut = [
            mark.join(sample.fields(line)[:n])
            for line in sample.good_lines
            for n in range(1, len(sample.fields(line)))
        ]
        self._no_wrong_row(cut, "lines without their last fields")

    def test_times_that_are_cut_short(self) -> None:
        """A time without its minutes is rejected: a cast would take a date for midnight."""
        sample = self.sample
        mark, cut = sample.delimiter or ",", []
        for line in sample.good_lines:
            fields = sample.fields(line)
            for n, text in enumerate(fields):
                for size in _shorter(text, sample.suite.day):
                    cut.append(mark.join([*fields[:n], text[:size], *fields[n + 1 :]]))
        if not cut:
            pytest.skip(f"no field holds a date and a time: none has {sample.suite.day} and more")
        self._no_wrong_row(cut, "lines whose time is cut short", identity=True, advice=_TIMES)

    def test_garbage_lines(self) -> None:
        """Blank lines, letters, NULs, endless lines and open quotes are flagged one by one."""
        sample = self.sample
        lines = [*sample.good_lines, *sample.junk, *sample.good_lines]
        with advised("bronze of garbage lines", _ANSI):
            table = sample.bronze_of(sample.raw_of(lines))
        rows, good = len(table.rows), len(table.good)
        assert rows == len(lines), (
            f"bronze made {rows} rows of {len(lines)} lines, {len(sample.junk)} of them garbage. "
            "Flag garbage in reject_reason instead of dropping it; read with F.lines(session, "
            "raw), because a CSV reader drops blank lines and joins lines at an open quote."
        )
        expected = 2 * len(sample.good_lines)
        assert good == expected, (
            f"of {expected} good and {len(sample.junk)} garbage lines bronze accepts {good} as "
            "good. Check every field (time, link, speed) by itself and set reject_reason if one "
            "is missing or invalid; garbage next to a good line must not spoil it."
        )

    def test_text_in_place_of_a_value(self) -> None:
        """A good line with one field spoilt is rejected, or keeps all that it said."""
        sample = self.sample
        mark, spoilt = sample.delimiter or ",", []
        for line in sample.good_lines[:3]:
            fields = sample.fields(line)
            for n in range(len(fields)):
                for text in ("", "x", "NaN", "-1e999", "\ufffd"):
                    spoilt.append(mark.join([*fields[:n], text, *fields[n + 1 :]]))
        self._no_wrong_row(spoilt, "lines with one field spoilt", identity=True)

    def _picked(self, line: str, order: list[int]) -> str:
        fields, mark = self.sample.fields(line), self.sample.delimiter or ","
        return mark.join(fields[n] for n in order if n < len(fields))

    def _no_wrong_row(
        self,
        lines: list[str],
        what: str,
        header: str | None = "",
        identity: bool = False,
        advice: str = _COLUMNS,
    ) -> None:
        """Each line is rejected, or says what a good line of the day says."""
        sample = self.sample
        with advised(f"bronze of {what}", _ANSI, DataError):
            try:
                table = sample.bronze_of(sample.raw_of(lines, header=header))
            except DataError:
                return
        assert len(table.rows) == len(lines), (
            f"bronze of {what} made {len(table.rows)} rows of {len(lines)} lines. Flag short "
            "lines in reject_reason instead of dropping them."
        )
        wrong = [row for row in table.good if not _said(row, sample.originals, identity)]
        assert not wrong, (
            f"bronze of {what} gives {len(wrong)} good rows with wrong content, for example "
            f"{ {k: str(v) for k, v in wrong[0].items() if k not in VERDICT} }. {advice}"
        )


def _shorter(text: str, day: date) -> list[int]:
    """Lengths at which the text of a time ends with its date, or with its hour.

    None if the text is no date of that day with a time behind it.
    """
    at = [n for n, sign in enumerate(text) if sign.isdigit()]
    digits = "".join(text[n] for n in at)
    if len(digits) <= _DATE + 2 or digits[:_DATE] not in {f"{day:{form}}" for form in _DATES}:
        return []
    return [at[_DATE - 1] + 1, at[_DATE + 1] + 1]


def _said(row: dict[str, Any], originals: Iterable[dict[str, Any]], identity: bool) -> bool:
    """Whether a good row is one of `originals`, up to optional values that are missing.

    With `identity` a link id may be any text: only time and speed can be told from garbage.
    """
    keys = [k for k in row if k not in VERDICT]
    if any(row.get(k) in (None, "") for k in _KEYS if k in row):
        return False
    if identity:
        keys = [k for k in keys if k in ("timestamp", "speed")]
        return not keys or any(all(row[k] == one[k] for k in keys) for one in originals)
    return any(
        all(row[k] == one[k] or (row[k] is None and k not in _KEYS) for k in keys)
        for one in originals
    )
