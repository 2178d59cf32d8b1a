"""The live forecasts of the intervals of one day, as arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING

import pyarrow as pa

from luigi_traffic.training.issued import Cube, Issuer, Values
from luigi_traffic.training.series import steps_per_day
from luigi_traffic.warehouse.binary import Block, copy_out
from luigi_traffic.warehouse.live import live_forecast_table
from luigi_traffic.warehouse.sql_names import quote

if TYPE_CHECKING:
    from luigi_traffic.warehouse.connection import Warehouse

#: What the model said, and the profile of the week that stood in for it: kinds of an evaluation.
LIVE, FALLBACK = "live", "fallback"


@dataclass(frozen=True)
class IssuedLive:
    """What was forecast for a day while it went on, or the day before.

    by_kind  `LIVE` and `FALLBACK` → links, and what was forecast as in `Issued`
    issuers  who issued at the beginning of an interval: its number, counted from the day's midnight
             and negative before it → who
    """

    by_kind: Mapping[str, Values]
    issuers: Mapping[int, Issuer]


def read_live(
    warehouse: Warehouse, dataset: str, target: str, day: date, interval: timedelta
) -> IssuedLive | None:
    """What there is for `day`; None if there is nothing. Steps of more than a day are left out."""
    table = live_forecast_table(dataset, target)
    ends = f"'{day - timedelta(days=1)}'", f"'{day}'", f"'{day + timedelta(days=1)}'"
    wanted = (
        f" FROM {table.qualified} WHERE issued_at >= {ends[0]} AND issued_at < {ends[2]}"
        f' AND "timestamp" >= {ends[1]} AND "timestamp" < {ends[2]}'
        f" AND {quote(target)} IS NOT NULL"
    )
    with warehouse.connect() as connection:
        if target not in table.existing_columns(connection):
            return None
        with connection.cursor() as cursor:
            cursor.execute(
                f"SELECT issued_at, min(model), min(version), max(step){wanted} GROUP BY 1"
            )
            found = cursor.fetchall()
        if not found:
            return None
        steps = min(max(step for *_, step in found), steps_per_day(interval))
        cubes = {kind: Cube(day, interval, steps) for kind in (LIVE, FALLBACK)}

        def put(block: Block) -> None:
            for kind, weak in ((LIVE, False), (FALLBACK, True)):
                here = block["fallback"] == weak
                if here.any():
                    mask = pa.array(here)
                    cubes[kind].put({
                        name: v.filter(mask) if isinstance(v, pa.Array) else v[here]
                        for name, v in block.items()
                    })  # fmt: skip

        copy_out(
            connection,
            f'SELECT step, "timestamp", link_id, {quote(target)} AS value,'
            f" coalesce(fallback, false) AS fallback{wanted} AND step <= {steps}",
            put,
        )
    midnight = datetime.combine(day, time())
    issuers = {
        (at - midnight) // interval: Issuer(model, version) for at, model, version, _ in found
    }
    return IssuedLive({kind: cube.in_order() for kind, cube in cubes.items()}, issuers)
