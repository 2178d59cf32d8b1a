"""The rows of `insight.<dataset>` of one window, a block of links at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from datetime import date
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from luigi_traffic.api.graph import LinkGraph
from luigi_traffic.api.links import LinkTable
from luigi_traffic.compute.insight.bottlenecks import Bottleneck
from luigi_traffic.compute.insight.sensor_health import Feed, SensorHealth
from luigi_traffic.compute.insight.speeds import Speeds
from luigi_traffic.compute.insight.travel_times import (
    Floats,
    Observed,
    TravelTimes,
    free_flow_percentile,
    level_of_service,
)
from luigi_traffic.compute.insight.typical_week import as_array_text, typical_week
from luigi_traffic.settings.insight_keys import InsightSettings
from luigi_traffic.warehouse.partitions import Column

#: Columns of a block of rows; those that it does not have are NULL.
Block = dict[str, Any]


@dataclass(frozen=True)
class InsightRows:
    """Of a window that ends on `day`. `table` has the limits and the lengths of links, `graph` what
    follows them."""

    day: date
    speeds: Speeds
    settings: InsightSettings
    table: LinkTable
    graph: LinkGraph

    def batches(self, columns: tuple[Column, ...]) -> Iterator[pa.RecordBatch]:
        """All rows, with the columns of `insight_table`."""
        for block in self._blocks():
            size = len(block["link_id"])
            found = {"day": self.day, "period": ""} | block
            yield pa.RecordBatch.from_pydict(
                {column.name: _array(found.get(column.name), size) for column in columns}
            )

    def _blocks(self) -> Iterator[Block]:
        for block in self.speeds.blocks():
            yield from self._periods(block)
            yield self._health(block)
            week = typical_week(self.speeds, block)
            texts = [as_array_text(link) for link in week.T]
            yield {"kind": "week", "link_id": self.speeds.links[block], "speeds": texts}
        yield from self._bottlenecks()

    def _periods(self, block: slice) -> Iterator[Block]:
        """A row for each link of the block and period."""
        chosen, speeds = self.settings, self.speeds
        free_flow, why_not = self._free_flow(block)
        length = self._known["length"][block]
        for name, inside in self._inside.items():
            speed = speeds.speed[inside, block]
            seen = Observed.of(speed, speeds.day[inside])
            missing = seen.too_little(chosen.min_coverage, chosen.min_days)
            reasons = [own or other for own, other in zip(missing, why_not, strict=True)]
            times = TravelTimes.of(speed, free_flow, chosen.congested_share, speeds.kmh)
            times = times.only(np.array([not reason for reason in reasons], bool))
            levels = [
                None if np.isnan(index) else level_of_service(1 / index, chosen.level_of_service)
                for index in times.travel_time_index.tolist()
            ]
            yield {
                "kind": "period", "period": name, "link_id": speeds.links[block],
                "days": seen.days, "coverage": seen.coverage, "free_flow": free_flow,
                **{field.name: getattr(times, field.name) for field in fields(times)},
                "delay": times.delay_per_km * length / 1000,
                "level_of_service": levels, "reason": [reason or None for reason in reasons],
            }  # fmt: skip

    def _free_flow(self, block: slice) -> tuple[Floats, list[str]]:
        """`(B,)` free-flow speeds, NaN if not known, and why not."""
        chosen, speeds = self.settings, self.speeds
        if chosen.free_flow == "limit":
            limit = self._known["speed_limit"][block]
            limit = np.where(limit > 0, limit, np.nan)
            return limit, ["the link table has no limit" if n else "" for n in np.isnan(limit)]
        speed = speeds.speed[self._off_peak, block]
        seen = Observed.of(speed, speeds.day[self._off_peak])
        missing = seen.too_little(chosen.min_coverage, chosen.min_days)
        reasons = [f"free-flow speed: {reason}" if reason else "" for reason in missing]
        known = np.array([not reason for reason in reasons], bool)
        return np.where(known, free_flow_percentile(speed), np.nan), reasons

    def _health(self, block: slice) -> Block:
        """A row for each link of the block."""
        chosen, speeds = self.settings, self.speeds
        limit = self._known["speed_limit"][block] * chosen.over_limit
        fastest = np.fmin(limit, chosen.fastest_kmh / speeds.kmh).tolist()
        found = [
            asdict(SensorHealth.of(value, self._feed, chosen, speeds.interval, highest))
            for value, highest in zip(speeds.speed[:, block].T, fastest, strict=True)
        ]
        columns = {name: [row[name] for row in found] for name in found[0]}
        return {"kind": "health", "link_id": speeds.links[block], **columns}

    def _bottlenecks(self) -> Iterator[Block]:
        """A row for each link that is one."""
        chosen, speeds = self.settings, self.speeds
        place = {link: n for n, link in enumerate(speeds.links)}
        after: dict[int, list[int]] = {}
        for link, following in self.graph.between(speeds.links).edges:
            after.setdefault(place[link], []).append(place[following])
        found = {
            speeds.links[link]: asdict(one)
            for link, following in sorted(after.items())
            if (one := Bottleneck.of(
                speeds.speed[:, link], speeds.speed[:, following], speeds.at, speeds.interval,
                chosen.bottleneck_below_kmh / speeds.kmh, chosen.bottleneck_drop_kmh / speeds.kmh,
                chosen.bottleneck_minutes,
            ))
        }  # fmt: skip
        if found:
            columns = {
                field.name: [row[field.name] for row in found.values()]
                for field in fields(Bottleneck)
            }
            yield {"kind": "bottleneck", "link_id": list(found), **columns}

    @cached_property
    def _feed(self) -> Feed:
        return Feed.of(self.speeds, self.settings)

    @cached_property
    def _inside(self) -> dict[str, NDArray[np.bool_]]:
        """Period → its intervals, `(T,)`."""
        return {
            name: self.speeds.inside(text, f"insight.periods, {name!r}")
            for name, text in self.settings.periods.items()
        }

    @cached_property
    def _off_peak(self) -> NDArray[np.bool_]:
        return self.speeds.inside(self.settings.free_flow_hours, "insight.free_flow_hours")

    @cached_property
    def _known(self) -> dict[str, Floats]:
        """Columns of the link table in the order of the links, NaN: not known."""
        table = self.table.of(self.speeds.links)
        return {name: np.array(table.column(name), float) for name in ("length", "speed_limit")}


def _array(value: Any, size: int) -> pa.Array:
    if value is None:
        return pa.nulls(size)
    if isinstance(value, str | date):
        return pa.repeat(pa.scalar(value), size)
    return pa.array(value, from_pandas=True)  # NaN becomes NULL
