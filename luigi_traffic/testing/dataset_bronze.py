"""Bronze: one typed row a line, bad ones flagged and kept."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import datetime, time, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from luigi_traffic.api.scope import Scope
from luigi_traffic.testing.sample import VERDICT, advised

if TYPE_CHECKING:
    from luigi_traffic.testing.sample import Sample


class BronzeChecks:
    """Every source row, typed."""

    sample: Sample

    def test_bronze_has_its_columns(self) -> None:
        """The verdict, the text of rejected rows, the link; and no timestamp with a zone."""
        types = self.sample.bronze.types
        for name in (*VERDICT, "link_id"):
            assert types.get(name) == "string", (
                f"bronze's column {name!r} is {types.get(name, 'missing')}. Give it as a string: "
                "reject_reason (NULL for a good row), raw_line (the text of a rejected row), "
                "link_id (text, also if ids are digits: cast('string'))."
            )
        zoned = [name for name, kind in types.items() if kind == "timestamp"]
        assert not zoned, (
            f"bronze's {', '.join(zoned)} is TIMESTAMP, which has a time zone and shifts with the "
            "session's zone. Parse wall time with F.wall_time(text), which is TIMESTAMP_NTZ."
        )

    def test_bronze_is_one_row_a_line(self) -> None:
        """Nothing is lost silently, and nothing is counted twice."""
        lines, rows = self.sample.raw.lines, len(self.sample.bronze.rows)
        assert rows == lines, (
            f"bronze made {rows:,} rows of {lines:,} lines. Flag bad rows in reject_reason "
            "instead of dropping them (no where, no dropDuplicates, no inner join), and do not "
            "make a row twice. Read with F.lines(session, raw): a CSV reader drops "
            "blank lines and joins lines at a quote."
        )

    def test_bronze_good_rows_lie_in_the_day(self) -> None:
        """Wall time of the dataset's zone, from midnight to midnight."""
        day = self.sample.suite.day
        first = datetime.combine(day, time())
        if "timestamp" not in self.sample.bronze.types:
            return  # bronze names it otherwise; silver is judged
        at = [row["timestamp"] for row in self.sample.bronze.good]
        wrong = [t for t in at if t is None or not first <= _wall(t) < first + timedelta(days=1)]
        zone = self.sample.dataset.timezone
        assert not wrong, (
            f"{len(wrong):,} of {len(at):,} good rows of bronze lie outside {day}, for example at "
            f"{wrong[0]}. Keep the wall time of {zone} as it is in the file (no conversion to UTC "
            "and back), and reject rows of another day with a reason."
        )

    def test_bronze_rejected_rows_keep_their_line(self) -> None:
        """A person can see what was rejected."""
        bad = [*self.sample.bronze.rejected, *self.sample.junk_rows.rejected]
        texts = {line.strip() for line in [*self.sample.lines, *self.sample.junk]}
        lost = [r for r in bad if r["raw_line"] is None or r["raw_line"].strip() not in texts]
        assert not lost, (
            f"{len(lost):,} rejected rows do not keep the text of their line in raw_line, for "
            f"example one with reject_reason {lost[0]['reject_reason']!r}: {lost[0]['raw_line']!r}."
            " Select F.when(reason.isNotNull(), F.col('value')).alias('raw_line')."
        )

    def test_bronze_reasons_are_listed(self) -> None:
        """What is not listed is counted as 'other', and nobody knows why."""
        rows = [*self.sample.bronze.rejected, *self.sample.junk_rows.rejected]
        found = Counter(row["reject_reason"] for row in rows)
        unknown = sorted(set(found) - set(self.sample.dataset.reject_reasons))
        assert not unknown, (
            f"bronze rejects rows for {', '.join(map(repr, unknown))}, which are not listed by "
            "the class. Add them to reject_reasons."
        )

    def test_bronze_reads_crlf_as_lf(self) -> None:
        """Files from Windows have the same rows."""
        lines = self.sample.good_lines
        with advised("bronze of lines that end with CRLF", "Remove the \\r from each line."):
            plain, windows = (
                self.sample.bronze_of(self.sample.raw_of(lines, end=end)) for end in ("\n", "\r\n")
            )
        assert windows.good and _content(windows.good) == _content(plain.good), (
            f"bronze reads other rows if lines end with CRLF ({len(windows.good)} good rows of "
            f"{len(plain.good)}). Remove the \\r before you split the line: F.rtrim('value', "
            "F.lit('\\r'))."
        )

    def test_bronze_of_some_links(self) -> None:
        """With `scope: links`, the core finds the link of a line where bronze finds it."""
        raw = self.sample.raw_of(self.sample.good_lines)
        cell = self.sample.dataset_for("bronze").link_cell(raw)
        if cell is None:
            pytest.skip("link_cell says nothing: the setting scope can only be `all`")
        every = self.sample.bronze_of(raw).good
        link = every[0]["link_id"]
        some = self.sample.bronze_of(replace(raw, scope=Scope([link], cell)))
        assert _content(some.good) == _content([r for r in every if r["link_id"] == link]), (
            f"link_cell says that the link id is in cell {cell.number}, counted from 0, but the "
            f"lines with {link!r} there are not those that bronze reads as of this link "
            f"({len(some.good)} rows). Return the cell that bronze reads as link_id."
        )

    def test_bronze_carriage_return_ends_no_line(self) -> None:
        """The core counts lines by LF; a lone CR in a field does not make two of one."""
        line = self.sample.good_lines[0]
        with advised("bronze of a line with a lone CR", "Read with F.lines(session, raw)."):
            rows = self.sample.bronze_of(self.sample.raw_of([line, f"{line}\r{line}"])).rows
        assert len(rows) == 2, (
            f"bronze made {len(rows)} rows of 2 lines, one with a carriage return inside. Read "
            "with F.lines(session, raw): Spark's default ends lines at a lone CR."
        )


def _wall(moment: datetime) -> datetime:
    return moment.replace(tzinfo=None)


def _content(rows: list[dict[str, Any]]) -> Counter[str]:
    return Counter(repr(sorted(row.items())) for row in rows)
