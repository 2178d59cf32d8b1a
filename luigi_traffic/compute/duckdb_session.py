"""One DuckDB a process, with SQLFrame's data frames over it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.resources import files
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar
from uuid import uuid4

import duckdb
import psutil
import pyarrow as pa
from sqlframe.base.session import _BaseSession
from sqlframe.duckdb import DuckDBSession
from sqlglot import Dialect, exp

from luigi_traffic.compute.duckdb_frames import Frame
from luigi_traffic.compute.lines import Lines

if TYPE_CHECKING:
    from luigi_traffic.api.dataset import RawDay
    from luigi_traffic.settings.engine_keys import ComputeSettings

#: The types of partitions: Spark's name, and DuckDB's.
TYPES = {
    "string": "VARCHAR", "double": "DOUBLE", "float": "FLOAT", "boolean": "BOOLEAN",
    "tinyint": "TINYINT", "smallint": "SMALLINT", "int": "INTEGER", "bigint": "BIGINT",
    "date": "DATE", "timestamp_ntz": "TIMESTAMP",
}  # fmt: skip
_NAMES = {theirs: ours for ours, theirs in TYPES.items()}
_PATTERN_SIGNS = re.compile(r"[\[*?]")
_LEAST_MEMORY = 1 << 30
#: More memory does not make a large day faster, see docs/decisions/0054-growth.md.
_MOST_MEMORY, _MOST_A_THREAD = 2 << 30, 256 << 20


class Session(DuckDBSession):
    """SQLFrame's session with what the core's functions need."""

    _df = Frame
    _number = count()
    _views: ClassVar[list[str]] = []

    def _named(self) -> str:
        self._views.append(f"lt_{next(self._number)}")
        return self._views[-1]

    @contextmanager
    def views(self) -> Iterator[None]:
        """Drop at the end of the block what frames made in it refer to: it may be large."""
        before = len(self._views)
        try:
            yield
        finally:
            for name in self._views[before:]:
                self._conn.execute(f"DROP VIEW IF EXISTS {name}")
            del self._views[before:]

    def view_of(self, data: Any) -> str:
        """The name of a view of data that Arrow can read."""
        name = self._named()
        self._conn.register(name, data)
        return name

    def query(self, sql: str, columns: Sequence[str] = ()) -> Frame:
        """A frame of DuckDB's own SQL, whose columns are `columns`, if they are known."""
        # SQLFrame translates a statement by way of Spark's SQL, which reads other quotes and
        # escapes in it, for example in the path of a file: so it gets to see the names alone.
        view = self._named()
        self._conn.execute(f"CREATE TEMP VIEW {view} AS {sql}")
        names = columns or [column["name"] for column in self.schema(f"FROM {view}")]
        # In small letters, as SQLFrame has all names; DuckDB makes no difference.
        found = [exp.column(exp.to_identifier(name.lower(), quoted=True)) for name in names]
        made: Any = self._create_df(exp.select(*found).from_(view))
        frame: Frame = made._convert_leaf_to_cte()
        return frame

    def lines(self, raw: RawDay) -> Frame:
        """The lines of a day, see `luigi_traffic.functions.lines`."""
        return self.query(f"SELECT line FROM {self.view_of(Lines(raw))}", ["line"])

    def aggregates(self, sql: str, wanted: Mapping[str, Any]) -> dict[str, Any]:
        """The values of those columns, which are SQLFrame's, over the rows of a statement."""
        # Not by a frame: SQLFrame would copy the plan, and write it again.
        select = exp.select(*(column.alias(name).expression for name, column in wanted.items()))
        over = self._to_sql(select.from_("lt_rows"), dialect=Dialect.get_or_raise("duckdb"))
        (row,) = self.arrow(f"WITH lt_rows AS ({sql}) {over}").read_all().to_pylist()
        return dict(zip(wanted, row.values(), strict=True))

    def execute(self, sql: str) -> duckdb.DuckDBPyConnection:
        """Run a statement."""
        return self._conn.execute(sql)

    def arrow(self, sql: str) -> pa.RecordBatchReader:
        """The rows of a statement, batch by batch."""
        return self._conn.sql(sql).to_arrow_reader()

    def schema(self, sql: str) -> list[dict[str, str]]:
        """Its columns, types by Spark's names."""
        rows = self._conn.execute(f"DESCRIBE {sql}").fetchall()
        return [{"name": name, "type": _NAMES.get(kind, kind.lower())} for name, kind, *_ in rows]


def quoted(text: str) -> str:
    """A text as a literal of SQL."""
    return exp.Literal.string(text).sql(dialect="duckdb")


def path_pattern(path: str) -> str:
    """A path as a literal for `read_parquet`, which takes `[`, `*` and `?` for a pattern."""
    return quoted(_PATTERN_SIGNS.sub(r"[\g<0>]", path))


def named(column: str) -> str:
    """The name of a column, in SQL."""
    return exp.to_identifier(column, quoted=True).sql(dialect="duckdb")


def typed(schema: Sequence[Mapping[str, str]], source: str) -> str:
    """A query of the columns of that schema."""
    columns = ", ".join(
        f"CAST({named(c['name'])} AS {TYPES.get(c['type'], c['type'])}) AS {named(c['name'])}"
        for c in schema
    )
    return f"SELECT {columns} FROM {source}"


_sessions: dict[int, Session] = {}


def session(chosen: ComputeSettings, home: Path) -> Session:
    """The session of this process. Luigi forks its workers: that of the parent does not work in
    the child, and to close it there would wait for threads that are the parent's."""
    if os.getpid() not in _sessions:
        # SQLFrame has one session, and would give that of the parent.
        _BaseSession._instance = None
        _sessions[os.getpid()] = _start(chosen, home)
    return _sessions[os.getpid()]


def _start(chosen: ComputeSettings, home: Path) -> Session:
    # Its own, since two DuckDBs would write files of the same names; made and removed by DuckDB.
    scratch = home / "tmp" / "duckdb" / f"{os.getpid()}-{uuid4().hex[:8]}"
    scratch.parent.mkdir(parents=True, exist_ok=True)
    connection = duckdb.connect(
        config={
            "memory_limit": chosen.memory or f"{default_memory()}B",
            "temp_directory": str(scratch),
            # No row has a place: partitions are sets of rows.
            "preserve_insertion_order": "false",
            # Nothing is fetched from the network.
            "autoinstall_known_extensions": "false",
        }
    )
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute((files("luigi_traffic.api") / "duckdb_macros.sql").read_text())
    return Session(connection)


def default_memory() -> int:
    """Bytes that DuckDB may take unless the settings say it. What needs more goes to its files."""
    most = max(_MOST_MEMORY, (os.cpu_count() or 1) * _MOST_A_THREAD)
    return max(_LEAST_MEMORY, min(psutil.virtual_memory().total // 4, most))
