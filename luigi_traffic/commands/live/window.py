"""The newest intervals as a `Series`: live rows, and gold of the days that have it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from luigi_traffic.api.columns import NEIGHBOURS
from luigi_traffic.api.dataset import Dataset
from luigi_traffic.api.graph import LinkGraph
from luigi_traffic.compute.neighbours import NeighbourMeans
from luigi_traffic.training.gold import LinkCodes
from luigi_traffic.training.series import Series
from luigi_traffic.warehouse import live
from luigi_traffic.warehouse.binary import Block, copy_out
from luigi_traffic.warehouse.sql_names import quote
from luigi_traffic.warehouse.tables import gold_table

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection

    from luigi_traffic.warehouse.connection import Warehouse


def read_window(
    warehouse: Warehouse,
    dataset: Dataset,
    graph: LinkGraph | None,
    columns: Sequence[str],
    target: str,
    first: datetime,
    end: datetime,
) -> Series:
    """Columns of gold from `first` to before `end`, wall times on the dataset's grid.

    Of links that report; NaN where nothing is observed. Neighbour features are computed here, as
    gold has them: live rows change too often to keep theirs.
    """
    measured = [name for name in dict.fromkeys((target, *columns)) if name not in NEIGHBOURS]
    rows = _rows(warehouse, dataset.name, measured, first, end)
    values = {name: rows[name].to_numpy() for name in measured}
    if graph is not None and set(columns) & set(NEIGHBOURS) and len(rows):
        means = NeighbourMeans(graph.hops, dataset.target)
        batches = list(means(_sortable(rows, dataset.target).to_batches()))
        found = pa.Table.from_batches(batches)
        values |= {name: found[name].to_numpy() for name in NEIGHBOURS}
    nothing: NDArray[Any] = np.full(len(rows), np.nan)
    links = LinkCodes()
    codes = links.codes(rows["link_id"].combine_chunks()) if len(rows) else np.zeros(0, np.int64)
    return Series.from_columns(
        rows["timestamp"].to_numpy(), codes, links.names,
        {name: values.get(name, nothing) for name in dict.fromkeys((target, *columns))},
        np.datetime64(first, "us"), np.datetime64(end, "us"), dataset.interval, target,
    )  # fmt: skip


def _sortable(rows: pa.Table, target: str) -> pa.Table:
    """With NULL for NaN, as the engine has silver."""
    import pyarrow.compute as pc

    value = rows[target]
    value = pc.if_else(pc.is_nan(value), pa.scalar(None, pa.float64()), value)
    return pa.table({"timestamp": rows["timestamp"], "link_id": rows["link_id"], target: value})


def _rows(
    warehouse: Warehouse, dataset: str, columns: Sequence[str], first: datetime, end: datetime
) -> pa.Table:
    """The rows of that span, in the order of their times."""
    blocks: list[Block] = []
    with warehouse.connect() as connection:
        if asked := _asked(connection, dataset, columns, first, end):
            copy_out(connection, asked, blocks.append)
    names = ("timestamp", "link_id", *columns)
    if not blocks:
        kinds = (pa.timestamp("us"), pa.large_string(), *[pa.float64()] * len(columns))
        return pa.table([pa.array([], kind) for kind in kinds], names=list(names))
    # A copy of each: a block is valid until the next one is read.
    return pa.concat_tables([pa.table({n: pa.array(b[n]) for n in names}) for b in blocks])


def _asked(
    connection: Connection, dataset: str, columns: Sequence[str], first: datetime, end: datetime
) -> str:
    """SQL of the rows; empty if there is no table with any of them."""
    table = live.live_table(dataset, ())
    days = live.days(connection, table)
    parts = []
    for one in (table, gold_table(dataset, ())):
        there = one.existing_columns(connection)
        if not there:
            continue
        values = ", ".join(
            f"coalesce({quote(c)}::float8, 'NaN') AS {quote(c)}" if c in there
            else f"'NaN'::float8 AS {quote(c)}"
            for c in columns
        )  # fmt: skip
        kept = "true"
        if one.schema == "gold" and days:
            dates = ", ".join(f"'{day}'::date" for day in days)
            kept = f'"timestamp"::date NOT IN ({dates})'
        parts.append(
            f'SELECT "timestamp", link_id, {values} FROM {one.qualified}'  # noqa: S608
            f" WHERE \"timestamp\" >= '{first}' AND \"timestamp\" < '{end}' AND {kept}"
        )
    return f"SELECT * FROM ({' UNION ALL '.join(parts)}) q ORDER BY 1, 2" if parts else ""  # noqa: S608
