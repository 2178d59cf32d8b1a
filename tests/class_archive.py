"""Have a JVM write the classes that Spark loads into a file: others start in half the time with it.

SPARK_SUBMIT_OPTS=-XX:ArchiveClassesAtExit=FILE python tests/class_archive.py

Java calls this class data sharing (JEP 350). The Makefile uses it for the tests, which start a
hundred Sparks. A JVM that cannot use the file, of another Java for example, goes on without it.
"""

from __future__ import annotations

import sys
import tempfile
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from pyspark.sql import Observation

from luigi_traffic import RawDay
from luigi_traffic import functions as F
from luigi_traffic.compute.quality import checksum_of
from luigi_traffic.settings.keys import Settings, SparkSettings
from luigi_traffic.spark.session import start


def work(folder: Path) -> None:
    """What the stages do, on a day of a few lines."""
    lines = [f'2024-05-01 {n // 60:02}:{n % 60:02},"L{n % 7}",{40 + n % 9}.5' for n in range(1440)]
    (folder / "day.csv").write_text("\n".join(lines), encoding="utf-8")
    raw = RawDay(date(2024, 5, 1), (str(folder / "day.csv"),), None, lines[0], len(lines))
    spark = start(Settings(spark=SparkSettings(master="local[2]")))
    rows = F.lines(spark, raw).select(
        F.wall_time(F.cell(F.cells("line"), 0)).alias("timestamp"),
        F.cell(F.cells("line"), 1).alias("link_id"),
        F.number(F.cell(F.cells("line"), 2)).alias("speed"),
    )
    seen = Observation("bronze")
    kept = rows.observe(seen, F.count(F.lit(1)).alias("n"), checksum_of(rows.columns).alias("sum"))
    kept.write.parquet(f"{folder}/bronze")
    start_of = F.interval_start("timestamp", timedelta(minutes=15)).alias("timestamp")
    means = (
        spark.read.parquet(f"{folder}/bronze")
        .groupBy(start_of, "link_id")
        .agg(F.exact_mean(F.col("speed")).alias("speed"), F.count(F.lit(1)).alias("n_obs"))
    )
    means.join(means.select("timestamp", "link_id"), ["timestamp", "link_id"]).collect()
    assert seen.get["n"] == len(lines)
    gateway: Any = spark.sparkContext._gateway
    spark.stop()
    # The JVM writes the file when it ends, which it does when its input ends.
    gateway.shutdown()
    gateway.proc.stdin.close()
    sys.exit(gateway.proc.wait())


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made:
        work(Path(made))
