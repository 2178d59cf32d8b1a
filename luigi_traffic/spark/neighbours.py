"""Gold's neighbour features: means up- and downstream, by a join over the road graph."""

from __future__ import annotations

from typing import TYPE_CHECKING

from luigi_traffic.api.columns import NEIGHBOURS
from luigi_traffic.api.functions import exact_mean
from luigi_traffic.api.graph import LinkGraph

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


def with_neighbours(
    spark: SparkSession, silver: DataFrame, graph: LinkGraph | None, target: str
) -> DataFrame:
    """Silver with t2, t1, f1, f2: mean of `target` at the same time of the links that flow into a
    link (t1), one hop further (t2), and the same downstream (f1, f2); NULL where none reports.
    """
    from pyspark.sql import functions as F

    pairs = (
        [(f, link, near) for f, found in graph.neighbours().items() for link, near in found]
        if graph
        else []
    )
    if not pairs:
        return silver.select("*", *[F.lit(None).cast("double").alias(f) for f in NEIGHBOURS])
    edges = spark.createDataFrame(pairs, "feature string, link_id string, near string")
    near = silver.select("timestamp", F.col("link_id").alias("near"), F.col(target).alias("seen"))
    seen = {name: F.when(F.col("feature") == name, F.col("seen")) for name in NEIGHBOURS}
    means = (
        edges.join(near, "near")
        .groupBy("timestamp", "link_id")
        .agg(*[exact_mean(value).alias(name) for name, value in seen.items()])
    )
    return silver.join(means, ["timestamp", "link_id"], "left")
