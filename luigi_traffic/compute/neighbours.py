"""Gold's neighbour features: means up- and downstream, by a join over the road graph."""

from __future__ import annotations

from typing import TYPE_CHECKING

from luigi_traffic.api import functions as F
from luigi_traffic.api.columns import NEIGHBOURS
from luigi_traffic.api.graph import LinkGraph
from luigi_traffic.compute.engine import Engine

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def with_neighbours(
    engine: Engine, silver: DataFrame, graph: LinkGraph | None, target: str
) -> DataFrame:
    """Silver with t2, t1, f1, f2: mean of `target` at the same time of the links that flow into a
    link (t1), one hop further (t2), and the same downstream (f1, f2); NULL where none reports.
    """
    import pyarrow as pa

    pairs = (
        [(f, link, near) for f, found in graph.neighbours().items() for link, near in found]
        if graph
        else []
    )
    if not pairs:
        return silver.select("*", *[F.lit(None).cast("double").alias(f) for f in NEIGHBOURS])
    features, links, others = zip(*pairs, strict=True)
    # Names of their own: engines differ in what a join makes of a name that both sides have.
    edges = engine.table(pa.table({"feature": features, "of": links, "near": others}))
    seen = silver.select(
        F.col("timestamp").alias("at"),
        F.col("link_id").alias("seen_link"),
        F.col(target).alias("seen"),
    )
    values = {name: F.when(F.col("feature") == name, F.col("seen")) for name in NEIGHBOURS}
    means = (
        edges.join(seen, F.col("near") == F.col("seen_link"))
        .groupBy("at", "of")
        .agg(*[F.exact_mean(value).alias(name) for name, value in values.items()])
    )
    same = (F.col("timestamp") == F.col("at")) & (F.col("link_id") == F.col("of"))
    return silver.join(means, same, "left").select(*silver.columns, *NEIGHBOURS)
