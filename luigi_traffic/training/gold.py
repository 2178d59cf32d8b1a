"""Gold out of the warehouse as a `Series`, at exactly the partition ids that were asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from luigi_traffic.errors import DamageError, DataError, TransientError
from luigi_traffic.training.batches import check_channels
from luigi_traffic.training.grid import Grid, join
from luigi_traffic.training.series import Series, steps_per_day
from luigi_traffic.warehouse import ledger, partitions
from luigi_traffic.warehouse.binary import Block, copy_out
from luigi_traffic.warehouse.sql_names import quote

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection

    from luigi_traffic.warehouse.connection import Warehouse


def read_gold(
    warehouse: Warehouse,
    dataset: str,
    ids: Mapping[str, str],
    columns: Sequence[str],
    start: date,
    end: date,
    interval: timedelta,
    target: str = "speed",
) -> Series:
    """Columns of `gold.<dataset>` of the days in `ids`, on the grid from `start` to before `end`.

    NaN where there is no row, or NULL. `target` is the column that is forecast.

    Ledger and rows are read in one snapshot. Raises `TransientError` if another runner has
    replaced a day since `ids` were computed, `DataError` for a column that gold does not have, and
    `DamageError` if a day does not have the rows that were committed: then its ledger row counts
    no more, and the next run makes the day anew.
    """
    try:
        return _read(warehouse, dataset, ids, columns, start, end, interval, target)
    except _Damaged as damaged:
        with warehouse.connect() as connection:
            for day, found in damaged.days.items():
                ledger.void(connection, "gold", dataset, day, found, ids[day])
        told = "; ".join(f"{day}: {found}" for day, found in damaged.days.items())
        raise DamageError(
            f"gold.{dataset} is not what was committed: {told}. These days now count as missing: "
            "run again, and they are made again."
        ) from None


class _Damaged(Exception):
    """Days of gold that do not have the rows that were committed, and what they have."""

    def __init__(self, days: Mapping[str, str]) -> None:
        super().__init__(", ".join(days))
        self.days = days


def _read(
    warehouse: Warehouse,
    dataset: str,
    ids: Mapping[str, str],
    columns: Sequence[str],
    start: date,
    end: date,
    interval: timedelta,
    target: str = "speed",
) -> Series:
    with warehouse.connect() as connection:
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        # A snapshot alone would find a day empty whose partition is replaced after it.
        frozen = partitions.freeze(connection, "gold", dataset)
        live = ledger.promised_rows(connection, "gold", dataset)
        changed = [day for day, wanted in ids.items() if live.get(day, ("", 0))[0] != wanted]
        if changed:
            raise TransientError(
                f"gold.{dataset} of {', '.join(changed)} was replaced by another run with other "
                "settings during this run. Run again."
            )
        promised = {day: live[day][1] for day in ids}
        if not frozen:
            raise _Damaged(dict.fromkeys(ids, "the table is missing"))
        _check_columns(connection, dataset, columns)
        links = LinkCodes()
        days: list[Grid | None] = []
        damaged = {}
        for n in range((end - start).days):
            day = (start + timedelta(days=n)).isoformat()
            # Rows of other days that gold happens to hold would be there unverified.
            grid = None
            if day in promised:
                grid = _read_day(connection, dataset, day, columns, interval, links)
                if grid.rows != promised[day]:
                    damaged[day] = (
                        f"{grid.rows:,} rows of the {promised[day]:,} that were committed"
                    )
            days.append(grid)
    if damaged:
        raise _Damaged(damaged)
    if not links.names:
        raise DataError(f"gold.{dataset} has no row from {start} to {end}")
    # Links sorted, so that their order does not depend on that of the rows.
    order = np.array(sorted(range(len(links.names)), key=links.names.__getitem__), np.int64)
    return Series(
        np.datetime64(start, "us"),
        interval,
        tuple(links.names[i] for i in order),
        tuple(columns),
        join(days, steps_per_day(interval), order, len(columns)),
        target,
    )


def _read_day(
    connection: Connection,
    dataset: str,
    day: str,
    columns: Sequence[str],
    interval: timedelta,
    links: LinkCodes,
) -> Grid:
    """The rows of a day, block by block into its grid."""
    start = np.datetime64(day, "us")
    end = start + np.timedelta64(1, "D")
    grid = Grid(start, end, interval, len(columns))

    def put(block: Block) -> None:
        codes = links.codes(block["link_id"])
        grid.put(block["timestamp"], codes, links.names, [block[name] for name in columns])

    # Without NULLs, rows have equal lengths, which is fastest to read.
    values = ", ".join(
        f"coalesce({quote(name)}::float8, 'NaN') AS {quote(name)}" for name in columns
    )
    copy_out(
        connection,
        f'SELECT "timestamp", link_id, {values} FROM gold.{quote(dataset)} '  # noqa: S608
        f"WHERE \"timestamp\" >= '{start}' AND \"timestamp\" < '{end}'",
        put,
    )
    return grid


class LinkCodes:
    """A number for each link, in order of first appearance; `names` are the links."""

    def __init__(self) -> None:
        import pyarrow as pa

        self.names: list[str] = []
        self._known = pa.array([], pa.large_string())

    def codes(self, links: Any) -> NDArray[np.int32]:
        """Of `links` (a `pyarrow.LargeStringArray`); new ones get the next numbers."""
        import pyarrow as pa
        import pyarrow.compute as pc

        codes = pc.index_in(links, value_set=self._known)
        if codes.null_count:
            new = links.filter(codes.is_null()).unique()
            self.names += new.to_pylist()
            self._known = pa.concat_arrays([self._known, new])
            codes = pc.index_in(links, value_set=self._known)
        return np.asarray(codes)


def _check_columns(connection: Any, dataset: str, columns: Sequence[str]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT attname FROM pg_attribute WHERE attrelid = to_regclass(%s) "
            "AND attnum > 0 AND NOT attisdropped",
            (f'gold."{dataset}"',),
        )
        # The key is no channel: it must not be offered as one.
        there = [name for (name,) in cursor.fetchall() if name not in ("timestamp", "link_id")]
    check_channels(columns, there)
