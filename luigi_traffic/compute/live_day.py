"""A day that is not over: what was polled of it, typed and cleaned by the rules of its dataset.

A poll is typed once, and its good rows are kept as Parquet. What silver says of a link and interval
depends on all polls of the day, so it is computed again for those that the newest polls name.
DuckDB computes: a poll is small, and no JVM is started for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from luigi_traffic.api.dataset import Dataset, RawDay
from luigi_traffic.compute import schemas
from luigi_traffic.compute.duckdb_session import path_pattern
from luigi_traffic.compute.quality import KEPT
from luigi_traffic.errors import DataError

if TYPE_CHECKING:
    from luigi_traffic.compute.duckdb_engine import DuckDbEngine

_KEY = ("timestamp", "link_id")


@dataclass(frozen=True)
class TypedPoll:
    """A poll whose rows were typed: how many are good, and how many are rejected."""

    name: str
    rows: int
    rejected: int


@dataclass(frozen=True)
class LiveDay:
    """The polls of one day.

    folder  where the typed polls of today's settings and code are kept: they are made again from
            the polls if they are gone
    """

    engine: DuckDbEngine
    dataset: Dataset
    day: date
    folder: Path

    def typed(self, poll: Path) -> TypedPoll:
        """Type a poll by the rules of bronze, and keep its good rows.

        Raises `DataError` if it is not in the dataset's format at all.
        """
        rows = self._bronze(poll)
        good = rows.filter(pc.is_null(rows["reject_reason"]))
        kept = good.drop_columns(["reject_reason", "raw_line"])
        self.folder.mkdir(parents=True, exist_ok=True)
        unfinished = self.folder / f".{uuid4().hex}"
        pq.write_table(kept, unfinished)
        unfinished.replace(self._path(poll))
        return TypedPoll(poll.name, len(kept), len(rows) - len(kept))

    def cleaned(self, polls: Sequence[Path], new: Sequence[Path]) -> pa.Table:
        """Rows of silver for each link and interval that the polls `new` have a row of.

        They are made of all rows that `polls`, which contain the new ones, have of them.
        """
        for poll in polls:
            if not self._path(poll).exists():
                self.typed(poll)
        with self.engine.in_force():
            session = self.engine.session()
            keys = f"SELECT {', '.join(_KEY)} FROM ({self._silver(new)})"  # noqa: S608
            named = session.arrow(keys).read_all()
            if not len(named):
                return session.arrow(self._silver(new)).read_all()
            # A bound that DuckDB takes into the scan: most polls name the newest interval alone.
            first = pc.min(named["timestamp"]).as_py()
            return session.arrow(
                f"SELECT * FROM ({self._silver(polls)})"  # noqa: S608
                f" SEMI JOIN {session.view_of(named)} USING ({', '.join(_KEY)})"
                f" WHERE \"timestamp\" >= TIMESTAMP '{first}' ORDER BY {', '.join(_KEY)}"
            ).read_all()

    def _path(self, poll: Path) -> Path:
        return self.folder / f"{poll.name}.parquet"

    def _bronze(self, poll: Path) -> pa.Table:
        with poll.open("rb") as file:
            first = file.readline().decode("utf-8", "replace").rstrip("\r\n")
            lines = bool(first) + sum(1 for _ in file)
        if self.dataset.header(first):
            raise DataError(f"{poll} begins with a header, which a poll may not have: {first[:80]}")
        raw = RawDay(self.day, (str(poll),), None, first, lines)
        with self.engine.in_force():
            session = self.engine.session()
            frame: Any = schemas.checked_bronze(self.dataset.bronze(session, raw))  # type: ignore[arg-type]
            rows = session.arrow(frame.text).read_all()
        if len(rows) != lines:
            raise DataError(
                f"bronze made {len(rows):,} rows of the {lines:,} lines of {poll}: the dataset "
                "plugin must return exactly one row for each line"
            )
        return rows

    def _silver(self, polls: Sequence[Path]) -> str:
        """The SQL of silver of these polls, of the links that the settings keep."""
        files = ", ".join(path_pattern(str(self._path(poll))) for poll in polls)
        rows: Any = self.engine.session().query(f"SELECT * FROM read_parquet([{files}])")  # noqa: S608
        if links := self.dataset.settings.links:
            rows = self.engine.marked(rows, links, KEPT).where(KEPT).drop(KEPT)
        silver: Any = schemas.canonical_silver(self.dataset.silver(rows), self.dataset)
        text: str = silver.text
        return text
