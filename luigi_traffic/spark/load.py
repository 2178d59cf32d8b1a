"""The gold load: binary COPY into a staging table, from the executors, a partition each."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from luigi_traffic import errors

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame

    from luigi_traffic.errors import TrafficError
    from luigi_traffic.warehouse.dsn import Dsn
    from luigi_traffic.warehouse.partitions import Column


def copy_to(
    frame: DataFrame,
    dsn: Dsn,
    table: str,
    columns: Sequence[Column],
    through: Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]] | None = None,
) -> int:
    """Copy all rows into an empty standalone table; the number of rows that were sent.

    `through` makes the rows of `columns` of those of a Spark partition, on the executor.
    Each Spark partition is one transaction. Should Spark run a partition twice, the rows
    are there twice: the caller compares counts and builds a primary key before the commit.
    Raises StoreError, SettingsError or DataError for what an executor could not do.
    """
    from pyspark.errors import PySparkException
    from pyspark.sql import functions as F

    wanted = tuple(columns)

    def load(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        import pyarrow

        from luigi_traffic.warehouse.load import load_batches

        rows = load_batches(dsn, table, wanted, batches if through is None else through(batches))
        yield pyarrow.RecordBatch.from_pydict({"rows": pyarrow.array([rows], pyarrow.int64())})

    if through is None:
        frame = frame.select(*[c.name for c in wanted])
    sent = frame.mapInArrow(load, "rows bigint")
    try:
        total = sent.agg(F.coalesce(F.sum("rows"), F.lit(0)).alias("rows")).collect()
    except PySparkException as error:
        raise _own(error) or error from error
    return int(total[0]["rows"])


def _own(error: Exception) -> TrafficError | None:
    """Our error out of a traceback that Spark brings from an executor as text."""
    found = re.search(rf"^{errors.__name__}\.(\w+): (.+)$", str(error), re.MULTILINE)
    kind = getattr(errors, found[1], None) if found else None
    return kind(found[2]) if found and kind else None
