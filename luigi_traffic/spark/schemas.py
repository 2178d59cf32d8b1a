"""Canonical columns of silver and gold, and reading partitions with their committed schema."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from luigi_traffic.api.columns import COUNTS, MEASURES, SILVER
from luigi_traffic.errors import DataError, did_you_mean

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from luigi_traffic.api.dataset import Dataset
    from luigi_traffic.lake.attempt import Attempt
    from luigi_traffic.lake.manifest import Manifest
    from luigi_traffic.lake.store import ObjectStore

#: The columns that bronze must have besides those its dataset reads in silver.
BRONZE = {"reject_reason": "string", "raw_line": "string"}


def canonical_silver(frame: DataFrame, dataset: Dataset) -> DataFrame:
    """The frame in the canonical order and types, the dataset's extra columns at the end.

    Raises `DataError` naming a column that lacks, or one that nobody declared.
    """
    from pyspark.sql import functions as F

    measures, extra = dataset.measures, dataset.extra_columns
    required = [name for name in measures if name not in dataset.optional_measures]
    _require(frame, ["timestamp", "link_id", *required, "n_obs", *extra], "silver")
    unmeasured = {name for m in MEASURES if m not in measures for name in (m, COUNTS[m])}
    kinds = {name: kind for name, kind in SILVER.items() if name not in unmeasured}
    kinds |= dict.fromkeys(extra, "double")
    for name in frame.columns:
        if name not in kinds:
            said = "measures" if name in MEASURES else "extra_columns"
            raise DataError(
                f"the dataset plugin's silver() returned the column {name!r}, which would be "
                f"lost: add it to {said} of the dataset, or remove it."
            )
    return frame.select(
        *[
            F.col(name).cast(kind).alias(name)
            for name, kind in kinds.items()
            if name in frame.columns
        ]
    )


def checked_bronze(frame: DataFrame) -> DataFrame:
    """The frame, if it has what the core reads."""
    _require(frame, list(BRONZE), "bronze")
    return frame


def _require(frame: DataFrame, names: list[str], stage: str) -> None:
    for name in names:
        if name not in frame.columns:
            raise DataError(
                f"the dataset plugin's {stage}() returned no column {name!r}."
                + did_you_mean(name, frame.columns)
            )


def schema_of(frame: DataFrame) -> list[dict[str, str]]:
    """Columns and Spark types, as the manifest keeps them."""
    return [{"name": f.name, "type": f.dataType.simpleString()} for f in frame.schema.fields]


def read_partition(spark: SparkSession, store: ObjectStore, manifest: Manifest) -> DataFrame:
    """The Parquet files of a committed partition, and no other file that lies beside them."""
    return read_files(spark, store, manifest.files, manifest.schema)


def read_files(
    spark: SparkSession,
    store: ObjectStore,
    files: Sequence[Mapping[str, Any]],
    schema: Sequence[Mapping[str, str]],
) -> DataFrame:
    """Parquet files of that schema, as manifests name both."""
    ddl = ", ".join(f"`{column['name']}` {column['type']}" for column in schema)
    urls = [store.spark_pattern(file["key"]) for file in files]
    if not urls:
        return spark.createDataFrame([], ddl)
    return spark.read.schema(ddl).parquet(*urls)


def write_partition(frame: DataFrame, store: ObjectStore, attempt: Attempt) -> list[dict[str, Any]]:
    """Write Parquet into an attempt, durably; the files as manifests name them."""
    frame.write.parquet(store.spark_url(attempt.prefix))
    keys = [info.key for info in store.list(attempt.prefix) if info.key.endswith(".parquet")]
    sealed = [store.seal(key) for key in keys]
    return [{"key": s.key, "size": s.size, "checksum": s.checksum} for s in sealed]
