"""Rows of some links on Spark, for its engine and its functions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_LINK = "lt_link"


def marked(frame: DataFrame, column: str, links: Sequence[str], name: str) -> DataFrame:
    """The frame with a column `name`: whether `column` is one of the links, NULL if it is NULL.

    The links are a table that each executor gets whole. As literals, thousands of them would be in
    every plan that is made of the frame.
    """
    import pyarrow as pa
    from pyspark.sql import functions as F

    # Each once: a row must find one link at most.
    rows = pa.table({_LINK: pa.array(sorted(set(links)), pa.string())})
    known = F.broadcast(frame.sparkSession.createDataFrame(rows))
    joined = frame.join(known, F.col(column) == F.col(_LINK), "left")
    mark = F.when(F.col(column).isNotNull(), F.col(_LINK).isNotNull())
    return joined.withColumn(name, mark).drop(_LINK)
