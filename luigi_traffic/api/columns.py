"""Names and types of columns."""

from __future__ import annotations

#: Bytes of a table's or column's name: PostgreSQL cuts off longer ones, silently.
MAX_NAME = 63
#: What a dataset may measure, in the order of silver's columns.
MEASURES = ("speed", "flow", "occupancy", "travel_time", "density")
#: Of how many rows the mean of a measure is: columns that silver may have.
COUNTS = {measure: f"n_{measure}" for measure in MEASURES}
#: Silver and its types in Spark, in order; a dataset's `extra_columns` follow.
SILVER = {
    "timestamp": "timestamp_ntz",
    "link_id": "string",
    **dict.fromkeys(MEASURES, "double"),
    "n_obs": "int",
    **dict.fromkeys(COUNTS.values(), "int"),
}
#: What gold adds: means of the links around one, upstream first (`LinkGraph.neighbours`).
NEIGHBOURS = ("t2", "t1", "f1", "f2")
#: Names that `extra_columns` may not have: gold's own, bronze's, channels of models that are made
#: of the timestamp, and columns that PostgreSQL gives to every table.
RESERVED = frozenset({
    *SILVER, *NEIGHBOURS,
    "reject_reason", "raw_line",
    "time_of_day", "day_of_week", "target",
    "tableoid", "xmin", "cmin", "xmax", "cmax", "ctid",
})  # fmt: skip


def name_problem(name: str) -> str:
    """What is wrong with a name that PostgreSQL would cut off; empty if nothing is."""
    size = len(name.encode())
    if size <= MAX_NAME:
        return ""
    return (
        f"has {size} bytes, but PostgreSQL allows {MAX_NAME} for the name of a table or column: "
        f"shorten it, for example to {name.encode()[:MAX_NAME].decode(errors='ignore')!r}"
    )
