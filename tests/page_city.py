"""A warehouse with a city of many links, for the web page: roads, sensors, speeds and forecasts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import pyarrow as pa
import shapely
from served import commit

from luigi_traffic.warehouse import live, published
from luigi_traffic.warehouse.connection import Warehouse
from luigi_traffic.warehouse.insight_table import insight_table
from luigi_traffic.warehouse.links import IMPORTED, replace_version
from luigi_traffic.warehouse.tables import forecast_table

DATASET = "city"
FIVE = timedelta(minutes=5)
STEPS = 12
#: Links at the end of the list: sensors are points, and the last ones have no geometry.
SENSORS, WITHOUT_GEOMETRY = 40, 12
_ROADS = ("세종대로", "한강로", "Ring road", "테헤란로", "강변북로", "Airport road")
_FALLBACK = 37  # each so manyth link is forecast by fallback


@dataclass(frozen=True)
class City:
    """Ids, geometries (None: there is none), and free-flow speeds in km/h, by link."""

    ids: list[str]
    shapes: list[shapely.Geometry | None]
    free: np.ndarray
    busy: np.ndarray

    @classmethod
    def of(cls, links: int) -> City:
        """A grid of streets, each in both directions, with a fast road every eighth one."""
        side = int(np.ceil(np.sqrt((links + 4) / 4))) + 1
        rows, columns = np.meshgrid(np.arange(side), np.arange(side), indexing="ij")
        x = 126.82 + 0.0042 * columns + 0.0035 * np.sin(rows / 7)
        y = 37.44 + 0.0034 * rows + 0.0028 * np.sin(columns / 6)
        shapes, free, busy = [], [], []
        for down, right in ((0, 1), (1, 0)):
            for row in range(side - down):
                for column in range(side - right):
                    a = np.array([x[row, column], y[row, column]])
                    b = np.array([x[row + down, column + right], y[row + down, column + right]])
                    beside = (b - a)[::-1] * (0.06, -0.06)
                    fast = (row if right else column) % 8 == 0
                    far = np.hypot(row - side / 2, column - side / 2) / side
                    for begin, end, off in ((a, b, beside), (b, a, -beside)):
                        middle = (begin + end) / 2 + off * 1.4
                        shapes.append(shapely.LineString([begin + off, middle, end + off]))
                        free.append(82.0 if fast else 46.0)
                        busy.append(max(0.05, 0.95 - 1.5 * far) * (0.75 if off is beside else 1))
        keep = np.linspace(0, len(shapes) - 1, links).astype(int)
        drawn: list[shapely.Geometry | None] = [shapes[n] for n in keep]
        for n in range(links - SENSORS - WITHOUT_GEOMETRY, links - WITHOUT_GEOMETRY):
            drawn[n] = shapely.Point(drawn[n].coords[1])  # type: ignore[union-attr]
        drawn[links - WITHOUT_GEOMETRY :] = [None] * WITHOUT_GEOMETRY
        ids = [f"{1_010_000_000 + 7 * n}" for n in range(links)]
        return cls(ids, drawn, np.array(free)[keep], np.array(busy)[keep])

    def speeds(self, at: datetime, noise: float = 0.03) -> np.ndarray:
        """km/h of each link: two peaks of the day, and noise that depends on link and time."""
        hour = at.hour + at.minute / 60
        peak = np.exp(-((hour - 8.3) ** 2) / 3) + 0.9 * np.exp(-((hour - 18.2) ** 2) / 4)
        chance = np.random.default_rng(at.hour * 60 + at.minute).normal(0, noise, len(self.ids))
        share = 1.02 - 0.8 * self.busy * (0.15 + peak) + chance
        speeds: np.ndarray = np.maximum(3, self.free * share).round(1)
        return speeds


def fill(
    warehouse: Warehouse, newest: datetime, links: int = 14_000, whole: Sequence[int] = (0,),
    every: int | None = None,
) -> City:  # fmt: skip
    """Speeds of all links in the newest interval, and in every so manyth one before it.

    The links with the numbers `whole` have all intervals of the day, and a forecast each hour; the
    newest forecast is of all links.
    """
    city = City.of(links)
    midnight = newest.replace(hour=0, minute=0)
    times = [midnight + n * FIVE for n in range((newest - midnight) // FIVE + 1)]
    full = {time for n, time in enumerate(reversed(times)) if (n % every == 0 if every else not n)}
    everybody = np.arange(links)
    _speeds(warehouse, city, [(t, everybody if t in full else np.array(whole)) for t in times])
    issued = newest + FIVE
    hours = [midnight + timedelta(hours=n) for n in range(issued.hour + 1)]
    _forecasts(warehouse, city, [(h, np.array(whole)) for h in hours if h != issued])
    _forecasts(warehouse, city, [(issued, everybody)])
    _free_flow(warehouse, city, midnight)
    _links(warehouse, city, midnight)
    return city


def _speeds(warehouse: Warehouse, city: City, rows: Sequence[tuple[datetime, np.ndarray]]) -> None:
    speed = [city.speeds(time)[of] for time, of in rows]
    for values in speed:
        values[3::50] = np.nan
    table = pa.table({
        "timestamp": _times([time for time, _ in rows], [len(of) for _, of in rows]),
        "link_id": pa.array([city.ids[n] for _, of in rows for n in of]),
        "speed": pa.array(np.concatenate(speed)),
        "n_obs": pa.array(np.full(sum(map(len, speed)), 2, np.int32)),
    })  # fmt: skip
    day = rows[0][0].date()
    of_day = live.live_table(DATASET, table.column_names)
    with warehouse.connect() as conn:
        live.open_day(conn, of_day, day)
    with warehouse.connect() as conn:
        live.upsert(conn, of_day, day, table, rows[-1][0].astimezone())


def _forecasts(
    warehouse: Warehouse, city: City, issues: Sequence[tuple[datetime, np.ndarray]]
) -> None:
    table = live.live_forecast_table(DATASET, "speed")
    for issued, of in issues:
        times = [issued + n * FIVE for n in range(STEPS)]
        speed = np.concatenate([city.speeds(time, 0)[of] * 0.97 + 1 for time in times])
        number, fallback = len(speed), np.tile(of % _FALLBACK == 2, STEPS)
        wide = np.repeat(2.5 + 0.35 * np.arange(STEPS), len(of))
        speed = speed.astype(np.float32)
        rows = pa.table({
            "part": pa.array([f"{issued:%Y-%m-%d}/stid:7/live"] * number),
            "model": pa.array(["stid"] * number),
            "issued_at": _times([issued], [number]),
            "kind": pa.array(["live"] * number),
            "step": pa.array(np.repeat(np.arange(1, STEPS + 1, dtype=np.int16), len(of))),
            "timestamp": _times(times, [len(of)] * STEPS),
            "link_id": pa.array([city.ids[n] for n in of] * STEPS), "speed": pa.array(speed),
            "version": pa.array(np.full(number, 7, np.int32)),
            "observed": pa.array(np.full(number, 12, np.int16)),
            "lower": pa.array((speed - wide).astype(np.float32), mask=fallback),
            "upper": pa.array((speed + wide).astype(np.float32), mask=fallback),
            "age_seconds": pa.array(np.full(number, 300, np.int32)),
            "fallback": pa.array(fallback),
        })  # fmt: skip
        with warehouse.connect() as conn:
            published.ensure(conn, forecast_table(DATASET), table)
        with warehouse.connect() as conn:
            live.open_day(conn, table, issued.date())
        with warehouse.connect() as conn:
            live.replace_forecast(conn, table, "speed", rows, issued, list(range(1, STEPS + 1)))


def _times(times: Sequence[datetime], counts: Sequence[int]) -> pa.Array:
    return pa.array(np.repeat(np.array(times, "datetime64[us]"), counts))


def _free_flow(warehouse: Warehouse, city: City, day: datetime) -> None:
    number = len(city.ids)
    columns: dict[str, pa.Array] = {
        "day": pa.array([day.date()] * number), "kind": pa.array(["period"] * number),
        "link_id": pa.array(city.ids), "period": pa.array(["all day"] * number),
        "free_flow": pa.array(city.free), "days": pa.array(np.full(number, 14, np.int32)),
    }  # fmt: skip
    commit(warehouse, insight_table(DATASET), "insight", day.date(), pa.table(columns))


def _links(warehouse: Warehouse, city: City, day: datetime) -> None:
    number = len(city.ids)
    given = {
        "row": range(1, number + 1), "link_id": city.ids,
        "name": [f"{_ROADS[n % len(_ROADS)]} {n // len(_ROADS)}" for n in range(number)],
        "length_m": [380.0] * number,
        "speed_limit": [50.0 if free < 60 else 80.0 for free in city.free],
        "geometry": [None if shape is None else shape.wkb for shape in city.shapes],
    }  # fmt: skip
    nothing = {column.name: [None] * number for column in IMPORTED if column.name not in given}
    rows = pa.RecordBatch.from_pydict({**given, **nothing})
    with warehouse.connect() as conn:
        replace_version(conn, DATASET, day.date(), "a.shp", [rows])
