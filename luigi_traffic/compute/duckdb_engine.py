"""DuckDB: in this process, for what one machine can do. It needs no Java."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from luigi_traffic.compute import checksum, row_hash
from luigi_traffic.compute.duckdb_frames import Frame
from luigi_traffic.compute.duckdb_session import (
    Session,
    named,
    path_pattern,
    quoted,
    session,
    typed,
)
from luigi_traffic.compute.engine import Engine, File, Schema, Through, Written
from luigi_traffic.errors import SettingsError, StoreError
from luigi_traffic.warehouse.load import load_batches

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

    from luigi_traffic.lake.attempt import Attempt
    from luigi_traffic.lake.store import ObjectStore
    from luigi_traffic.settings.keys import Settings
    from luigi_traffic.warehouse.dsn import Dsn
    from luigi_traffic.warehouse.partitions import Column as TableColumn

_FILE = "part-00000.parquet"
#: Rows that are hashed at once, in the cache of the processor.
_ROWS = 16_384


class DuckDbEngine(Engine):
    """Counts are taken of the Parquet just written, of the columns that they need."""

    name: ClassVar[str] = "duckdb"
    reads_archives: ClassVar[bool] = True

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    @contextmanager
    def in_force(self) -> Iterator[None]:
        """Frames that are made inside the block can be used inside it alone.

        Raises `SettingsError` or `StoreError` if DuckDB has too little memory or disk in it.
        """
        try:
            with super().in_force(), self.session().views():
                yield
        except duckdb.OutOfMemoryException as e:
            raise SettingsError(
                f"DuckDB needs more memory than it may take: {e}. Set compute.memory to more, or "
                "compute.engine to spark"
            ) from e
        except duckdb.IOException as e:
            raise StoreError(f"DuckDB cannot read or write a file: {e}") from e

    def before_fork(self) -> None:
        """Import the rest; this module has imported DuckDB and SQLFrame, a second and more."""
        pa.scalar(0)  # with the first value, pyarrow imports pandas, if it is there

    def session(self) -> Session:  # noqa: D102
        return session(self._settings.compute, self._settings.home)

    def address(self, store: ObjectStore, key: str) -> str:  # noqa: D102
        return str(_path(store, key))

    def schema(self, frame: DataFrame) -> list[dict[str, str]]:  # noqa: D102
        return _ours(frame).described

    def read(  # noqa: D102
        self, store: ObjectStore, files: Sequence[File], schema: Schema
    ) -> DataFrame:
        paths = ", ".join(path_pattern(self.address(store, file["key"])) for file in files)
        if paths:
            source = f"read_parquet([{paths}])"
        else:
            nothing = ", ".join(f"NULL AS {named(column['name'])}" for column in schema)
            source = f"(SELECT {nothing} WHERE false)"
        return self._frame(typed(schema, source), [column["name"] for column in schema])

    def _frame(self, sql: str, columns: Sequence[str]) -> DataFrame:
        frame: Any = self.session().query(sql, columns)
        return frame  # type: ignore[no-any-return]

    def table(self, rows: pa.Table) -> DataFrame:  # noqa: D102
        view = self.session().view_of(rows)
        columns = ", ".join(map(named, rows.column_names))
        return self._frame(f"SELECT {columns} FROM {view}", rows.column_names)

    def marked(self, frame: DataFrame, links: Sequence[str], name: str) -> DataFrame:  # noqa: D102
        view = self.session().view_of(pa.table({"link": pa.array(links, pa.string())}))
        mark = f"link_id IN (SELECT link FROM {view}) AS {named(name)}"
        return self._frame(f"SELECT *, {mark} FROM ({_sql(frame)})", [*frame.columns, name])

    def counted(  # noqa: D102
        self, frame: DataFrame, wanted: Mapping[str, Column]
    ) -> tuple[DataFrame, Callable[[], Mapping[str, Any]]]:
        return frame, lambda: self._values(_sql(frame), wanted)

    def _values(self, sql: str, wanted: Mapping[str, Column]) -> Mapping[str, Any]:
        if not wanted:
            return {}
        found = self.session().aggregates(sql, wanted)
        return {name: _plain(value) for name, value in found.items()}

    def write(  # noqa: D102
        self, frame: DataFrame, store: ObjectStore, attempt: Attempt, wanted: Mapping[str, Column]
    ) -> Written:
        key = attempt.key(_FILE)
        path = _path(store, key)
        path.parent.mkdir(parents=True, exist_ok=True)
        self.session().execute(
            f"COPY ({_sql(frame)}) TO {quoted(str(path))} (FORMAT parquet, COMPRESSION zstd)"
        )
        sealed = store.seal(key)
        files = [{"key": sealed.key, "size": sealed.size, "checksum": sealed.checksum}]
        schema = self.schema(frame)
        values = self._values(typed(schema, f"read_parquet({path_pattern(str(path))})"), wanted)
        columns = checksum.order(schema)
        batches = pq.ParquetFile(path).iter_batches(_ROWS, columns=columns)
        found = row_hash.checksum(batch.select(columns) for batch in batches)
        return Written(files, values, found)

    def checksum(self, frame: DataFrame) -> str:  # noqa: D102
        columns = checksum.order(self.schema(frame))
        reader = self.session().arrow(_sql(frame))
        return row_hash.checksum(batch.select(columns) for batch in reader)

    def collect(self, frame: DataFrame) -> list[dict[str, Any]]:  # noqa: D102
        rows = self.session().arrow(_sql(frame)).read_all().to_pylist()
        return [{name: _plain(value) for name, value in row.items()} for row in rows]

    def load(  # noqa: D102
        self,
        frame: DataFrame,
        dsn: Dsn,
        table: str,
        columns: Sequence[TableColumn],
        through: Through | None = None,
    ) -> int:
        if through is None:
            return load_batches(dsn, table, columns, self.session().arrow(_sql(frame)))
        rows = self.session().arrow(_sql(frame.orderBy("timestamp")))
        return load_batches(dsn, table, columns, through(rows))


def _ours(frame: Any) -> Frame:
    """All frames of the session are of this class."""
    found: Frame = frame
    return found


def _sql(frame: Any) -> str:
    return _ours(frame).text


def _plain(value: Any) -> Any:
    """A sum of integers has 128 bits in DuckDB, and is a decimal in Arrow."""
    return int(value) if isinstance(value, Decimal) and value == int(value) else value


def _path(store: ObjectStore, key: str) -> Path:
    path = store.local_path(key)
    if path is None:
        raise SettingsError(
            f"the engine duckdb works on a lake in a folder, but the lake is {store.describe()}. "
            "Set compute.engine to spark"
        )
    return path
