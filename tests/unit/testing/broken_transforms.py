"""Datasets with one fault each, in bronze or silver."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from functools import reduce
from typing import Any

from kit_city import HEADER, DemoCity, DemoSource

from luigi_traffic import LinkCell, RawDay, Source, Stream
from luigi_traffic import functions as F


class DropsBadRows(DemoCity):
    def flagged(self, rows: Any, reason: Any) -> Any:
        return super().flagged(rows, reason).where("reject_reason IS NULL")


class DuplicatesARow(DemoCity):
    def read(self, spark: Any, raw: RawDay) -> Any:
        rows = super().read(spark, raw)
        return rows.union(rows.limit(1))


class KoreanTimeAsUtc(DemoCity):
    def flagged(self, rows: Any, reason: Any) -> Any:
        flagged = super().flagged(rows, reason)
        return flagged.withColumn("timestamp", F.expr("timestamp - INTERVAL 9 HOURS"))


class SessionTime(DemoCity):
    """The right wall time where the session's zone is UTC, as it is in a run today."""

    def time(self, text: Any) -> Any:
        return F.concat(text, F.lit("Z")).try_cast("timestamp_ltz").cast("timestamp_ntz")


class DateAsMidnight(DemoCity):
    """No look at the length of the text."""

    def time(self, text: Any) -> Any:
        return text.try_cast("timestamp_ntz")


class ZonedBronze(DemoCity):
    def flagged(self, rows: Any, reason: Any) -> Any:
        flagged = super().flagged(rows, reason)
        return flagged.withColumn("timestamp", F.col("timestamp").cast("timestamp_ltz"))


class ZonedSilver(DemoCity):
    def silver(self, bronze: Any) -> Any:
        silver = super().silver(bronze)
        return silver.withColumn("timestamp", F.col("timestamp").cast("timestamp_ltz"))


class NumericLinks(DemoCity):
    def flagged(self, rows: Any, reason: Any) -> Any:
        flagged = super().flagged(rows, reason)
        return flagged.withColumn("link_id", F.col("link_id").try_cast("bigint"))


class NoRawLine(DemoCity):
    def flagged(self, rows: Any, reason: Any) -> Any:
        return super().flagged(rows, reason).withColumn("raw_line", F.lit(None).cast("string"))


class UndeclaredReason(DemoCity):
    reject_reasons = ("bad row", "other day", "implausible speed")


class SparkLineEnds(DemoCity):
    def read(self, spark: Any, raw: RawDay) -> Any:
        if not raw.paths:
            return super().read(spark, raw)
        return spark.read.text(list(raw.paths)).withColumnRenamed("value", "line")


class KeepsCarriageReturn(DemoCity):
    def read(self, spark: Any, raw: RawDay) -> Any:
        if not raw.paths:
            return super().read(spark, raw)
        return spark.read.text(list(raw.paths), lineSep="\n").withColumnRenamed("value", "line")

    def flagged(self, rows: Any, reason: Any) -> Any:
        count = F.get(F.split("line", ","), F.lit(3))
        return super().flagged(rows, F.coalesce(reason, F.when(~count.isin(*"012"), "bad row")))


class OtherLinkCell(DemoCity):
    def link_cell(self, raw: RawDay) -> LinkCell:
        return LinkCell(3)


class DropsBlankLines(DemoCity):
    def read(self, spark: Any, raw: RawDay) -> Any:
        return super().read(spark, raw).where("trim(line) != ''")


class CrashesOnGarbage(DemoCity):
    def flagged(self, rows: Any, reason: Any) -> Any:
        speed = F.when(F.col("text") != "", F.col("text").cast("double"))
        return super().flagged(rows.withColumn("speed", speed), reason)


class CrashesOnEmptyDay(DemoCity):
    def read(self, spark: Any, raw: RawDay) -> Any:
        frames = [spark.read.text(path, lineSep="\n") for path in raw.paths]
        first, *others = (frame.withColumnRenamed("value", "line") for frame in frames)
        return reduce(lambda one, two: one.union(two), others, first)


class FillsInSpeeds(DemoCity):
    def flagged(self, rows: Any, reason: Any) -> Any:
        guessed = rows.withColumn("speed", F.coalesce("speed", F.lit(50.0)))
        known = F.col("timestamp").isNotNull() & F.col("link_id").isNotNull()
        return super().flagged(guessed, F.when(~known, "bad row"))


class ReadsByPosition(DemoCity):
    """Takes any header that has a time, then reads the columns it expects."""

    def header(self, first_line: str) -> bool:
        return "time" in first_line or "speed" in first_line

    def flagged(self, rows: Any, reason: Any) -> Any:
        bad = F.col("timestamp").isNull() | F.col("speed").isNull()
        return super().flagged(rows, F.when(bad, "bad row"))


class LinksWithoutName(DemoCity):
    def flagged(self, rows: Any, reason: Any) -> Any:
        unnamed = F.col("speed").between(1, 150) & F.col("timestamp").isNotNull()
        return super().flagged(rows, F.when(~(unnamed & (F.col("link_id") == "")), reason))


# Silver


class OffGrid(DemoCity):
    def silver(self, bronze: Any) -> Any:
        return bronze.groupBy("timestamp", "link_id").agg(
            F.exact_mean(F.col("speed")).alias("speed"), F.count(F.lit(1)).alias("n_obs")
        )


class LosesObservations(DemoCity):
    def silver(self, bronze: Any) -> Any:
        return super().silver(bronze).withColumn("n_obs", F.lit(1))


class LosesSlowRows(DemoCity):
    def silver(self, bronze: Any) -> Any:
        return super().silver(bronze.where("speed > 40"))


class NotUnique(DemoCity):
    def silver(self, bronze: Any) -> Any:
        start = F.interval_start("timestamp", self.interval).alias("timestamp")
        return bronze.select(start, "link_id", "speed", F.lit(1).alias("n_obs"))


class FirstOfMany(DemoCity):
    def silver(self, bronze: Any) -> Any:
        start = F.interval_start("timestamp", self.interval).alias("timestamp")
        return bronze.groupBy(start, "link_id").agg(
            F.first("speed").alias("speed"), F.count(F.lit(1)).alias("n_obs")
        )


class NumbersRows(DemoCity):
    def flagged(self, rows: Any, reason: Any) -> Any:
        return super().flagged(rows, reason).withColumn("row", F.monotonically_increasing_id())


class NanSpeeds(DemoCity):
    def flagged(self, rows: Any, reason: Any) -> Any:
        speed = F.when(F.col("text") == "", F.lit(float("nan"))).otherwise(F.col("speed"))
        kept = F.when(F.col("text") != "", reason)
        return super().flagged(rows.withColumn("speed", speed), kept)


class PlainMean(NanSpeeds):
    def silver(self, bronze: Any) -> Any:
        start = F.interval_start("timestamp", self.interval).alias("timestamp")
        return bronze.groupBy(start, "link_id").agg(
            F.avg("speed").alias("speed"), F.count(F.lit(1)).alias("n_obs")
        )


class FloatingMean(DemoCity):
    def silver(self, bronze: Any) -> Any:
        start = F.interval_start("timestamp", self.interval).alias("timestamp")
        return bronze.groupBy(start, "link_id").agg(
            F.avg("speed").alias("speed"), F.count(F.lit(1)).alias("n_obs")
        )


class ForSparkAlone(DemoCity):
    def silver(self, bronze: Any) -> Any:
        from pyspark.sql import functions as spark_functions

        return super().silver(bronze.where(spark_functions.col("speed") > 0))


class OtherTypes(DemoCity):
    def flagged(self, rows: Any, reason: Any) -> Any:
        # 64 bits in DuckDB, 32 in Spark.
        return super().flagged(rows, reason).withColumn("length", F.length("link_id"))


class KilometresAsMetres(DemoCity):
    speed_unit = "m/s"


class MphSource(DemoSource):
    @contextmanager
    def open(self, day: date) -> Iterator[Iterator[Stream]]:
        text = "\n".join([HEADER.replace("kmh", "mph"), *self.lines(day)]) + "\n"
        yield iter([Stream(f"{day}.csv", iter([text.encode()]))])


class MphAsKilometres(DemoCity):
    def source(self) -> Source:
        return MphSource()

    def header(self, first_line: str) -> bool:
        return super().header(first_line.replace("mph", "kmh"))
