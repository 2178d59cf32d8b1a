"""The published forecasts of the intervals of one day, as an array."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from luigi_traffic.errors import DamageError, DataError, TransientError
from luigi_traffic.training.gold import LinkCodes
from luigi_traffic.training.series import steps_per_day
from luigi_traffic.warehouse import ledger
from luigi_traffic.warehouse.binary import Block, copy_out
from luigi_traffic.warehouse.sql_names import literal, quote

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection

    from luigi_traffic.warehouse.connection import Warehouse
    from luigi_traffic.warehouse.published import Published


#: Links, and of each what was forecast, see `Issued`.
Values = tuple[tuple[str, ...], NDArray[np.float32]]


@dataclass(frozen=True)
class Issuer:
    """The version of a model that issued the forecasts of a day; None: it was not recorded."""

    model: str
    version: int | None


@dataclass(frozen=True)
class Issued:
    """What was forecast for a day.

    values  float32 `(S, T, N)`: for interval t of the day and link n at step s + 1; NaN if nothing.
            It was issued at the beginning of interval t - s, so before the day if that is negative
    before  who issued until the day's first midnight, and at it; None if nothing is published
    own     who issued after it
    """

    links: tuple[str, ...]
    values: NDArray[np.float32]
    before: Issuer | None
    own: Issuer


def read_issued(
    warehouse: Warehouse,
    dataset: str,
    target: str,
    day: date,
    interval: timedelta,
    forecasts: Mapping[date, Published],
) -> Issued:
    """Of `forecasts` (of the day, and of the day before if it is published) what is for `day`.

    Steps of more than a day are left out. Raises `TransientError` if another runner has replaced
    one of them, and `DamageError` if one does not have the rows that were committed: then its
    ledger row counts no more.
    """
    wanted = {found.part: found.partition_id for found in forecasts.values()}
    with warehouse.connect() as connection:
        promised = _promised(connection, dataset, wanted)
        there = _parts(connection, dataset, day, wanted)
        damaged = {
            part: f"{there[part].rows if part in there else 0:,} rows of the {rows:,} that were "
            "committed"
            for part, rows in promised.items()
            if part not in there or there[part].rows != rows
        }
        if not damaged:
            steps = min(max(one.steps for one in there.values()), steps_per_day(interval))
            cube = Cube(day, interval, steps)
            copy_out(connection, _asked(dataset, target, day, wanted, steps), cube.put)
        # Each statement sees the partitions of its own time: none may have come in between.
        _promised(connection, dataset, wanted)
    if damaged:
        with warehouse.connect() as connection:
            for part, found in damaged.items():
                ledger.void(connection, "forecast", dataset, part, found, wanted[part])
        told = "; ".join(f"{part}: {found}" for part, found in damaged.items())
        raise DamageError(
            f"forecast_versions.{dataset} is not what was committed: {told}. These forecasts now "
            "count as missing: the task Forecast makes them again."
        )
    issuers = {of: there[found.part].issuer for of, found in forecasts.items()}
    links, values = cube.in_order()
    return Issued(links, values, issuers.get(day - timedelta(days=1)), issuers[day])


@dataclass(frozen=True)
class _Part:
    issuer: Issuer
    rows: int
    steps: int


def _promised(connection: Connection, dataset: str, wanted: Mapping[str, str]) -> dict[str, int]:
    """Part → rows that the ledger has; raises `TransientError` if it has another id."""
    live = ledger.promised_rows(connection, "forecast", dataset)
    changed = [part for part, made in wanted.items() if live.get(part, ("", 0))[0] != made]
    if changed:
        raise TransientError(
            f"The forecast {', '.join(changed)} of {dataset} was replaced by another run during "
            "this run. Run again."
        )
    return {part: live[part][1] for part in wanted}


def _parts(
    connection: Connection, dataset: str, day: date, wanted: Mapping[str, str]
) -> dict[str, _Part]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT part, min(model), min(version), count(*), max(step)"  # noqa: S608
            f" FROM forecast_versions.{quote(dataset)} WHERE {_issued(day, wanted)} GROUP BY part"
        )
        found = cursor.fetchall()
    return {
        part: _Part(Issuer(model, version), rows, steps)
        for part, model, version, rows, steps in found
    }


def _issued(day: date, wanted: Mapping[str, str]) -> str:
    """SQL: of these parts, which issue on the day and the day before, see `forecast_bounds`."""
    first, last = day - timedelta(days=1), day + timedelta(days=1)
    parts = ", ".join(literal(part) for part in wanted)
    return f"issued_at > '{first}' AND issued_at <= '{last}' AND part IN ({parts})"


def _asked(dataset: str, target: str, day: date, wanted: Mapping[str, str], steps: int) -> str:
    return (
        f'SELECT step, "timestamp", link_id, {quote(target)} AS value'  # noqa: S608
        f" FROM forecast_versions.{quote(dataset)} WHERE {_issued(day, wanted)}"
        f" AND \"timestamp\" >= '{day}' AND \"timestamp\" < '{day + timedelta(days=1)}'"
        f" AND step <= {steps}"
    )


class Cube:
    """`(S, T, N)` as in `Issued`, filled block by block; links come as they come."""

    def __init__(self, day: date, interval: timedelta, steps: int) -> None:
        self._day = np.datetime64(day, "us")
        self._interval = interval // timedelta(microseconds=1)
        self._slots = steps_per_day(interval)
        self._links = LinkCodes()
        self._values = np.full((steps, self._slots, 64), np.nan, np.float32)

    def put(self, block: Block) -> None:
        """Rows with `step`, `timestamp`, `link_id` and `value`. Raises `DataError` if a time lies
        between the intervals."""
        code = self._links.codes(block["link_id"])
        self._widen(len(self._links.names))
        after: NDArray[Any] = (block["timestamp"] - self._day).astype(np.int64)
        slot = after // self._interval
        if (slot * self._interval != after).any():
            raise DataError(
                f"Forecasts for {self._day.astype('datetime64[D]')} lie between the dataset's "
                "intervals: they were made with another interval. Invalidate and make them again."
            )
        self._values[block["step"].astype(np.int64) - 1, slot, code] = block["value"]

    def _widen(self, width: int) -> None:
        steps, slots, room = self._values.shape
        if width > room:
            wider = np.full((steps, slots, max(width, 2 * room)), np.nan, np.float32)
            wider[:, :, :room] = self._values
            self._values = wider

    def in_order(self) -> Values:
        """Links sorted, so that their order does not depend on that of the rows."""
        names = self._links.names
        order = np.array(sorted(range(len(names)), key=names.__getitem__), np.int64)
        return tuple(names[i] for i in order), self._values[:, :, order]
