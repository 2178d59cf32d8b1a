"""What runs the plans of bronze, silver and gold: Spark, or DuckDB in this process.

Plans are of the DataFrame API that both have. An engine does what is not in it: it reads and
writes partitions, takes counts in the pass that writes, and loads the warehouse.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from luigi_traffic.api.functions import on_engine

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import Column, DataFrame

    from luigi_traffic.lake.attempt import Attempt
    from luigi_traffic.lake.store import ObjectStore
    from luigi_traffic.settings.keys import Settings
    from luigi_traffic.warehouse.dsn import Dsn
    from luigi_traffic.warehouse.partitions import Column as TableColumn

#: A column of a partition: its name, and its type by Spark's name.
Schema = Sequence[Mapping[str, str]]
File = Mapping[str, Any]
#: Batches of rows, made of batches of rows.
Through = Callable[[Iterable["pa.RecordBatch"]], Iterator["pa.RecordBatch"]]


@dataclass(frozen=True)
class Written:
    """A partition that was written: its files as manifests name them, the aggregates that were
    asked for, and the checksum of its rows (`luigi_traffic.compute.checksum`)."""

    files: list[dict[str, Any]]
    values: Mapping[str, Any]
    checksum: str


class Engine(ABC):
    """One of the engines."""

    name: ClassVar[str]
    #: Whether it reads the text of ZIP and gzip as fast as pieces of lines.
    reads_archives: ClassVar[bool] = False

    def in_force(self) -> AbstractContextManager[None]:
        """Let `luigi_traffic.functions` make columns for this engine inside the block, which its
        frames do not outlive."""
        return on_engine(self.name)

    @abstractmethod
    def session(self) -> Any:
        """What datasets get as `spark`: the session of this process."""

    @abstractmethod
    def address(self, store: ObjectStore, key: str) -> str:
        """Where this engine finds an object of the lake."""

    @abstractmethod
    def schema(self, frame: DataFrame) -> list[dict[str, str]]:
        """The columns of a plan, as the manifest keeps them."""

    @abstractmethod
    def read(self, store: ObjectStore, files: Sequence[File], schema: Schema) -> DataFrame:
        """Parquet files of that schema, and no other file that lies beside them."""

    @abstractmethod
    def table(self, rows: pa.Table) -> DataFrame:
        """A frame of rows that this process has."""

    @abstractmethod
    def marked(self, frame: DataFrame, links: Sequence[str], name: str) -> DataFrame:
        """The frame with a column `name`: whether `link_id` is one of the links; NULL of NULL.

        There is at least one link. They are a table beside the plan: of literals of `isin`, each
        step of a plan would copy and write all.
        """

    @abstractmethod
    def counted(
        self, frame: DataFrame, wanted: Mapping[str, Column]
    ) -> tuple[DataFrame, Callable[[], Mapping[str, Any]]]:
        """The frame, and a function that gives its aggregates once the frame has been used."""

    @abstractmethod
    def write(
        self, frame: DataFrame, store: ObjectStore, attempt: Attempt, wanted: Mapping[str, Column]
    ) -> Written:
        """Write Parquet into an attempt, durably, with aggregates of what was written."""

    @abstractmethod
    def checksum(self, frame: DataFrame) -> str:
        """The checksum of a plan's rows."""

    @abstractmethod
    def collect(self, frame: DataFrame) -> list[dict[str, Any]]:
        """All rows of a plan."""

    @abstractmethod
    def load(
        self,
        frame: DataFrame,
        dsn: Dsn,
        table: str,
        columns: Sequence[TableColumn],
        through: Through | None = None,
    ) -> int:
        """Copy all rows into an empty standalone table; the number of rows that were sent.

        `through` makes what is sent of the frame's rows. It gets them in the order of their
        `timestamp`, all rows of a time in one call; on Spark it is called once a partition.

        Rows may have been sent twice: the caller compares counts and builds a primary key.
        """

    def before_fork(self) -> None:  # noqa: B027 - most have nothing to do
        """Do once what each of Luigi's forked workers would do again, but start nothing."""


def engine_of(settings: Settings) -> Engine:
    """The engine that the settings choose."""
    if settings.engine == "duckdb":
        import duckdb  # noqa: F401 - if it is missing, the error names its extra, not pyarrow's

        from luigi_traffic.compute.duckdb_engine import DuckDbEngine

        return DuckDbEngine(settings)
    from luigi_traffic.compute.spark_engine import SparkEngine

    return SparkEngine(settings)
