"""Spark: in a JVM of this process, on a Connect server, or on a cluster."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from luigi_traffic.api import spark_links
from luigi_traffic.compute import checksum
from luigi_traffic.compute.engine import Engine, File, Schema, Through, Written
from luigi_traffic.settings.keys import Settings
from luigi_traffic.spark.load import copy_to
from luigi_traffic.spark.session import session

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import Column, DataFrame, SparkSession

    from luigi_traffic.lake.attempt import Attempt
    from luigi_traffic.lake.store import ObjectStore
    from luigi_traffic.warehouse.dsn import Dsn
    from luigi_traffic.warehouse.partitions import Column as TableColumn


class SparkEngine(Engine):
    """Counts are observed in the pass that writes: there is no second scan."""

    name: ClassVar[str] = "spark"

    def __init__(self, given: SparkSession | Settings) -> None:
        """On that session, or on the one of this process, which those settings start."""
        self._given = given

    def session(self) -> SparkSession:  # noqa: D102
        return session(self._given) if isinstance(self._given, Settings) else self._given

    def address(self, store: ObjectStore, key: str) -> str:  # noqa: D102
        return store.spark_pattern(key)

    def schema(self, frame: DataFrame) -> list[dict[str, str]]:  # noqa: D102
        return [{"name": f.name, "type": f.dataType.simpleString()} for f in frame.schema.fields]

    def read(  # noqa: D102
        self, store: ObjectStore, files: Sequence[File], schema: Schema
    ) -> DataFrame:
        ddl = ", ".join(f"`{column['name']}` {column['type']}" for column in schema)
        urls = [store.spark_pattern(file["key"]) for file in files]
        if not urls:
            return self.session().createDataFrame([], ddl)
        return self.session().read.schema(ddl).parquet(*urls)

    def table(self, rows: pa.Table) -> DataFrame:  # noqa: D102
        return self.session().createDataFrame(rows)

    def marked(self, frame: DataFrame, links: Sequence[str], name: str) -> DataFrame:  # noqa: D102
        return spark_links.marked(frame, "link_id", links, name)

    def counted(  # noqa: D102
        self, frame: DataFrame, wanted: Mapping[str, Column]
    ) -> tuple[DataFrame, Callable[[], Mapping[str, Any]]]:
        from pyspark.sql import Observation

        observation = Observation()
        named = [column.alias(name) for name, column in wanted.items()]
        return frame.observe(observation, *named), lambda: dict(observation.get)

    def write(  # noqa: D102
        self, frame: DataFrame, store: ObjectStore, attempt: Attempt, wanted: Mapping[str, Column]
    ) -> Written:
        sums = checksum.spark_aggregates(self.schema(frame))
        observed, found = self.counted(frame, {**wanted, **sums})
        observed.write.parquet(store.spark_url(attempt.prefix))
        keys = [info.key for info in store.list(attempt.prefix) if info.key.endswith(".parquet")]
        sealed = [store.seal(key) for key in keys]
        files = [{"key": s.key, "size": s.size, "checksum": s.checksum} for s in sealed]
        values = dict(found())
        return Written(files, values, checksum.of_sums(values))

    def checksum(self, frame: DataFrame) -> str:  # noqa: D102
        sums = checksum.spark_aggregates(self.schema(frame))
        row = frame.agg(*[column.alias(name) for name, column in sums.items()]).collect()[0]
        return checksum.of_sums(row.asDict())

    def collect(self, frame: DataFrame) -> list[dict[str, Any]]:  # noqa: D102
        rows: list[dict[str, Any]] = frame.toArrow().to_pylist()
        return rows

    def load(  # noqa: D102
        self,
        frame: DataFrame,
        dsn: Dsn,
        table: str,
        columns: Sequence[TableColumn],
        through: Through | None = None,
    ) -> int:
        if through is not None:
            frame = frame.repartition("timestamp").sortWithinPartitions("timestamp")
        return copy_to(frame, dsn, table, columns, through)
