"""The typical speeds of links by the time of the week, and as Valhalla wants them."""

from __future__ import annotations

import base64
from datetime import timedelta

import numpy as np
from numpy.typing import NDArray

from luigi_traffic.compute.insight.speeds import Speeds
from luigi_traffic.compute.insight.travel_times import Floats, percentiles
from luigi_traffic.errors import DataError

#: Of Valhalla's historical speeds: five minutes each, the first one begins on Sunday.
BUCKETS, COEFFICIENTS = 2016, 200
_BUCKETS_A_DAY = BUCKETS // 7
#: What Valhalla calls day, when speeds are constrained: buckets from 07:00 to 19:00.
_DAYTIME = range(7 * 12, 19 * 12)


def typical_week(speeds: Speeds, block: slice) -> Floats:
    """`(7 * slots a day, B)`: medians from Monday's midnight on; NaN if there is no speed."""
    speed = speeds.speed[:, block]
    weeks = (speeds.day + speeds.first_weekday) // 7
    table = np.full((int(weeks.max()) + 1, 7 * speeds.slots, speed.shape[1]), np.nan, np.float32)
    table[weeks, speeds.slot_of_week] = np.where(speed > 0, speed, np.nan)
    (median,) = percentiles(table.reshape(len(table), -1).astype(np.float64), (50,))
    return median.reshape(table.shape[1:])


def as_array_text(week: Floats) -> str:
    """`(W,)` to three decimals, as PostgreSQL reads arrays: `{61.25,NULL}`."""
    return "{" + ",".join("NULL" if v != v else f"{v:.3f}" for v in week.tolist()) + "}"


def from_array_text(text: str) -> Floats:
    """What `as_array_text` has written."""
    values = text.strip("{}").replace("NULL", "nan").split(",")
    return np.array(values, np.float64)


def buckets(week: Floats, interval: timedelta) -> Floats:
    """`(2016,)` from Sunday's midnight on of a `(W,)` week from Monday on; NaN stays.

    A longer interval is repeated; of shorter ones the mean of those that are known is taken.
    Raises `DataError` if neither fits five minutes.
    """
    if BUCKETS % len(week) == 0:
        made = np.repeat(week, BUCKETS // len(week))
    elif len(week) % BUCKETS == 0:
        parts = week.reshape(BUCKETS, -1)
        count = (~np.isnan(parts)).sum(axis=1)
        made = np.full(BUCKETS, np.nan)
        np.divide(np.nansum(parts, axis=1), count, out=made, where=count > 0)
    else:
        minutes = interval / timedelta(minutes=1)
        raise DataError(
            f"Valhalla has intervals of 5 minutes; those of {minutes:g} minutes do not fit"
        )
    return np.roll(made, _BUCKETS_A_DAY)


def filled(speeds: Floats) -> Floats:
    """The same week, with gaps bridged by a straight line, over the end of the week as well."""
    known = np.flatnonzero(~np.isnan(speeds))
    return np.interp(np.arange(BUCKETS), known, speeds[known], period=BUCKETS)


def by_night_and_day(speeds: Floats) -> tuple[float, float]:
    """Valhalla's free-flow and constrained speed: medians from 19:00 to 07:00, and between."""
    daytime = np.isin(np.arange(BUCKETS) % _BUCKETS_A_DAY, _DAYTIME)
    return float(np.median(speeds[~daytime])), float(np.median(speeds[daytime]))


def encoded(speeds: Floats) -> str:
    """`(2016,)` km/h as the text of Valhalla's column `historical_speeds`.

    The first 200 coefficients of an orthonormal DCT-II, rounded, as int16 in big-endian order, in
    base64: see Valhalla's docs, "Historical Traffic", and its `baldr/predictedspeeds.cc`.
    """
    found = _WAVES @ speeds
    rounded = np.trunc(found + np.copysign(0.5, found))  # half away from zero, as C rounds
    return base64.b64encode(rounded.astype(">i2").tobytes()).decode("ascii")


def _waves() -> NDArray[np.float64]:
    """`(200, 2016)`"""
    middle = np.arange(BUCKETS) + 0.5
    table = np.cos(np.pi / BUCKETS * np.arange(COEFFICIENTS)[:, None] * middle)
    table[0] /= np.sqrt(2)
    return np.asarray(table * np.sqrt(2 / BUCKETS))


_WAVES = _waves()
