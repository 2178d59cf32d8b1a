"""The commit of a warehouse partition: stage a table, then attach it in one transaction.

    table.ensure(conn)                       a transaction of its own
    staged = table.stage(conn, "20120328")   a transaction of its own if others fill it
    copy_in(conn, staged, …)                 any number of connections
    table.commit(conn, staged, Bounds.day(day), row)   the caller commits

Readers of the parent see the old rows until that COMMIT and the new rows after it. A
staged table nobody attached is garbage (`orphans`). Sources: PostgreSQL's documentation,
"Table Partitioning", 5.12.2.2, and "ALTER TABLE ... ATTACH PARTITION".
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import psycopg2.errors
from psycopg2.extensions import connection as Connection

from luigi_traffic.errors import DataError
from luigi_traffic.warehouse import ledger, locks
from luigi_traffic.warehouse.content import Content
from luigi_traffic.warehouse.ledger import LedgerRow
from luigi_traffic.warehouse.patience import LOCK_TIMEOUT_S
from luigi_traffic.warehouse.ranges import attached, range_table
from luigi_traffic.warehouse.server_errors import server_message
from luigi_traffic.warehouse.sql_names import cut_to_fit, literal, quote


def freeze(conn: Connection, schema: str, name: str) -> bool:
    """No partition of a table of one level, as gold, is replaced until the transaction ends.

    For readers that need one state of ledger and rows: a REPEATABLE READ snapshot alone
    does not do, because a query sees today's partitions with the snapshot's rows, that is,
    a replaced partition as empty. Call it before the transaction's first query that reads rows.
    False if there is no such table.
    """
    with conn.cursor() as cursor:
        cursor.execute("SAVEPOINT no_table")
        try:
            # ONLY, one lock for all days: nobody detaches one without a lock on its parent.
            cursor.execute(f"LOCK TABLE ONLY {quote(schema)}.{quote(name)} IN ACCESS SHARE MODE")
        except (psycopg2.errors.UndefinedTable, psycopg2.errors.InvalidSchemaName):
            cursor.execute("ROLLBACK TO SAVEPOINT no_table")
            return False
    return True


@dataclass(frozen=True)
class Column:
    """A column and its SQL type, such as `timestamp`, `text`, `real`, `smallint`, `date`."""

    name: str
    type: str


@dataclass(frozen=True)
class Bounds:
    """What one partition holds: `by` in [low, high) and, in a table with `then_by`, one value."""

    low: str
    high: str
    value: str | None = None

    @classmethod
    def day(cls, day: date) -> Bounds:
        """One day, midnight to midnight."""
        return cls(day.isoformat(), (day + timedelta(days=1)).isoformat())

    def __str__(self) -> str:
        of = f" of {self.value}" if self.value is not None else ""
        return f"[{self.low}, {self.high}){of}"


@dataclass(frozen=True)
class PartitionedTable:
    """A table partitioned by ranges of one column; each partition is replaced as a whole.

    then_by  if set: a text column by whose values each range is partitioned again, see `ranges`
    key      unique in a partition and contains `by`: so it is unique in the table, or for a value
    narrow   columns whose least and greatest value each partition records: the planner then reads
             no partition that a condition on them rules out
    """

    schema: str
    name: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    by: str
    then_by: str | None = None
    narrow: tuple[str, ...] = ()

    @property
    def qualified(self) -> str:
        """The parent's name, quoted for SQL."""
        return f"{quote(self.schema)}.{quote(self.name)}"

    def ensure(self, conn: Connection) -> None:
        """Create the schema and the parent, or add the columns that the parent lacks.

        Use a transaction of its own: others wait for its end. Raises DataError if a
        column exists with another type.
        """
        if self._missing(conn) == []:
            return
        locks.lock_transaction(conn, f"table:{self.qualified}")
        # Schemas are shared by tables, and CREATE … IF NOT EXISTS alone can collide.
        locks.lock_transaction(conn, f"schema:{self.schema}")
        missing = self._missing(conn)
        with conn.cursor() as cursor:
            if missing is None:
                columns = ", ".join(f"{quote(c.name)} {c.type}" for c in self.columns)
                cursor.execute(f"CREATE SCHEMA IF NOT EXISTS {quote(self.schema)}")
                by = f"RANGE ({quote(self.by)})"
                cursor.execute(f"CREATE TABLE {self.qualified} ({columns}) PARTITION BY {by}")
            elif missing:
                added = ", ".join(f"ADD COLUMN {quote(c.name)} {c.type}" for c in missing)
                change = f"ALTER TABLE {self.qualified} {added}"
                locks.between_readers(conn, self.qualified, lambda: cursor.execute(change))

    def stage(self, conn: Connection, label: str) -> str:
        """Create an empty table of the parent's columns; return its name, quoted for SQL."""
        name = cut_to_fit(self.name, f"_{label}_{secrets.token_hex(4)}")
        staged = f"{quote(self.schema)}.{quote(name)}"
        # Not `LIKE parent`: that locks the parent until the transaction ends, and two
        # who stage and commit in one transaction each would wait for each other for ever.
        existing = self.existing_columns(conn)
        columns = ", ".join(f"{quote(column)} {kind}" for column, kind in existing.items())
        tag = {"staged_for": self.qualified, "at": datetime.now(UTC).isoformat()}
        with conn.cursor() as cursor:
            cursor.execute(f"CREATE TABLE {staged} ({columns})")
            cursor.execute(f"COMMENT ON TABLE {staged} IS %s", (json.dumps(tag),))
        return staged

    def commit(
        self,
        conn: Connection,
        staged: str,
        bounds: Bounds,
        row: LedgerRow,
        before_commit: Callable[[], None] = lambda: None,
        content: Content | None = None,
    ) -> bool:
        """Make `staged` the partition of `bounds`, in the caller's transaction.

        `before_commit` is called when all is done but the caller's COMMIT. `content` is what
        `measure` found when the table was filled; without it, commit measures. False if this
        partition id is live already: roll back, then `discard`. Raises DataError if rows
        are duplicate in `key`, outside of `bounds`, or not `row.rows`. A transaction that
        commits must not have read the parent before (it could wait for its like for ever).
        """
        content = content or self.measure(conn, staged)
        inside = self._condition(conn, bounds)
        self._expect_rows(content.rows, row.rows, bounds)
        self._expect_inside(conn, staged, bounds, inside, content)
        by_key = ", ".join(quote(name) for name in self.key)
        # With this CHECK, ATTACH need not scan the rows while it holds its locks.
        changes = [
            f"ADD PRIMARY KEY ({by_key})",
            f"ADD CONSTRAINT partition_bounds CHECK ({inside})",
        ]
        if within := content.range_of(self.narrow):
            changes.append(f"ADD CONSTRAINT partition_values CHECK ({within})")
        with conn.cursor() as cursor:
            # Slow work first, on the table that only we know of.
            try:
                cursor.execute(f"ALTER TABLE {staged} {', '.join(changes)}")
            except (psycopg2.errors.UniqueViolation, psycopg2.errors.NotNullViolation) as error:
                raise DataError(
                    f"{self.qualified}, partition {bounds}: rows must be unique and not null in"
                    f" ({', '.join(self.key)}). {server_message(error)}"
                ) from error
            # The primary key counted the rows: none has come since they were measured.
            cursor.execute(
                "SELECT greatest(reltuples, 0), greatest(reltuples, 0) = %s::real"
                " FROM pg_class WHERE oid = to_regclass(%s)",
                (row.rows, staged),
            )
            counted, equal = cursor.fetchone() or (0, False)
            self._expect_rows(row.rows if equal else int(counted), row.rows, bounds)
            if not ledger.write(conn, row):
                return False
        parent = self._parent(conn, bounds)
        locks.between_readers(conn, parent, lambda: self._swap(conn, parent, staged, bounds))
        before_commit()
        return True

    def _parent(self, conn: Connection, bounds: Bounds) -> str:
        """What the partition is attached to, quoted for SQL: the table or a range of it."""
        if (self.then_by is None) != (bounds.value is None):
            wanted = f"of one {self.then_by}" if self.then_by else "a whole range"
            raise DataError(f"A partition of {self.qualified} is {wanted}, not {bounds}.")
        if bounds.value is None:
            return self.qualified
        return range_table(conn, self, self._range(conn, bounds), bounds.low[:10])

    def _swap(self, conn: Connection, parent: str, staged: str, bounds: Bounds) -> None:
        values = self._values(conn, bounds)
        with conn.cursor() as cursor:
            for old in attached(conn, parent, values):  # whatever recipe they are of
                cursor.execute(f"ALTER TABLE {parent} DETACH PARTITION {old}")
                cursor.execute(f"DROP TABLE {old}")
            cursor.execute(f"ALTER TABLE {parent} ATTACH PARTITION {staged} {values}")

    def discard(self, conn: Connection, staged: str) -> None:
        """Drop a staged table; one that is attached by now, in use, or gone, is left alone."""
        with conn.cursor() as cursor:
            # The lock first: else its owner could attach it between our look and our drop.
            # It may go while we wait for the lock: attached, then replaced by another runner.
            cursor.execute("SAVEPOINT discard")
            cursor.execute(f"SET LOCAL lock_timeout = {LOCK_TIMEOUT_S * 1000:.0f}")
            try:
                cursor.execute(f"LOCK TABLE {staged} IN ACCESS EXCLUSIVE MODE")
            except (
                psycopg2.errors.UndefinedTable,
                psycopg2.errors.InvalidSchemaName,
                psycopg2.errors.LockNotAvailable,  # `orphans` finds it again
            ):
                cursor.execute("ROLLBACK TO SAVEPOINT discard")
                return
            cursor.execute("SET LOCAL lock_timeout TO DEFAULT")
            cursor.execute(
                "SELECT relispartition FROM pg_class WHERE oid = to_regclass(%s)", (staged,)
            )
            if cursor.fetchone() == (False,):
                cursor.execute(f"DROP TABLE {staged}")

    def orphans(self, conn: Connection, older_than: timedelta = timedelta(0)) -> list[str]:
        """Staged tables nobody attached, created at least `older_than` ago, quoted for SQL.

        A younger one may belong to somebody who is still filling it.
        """
        with conn.cursor() as cursor:
            cursor.execute(
                "SELECT c.relname, d.description FROM pg_class c"
                " JOIN pg_namespace n ON n.oid = c.relnamespace"
                " JOIN pg_description d ON d.objoid = c.oid AND d.objsubid = 0"
                "  AND d.classoid = 'pg_class'::regclass"
                " WHERE n.nspname = %s AND c.relkind = 'r' AND NOT c.relispartition"
                " AND d.description LIKE %s ORDER BY c.relname",
                (self.schema, '{"staged_for": %'),
            )
            found = cursor.fetchall()
        before = datetime.now(UTC) - older_than
        tags = [(name, json.loads(comment)) for name, comment in found]
        return [
            f"{quote(self.schema)}.{quote(name)}"
            for name, tag in tags
            if tag["staged_for"] == self.qualified and datetime.fromisoformat(tag["at"]) <= before
        ]

    def existing_columns(self, conn: Connection) -> dict[str, str]:
        """Name -> SQL type of the table's columns in order; empty if there is no such table."""
        with conn.cursor() as cursor:
            cursor.execute(
                "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute"
                " WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped"
                " ORDER BY attnum",
                (self.qualified,),
            )
            return dict(cursor.fetchall())

    def _missing(self, conn: Connection) -> list[Column] | None:
        """Columns that the parent lacks; None if there is no parent."""
        existing = self.existing_columns(conn)
        if not existing:
            return None
        missing = []
        types = [column.type for column in self.columns]
        known = self._each(conn, "format_type(to_regtype(%s), NULL)", types)
        for column, wanted in zip(self.columns, known, strict=True):
            found = existing.get(column.name)
            if found is None:
                missing.append(column)
            elif found != wanted:
                raise DataError(
                    f"Column {column.name!r} of {self.qualified} is {found!r} in the warehouse, "
                    f"but {wanted!r} in the code. Rename one of them, or migrate the table."
                )
        return missing

    def measure(self, conn: Connection, staged: str) -> Content:
        """Rows, checksum and ends of a filled table, for `commit`, in one scan."""
        checked = (self.by, *([self.then_by] if self.then_by else ()), *self.narrow)
        return Content.measure(conn, staged, checked)

    def _expect_rows(self, count: int, rows: int, bounds: Bounds) -> None:
        if count != rows:
            raise DataError(
                f"{self.qualified}, partition {bounds}: {count} rows arrived, {rows} were promised."
            )

    def _expect_inside(
        self, conn: Connection, staged: str, bounds: Bounds, inside: str, content: Content
    ) -> None:
        types = {c.name: c.type for c in self.columns if c.name in (self.by, self.then_by)}
        if content.lies_inside(conn, inside, types):
            return
        with conn.cursor() as cursor:
            cursor.execute(f"SELECT count(*) FROM {staged} WHERE ({inside}) IS NOT TRUE")  # noqa: S608
            (outside,) = cursor.fetchone() or (0,)
        ends = content.ends[self.by]
        raise DataError(
            f"{self.qualified}, partition {bounds}: {outside} of {content.rows} rows lie outside"
            f" ({self.by} from {ends.least} to {ends.greatest})."
        )

    def _literals(self, conn: Connection, bounds: Bounds) -> tuple[str, str]:
        """The bounds as the server prints them for the column's type, quoted."""
        kind = next(c.type for c in self.columns if c.name == self.by)
        low, high = self._each(conn, f"(%s::{kind})::text", [bounds.low, bounds.high])
        return literal(low), literal(high)

    def _condition(self, conn: Connection, bounds: Bounds) -> str:
        by, (low, high) = quote(self.by), self._literals(conn, bounds)
        condition = f"{by} IS NOT NULL AND {by} >= {low} AND {by} < {high}"
        if self.then_by is None or bounds.value is None:
            return condition
        column = quote(self.then_by)
        return f"{condition} AND {column} IS NOT NULL AND {column} = {literal(bounds.value)}"

    def _values(self, conn: Connection, bounds: Bounds) -> str:
        """The bound of the partition in what it is attached to, as the server prints it."""
        if bounds.value is None:
            return self._range(conn, bounds)
        return f"FOR VALUES IN ({literal(bounds.value)})"

    def _range(self, conn: Connection, bounds: Bounds) -> str:
        low, high = self._literals(conn, bounds)
        return f"FOR VALUES FROM ({low}) TO ({high})"

    @staticmethod
    def _each(conn: Connection, expression: str, values: list[str]) -> list[Any]:
        """What the server makes of each value, in one statement."""
        with conn.cursor() as cursor:
            cursor.execute(f"SELECT {', '.join([expression] * len(values))}", values)
            return list(cursor.fetchone() or ())
