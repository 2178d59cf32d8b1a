"""Spark: the session, the canonical schemas, quality counts, neighbour features, the gold load."""
