"""Gold out of the warehouse as a `Series`, at exactly the partition ids that were asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from luigi_traffic.errors import DamageError, DataError, TransientError
from luigi_traffic.training.batches import check_channels
from luigi_traffic.training.series import Series
from luigi_traffic.warehouse import ledger, partitions
from luigi_traffic.warehouse.binary import Coded, copy_out

if TYPE_CHECKING:
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
        # Rows of other days that gold happens to hold would be there unverified.
        days = ", ".join(f"'{date.fromisoformat(day)}'" for day in ids) or "NULL"
        names = ", ".join(f'"{name}"' for name in columns)
        found = copy_out(
            connection,
            f'SELECT "timestamp", link_id, {names} FROM gold."{dataset}" '  # noqa: S608
            f"WHERE \"timestamp\" >= '{start}' AND \"timestamp\" < '{end}' "
            f'AND "timestamp"::date IN ({days})',
        )
    _compare(cast(NDArray[Any], found["timestamp"]), promised)
    codes, links = cast(Coded, found["link_id"])
    if not len(codes):
        raise DataError(f"gold.{dataset} has no row from {start} to {end}")
    # Links sorted, so that their order does not depend on that of the rows.
    order = np.argsort(np.asarray(links, dtype=object))
    rank = np.empty(len(links), dtype=np.int64)
    rank[order] = np.arange(len(links))
    return Series.from_columns(
        cast(NDArray[Any], found["timestamp"]),
        rank[codes],
        [links[i] for i in order],
        {name: cast(NDArray[Any], found[name]) for name in columns},
        np.datetime64(start, "us"),
        np.datetime64(end, "us"),
        interval,
        target,
    )


def _compare(timestamps: NDArray[Any], promised: Mapping[str, int]) -> None:
    """Raise `_Damaged` if a day has another number of rows than its ledger row says."""
    days, counts = np.unique(timestamps.astype("datetime64[D]"), return_counts=True)
    there = dict(zip(days.astype(str).tolist(), counts.tolist(), strict=True))
    wrong = {
        day: f"{there.get(day, 0):,} rows of the {rows:,} that were committed"
        for day, rows in promised.items()
        if there.get(day, 0) != rows
    }
    if wrong:
        raise _Damaged(wrong)


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
