"""A small dataset that does all as it should: what the broken ones are made from."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from typing import Any

from luigi_traffic import (
    NO_OBSERVATION,
    Check,
    DataError,
    Dataset,
    DatasetSettings,
    LinkCell,
    LinkGraph,
    RawDay,
    Source,
    Stream,
    hookimpl,
    setting,
)
from luigi_traffic import functions as F

HEADER = "time,link,speed_kmh,count"
LINKS = ("101", "102", "103")


class DemoSettings(DatasetSettings):
    max_speed: float = setting(150.0, stage="bronze", gt=0, description="km/h, above: rejected")
    token: str = setting("k3y-of-the-demo", stage=None, description="key of the source")


class DemoSource(Source):
    def recipe(self) -> dict[str, Any]:
        return {"kind": "demo"}

    def lines(self, day: date) -> list[str]:
        rows = []
        for slot in range(288):
            hour, minute = divmod(slot * 5, 60)
            for n, link in enumerate(LINKS):
                speed = 30 + n * 10.1 + (slot % 37) * 0.7
                rows.append(f"{day} {hour:02}:{minute:02}:{slot % 60:02},{link},{speed:.2f},{n}")
        rows += [rows[0], f"{day} 00:00:30,102,44.4,1"]  # two that are averaged
        rows += [f"{day} 12:00:00,101,999,1", f"{day} 12:05:00,102,,1"]
        return rows

    @contextmanager
    def open(self, day: date) -> Iterator[Iterator[Stream]]:
        text = "\n".join([HEADER, *self.lines(day)]) + "\n"
        yield iter([Stream(f"{day}.csv", iter([text.encode()]))])


class DemoCity(Dataset):
    name = "demo_city"
    version = "1"
    interval = timedelta(minutes=5)
    timezone = "Asia/Seoul"
    speed_unit = "km/h"
    reject_reasons = (NO_OBSERVATION, "bad row", "other day", "implausible speed")
    Settings = DemoSettings

    def source(self) -> Source:
        return DemoSource()

    def header(self, first_line: str) -> bool:
        if first_line == HEADER:
            return True
        if first_line[:2] == "20" and first_line.count(",") == 3:
            return False
        raise DataError(f"expected the header {HEADER!r}, found {first_line[:80]!r}")

    def read(self, spark: Any, raw: RawDay) -> Any:
        """Lines of the day as `line`."""
        return F.lines(spark, raw)

    def time(self, text: Any) -> Any:
        return F.wall_time(text)

    def bronze(self, spark: Any, raw: RawDay) -> Any:
        rows = self.read(spark, raw).select(
            "line",
            F.size(F.cells("line")).alias("width"),
            self.time(self.cell(0)).alias("timestamp"),
            self.cell(1).alias("link_id"),
            self.cell(2).alias("text"),
            F.number(self.cell(2)).alias("speed"),
        )
        speed = F.col("speed")
        bad = (F.col("width") != 4) | F.col("timestamp").isNull() | (F.col("link_id") == "")
        reason = (
            F.when(bad, "bad row")
            .when(~F.in_day("timestamp", raw.day), "other day")
            .when(F.col("text") == "", NO_OBSERVATION)
            .when(speed.isNull(), "bad row")
            .when((speed <= 0) | (speed > self.settings.max_speed), "implausible speed")
        )
        return self.flagged(rows, reason)

    def cell(self, number: int) -> Any:
        return F.cell(F.cells("line"), number)

    def flagged(self, rows: Any, reason: Any) -> Any:
        return rows.withColumn("reject_reason", reason).select(
            "timestamp",
            "link_id",
            "speed",
            F.when(F.col("reject_reason").isNotNull(), F.col("line")).alias("raw_line"),
            "reject_reason",
        )

    def link_cell(self, raw: RawDay) -> LinkCell:
        return LinkCell(1)

    def silver(self, bronze: Any) -> Any:
        start = F.interval_start("timestamp", self.interval).alias("timestamp")
        return bronze.groupBy(start, "link_id").agg(
            F.exact_mean(F.col("speed")).alias("speed"), F.count(F.lit(1)).alias("n_obs")
        )

    def graph(self) -> LinkGraph | None:
        return LinkGraph.from_edges([("101", "102"), ("102", "103")])

    def checks(self) -> list[Check]:
        return [Check("highest speed", F.max("speed"), high=self.settings.max_speed)]


@hookimpl
def luigi_traffic_datasets() -> list[type[Dataset]]:
    return [DemoCity]
