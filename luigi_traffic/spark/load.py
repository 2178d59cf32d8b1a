"""The gold load: binary COPY into a staging table, from the executors, a partition each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame

    from luigi_traffic.warehouse.dsn import Dsn
    from luigi_traffic.warehouse.partitions import Column


def copy_to(frame: DataFrame, dsn: Dsn, table: str, columns: Sequence[Column]) -> int:
    """Copy all rows into an empty standalone table; the number of rows that were sent.

    Each Spark partition is one transaction. Should Spark run a partition twice, the rows
    are there twice: the caller compares counts and builds a primary key before the commit.
    """
    from pyspark.sql import functions as F

    wanted = tuple(columns)

    def load(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        import pyarrow

        from luigi_traffic.warehouse.binary import copy_in
        from luigi_traffic.warehouse.connection import RETRY_AGAIN_S
        from luigi_traffic.warehouse.opening import connect_patiently

        connection: Any = connect_patiently(dsn, RETRY_AGAIN_S)
        try:
            rows = 0
            with connection:
                for batch in batches:
                    rows += copy_in(connection, table, wanted, batch)
        finally:
            connection.close()
        yield pyarrow.RecordBatch.from_pydict({"rows": pyarrow.array([rows], pyarrow.int64())})

    sent = frame.select(*[c.name for c in wanted]).mapInArrow(load, "rows bigint")
    return int(sent.agg(F.coalesce(F.sum("rows"), F.lit(0)).alias("rows")).collect()[0]["rows"])
