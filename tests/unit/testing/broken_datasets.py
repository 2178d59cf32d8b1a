"""Datasets with one fault each, in what they declare and where they take their bytes from."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, time, timedelta
from typing import Any

from kit_city import HEADER, DemoCity, DemoSettings, DemoSource

from luigi_traffic import Check, DatasetSettings, LinkGraph, RawDay, Source, Stream, setting
from luigi_traffic import functions as F

A_DAY = timedelta(days=1)


class NameWithHyphen(DemoCity):
    name = "demo-city"


class SevenMinutes(DemoCity):
    interval = timedelta(minutes=7)


class Abbreviation(DemoCity):
    timezone = "KST"


class NegativeWait(DemoCity):
    settles_after = timedelta(hours=-1)


class UnknownUnit(DemoCity):
    speed_unit = "kmh"


class UndeclaredStageSettings(DemoSettings):
    smoothing: int = 3


class SettingWithoutStage(DemoCity):
    Settings = UndeclaredStageSettings


class UndescribedSettings(DemoSettings):
    smoothing: int = setting(3, stage="silver", description="")


class SettingWithoutDescription(DemoCity):
    Settings = UndescribedSettings


class DemandingSettings(DatasetSettings):
    key: str = setting(..., stage=None, description="key of the source")


class SettingWithoutDefault(DemoCity):
    Settings = DemandingSettings


class Unpicklable(DemoCity):
    def __init__(self, settings: Any) -> None:
        super().__init__(settings)
        self.lock = threading.Lock()


class LacksExtraColumn(DemoCity):
    extra_columns = ("truck_share",)


class HalfIntervals(DemoCity):
    def expected_slots(self, day: date) -> list[time]:
        return [time(8, 3)]


class DaySource(DemoSource):
    def lines(self, day: date) -> list[str]:
        return [line for line in super().lines(day) if f"{day} 03:" not in line]


class NightShift(DemoCity):
    def source(self) -> Source:
        return DaySource()

    def expected_slots(self, day: date) -> list[time]:
        return [at for at in self.day_slots() if at.hour == 3]


# Sources


class OtherSource(DemoSource):
    def __init__(self, token: str) -> None:
        self.token = token


class SevenDays(DemoSource):
    def lines(self, day: date) -> list[str]:
        return [line for n in range(7) for line in super(SevenDays, self).lines(day + n * A_DAY)]


class WholeWeek(DemoCity):
    def source(self) -> Source:
        return SevenDays()


class EveryOther(DemoSource):
    def lines(self, day: date) -> list[str]:
        return [line for line in super().lines(day) if int(line[14:16]) % 10 == 0]


class FinerGrid(DemoCity):
    def source(self) -> Source:
        return EveryOther()


class RandomLines(DemoSource):
    def lines(self, day: date) -> list[str]:
        return [*super().lines(day), f"{day} 08:00:00,101,{random.uniform(1, 99):.6f},1"]


class RandomSource(DemoCity):
    def source(self) -> Source:
        return RandomLines()


class KeyInUrl(OtherSource):
    def recipe(self) -> dict[str, Any]:
        return {"url": f"https://example.org/speeds?day={{date}}&code={self.token}"}


class SecretInRecipe(DemoCity):
    def source(self) -> Source:
        return KeyInUrl(self.settings.token)


class Restless(DemoSource):
    def recipe(self) -> dict[str, Any]:
        return {"kind": "demo", "client": id(self)}


class MovingRecipe(DemoCity):
    def __init__(self, settings: Any) -> None:
        super().__init__(settings)
        self.made = Restless()

    def source(self) -> Source:
        return self.made


class Nomadic(DemoSource):
    def address(self) -> dict[str, Any]:
        return {"client": id(self)}


class MovingAddress(DemoCity):
    def __init__(self, settings: Any) -> None:
        super().__init__(settings)
        self.made = Nomadic()

    def source(self) -> Source:
        return self.made


class TextLines(DemoSource):
    @contextmanager
    def open(self, day: date) -> Iterator[Iterator[Stream]]:
        yield iter([Stream("text", iter([HEADER, *self.lines(day)]))])  # type: ignore[arg-type]


class TextInsteadOfBytes(DemoCity):
    def source(self) -> Source:
        return TextLines()


class AnyHeader(DemoCity):
    def header(self, first_line: str) -> bool:
        return not first_line.startswith("20")


class RowsAreHeaders(DemoCity):
    def header(self, first_line: str) -> bool:
        return first_line == HEADER or first_line.startswith("20")


# What does not belong into a transform


class Collects(DemoCity):
    def silver(self, bronze: Any) -> Any:
        links = [row.link_id for row in bronze.select("link_id").distinct().collect()]
        return super().silver(bronze.where(bronze.link_id.isin(links)))


class CountsAndHides(DemoCity):
    def bronze(self, spark: Any, raw: RawDay) -> Any:
        rows = super().bronze(spark, raw)
        try:
            self.rows = rows.count()
        except Exception:  # noqa: BLE001 - that is the fault
            self.rows = 0
        return rows


class UsesRdd(DemoCity):
    def read(self, spark: Any, raw: RawDay) -> Any:
        rows = super().read(spark, raw).rdd.map(lambda row: (row.value,))
        return spark.createDataFrame(rows, "value string")


class UsesContext(DemoCity):
    def bronze(self, spark: Any, raw: RawDay) -> Any:
        spark.sparkContext.setJobDescription("bronze")
        return super().bronze(spark, raw)


class OwnSession(DemoCity):
    def bronze(self, spark: Any, raw: RawDay) -> Any:
        from pyspark.sql import SparkSession

        return super().bronze(SparkSession.builder.appName("demo").getOrCreate(), raw)


# Graphs and checks


class OtherIds(DemoCity):
    def graph(self) -> LinkGraph | None:
        return LinkGraph.from_edges([("L101", "L102"), ("L102", "L103")])


class NumbersInGraph(DemoCity):
    def graph(self) -> LinkGraph | None:
        return LinkGraph(((101, 102),))  # type: ignore[arg-type]


class WiderGraph(DemoCity):
    def graph(self) -> LinkGraph | None:
        return LinkGraph.from_edges([("101", "102"), ("102", "203"), ("203", "204")])


class ImpossibleCheck(DemoCity):
    def checks(self) -> list[Check]:
        return [Check("lowest speed", F.min("speed"), low=100)]


class DistinctCheck(DemoCity):
    def checks(self) -> list[Check]:
        return [Check("links", F.countDistinct("link_id"), low=1)]
