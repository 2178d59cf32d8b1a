"""What the columns of METR-LA mean."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import date, time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from luigi_traffic import (
    NO_OBSERVATION,
    Check,
    DataError,
    Dataset,
    DatasetSettings,
    LinkCell,
    LinkGraph,
    LinkTable,
    RawDay,
    setting,
)
from luigi_traffic import functions as F
from luigi_traffic_metr_la.source import HEADER, MetrLaSource, places, read

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

_HIGHEST_MPH = 100.0


class MetrLaSettings(DatasetSettings):
    """Where the archive is, and how close a neighbour must be."""

    folder: Path | None = setting(None, stage=None, description="Folder of the .npz files")
    min_weight: float = setting(
        0.5, stage=None, gt=0, le=1, description="Smallest kernel weight that makes an edge"
    )


class MetrLa(Dataset):
    """METR-LA (Li et al. 2018, DCRNN): 207 sensors, 5 minutes, mph, zeros = not measured."""

    name = "metr_la"
    version = "2"
    interval = timedelta(minutes=5)
    timezone = "America/Los_Angeles"
    measures: ClassVar[Mapping[str, str]] = {"speed": "mph"}
    reject_reasons = (NO_OBSERVATION, "bad row", "other day", "implausible speed")
    Settings = MetrLaSettings

    @property
    def folder(self) -> Path:
        """The setting, else METR_LA_DIR, else the folder beside a checkout."""
        default = os.environ.get("METR_LA_DIR") or "../shared/data/metr-la"
        return Path(self.settings.folder or default).expanduser().absolute()

    def source(self) -> MetrLaSource:  # noqa: D102
        return MetrLaSource(self.folder)

    def header(self, first_line: str) -> bool:  # noqa: D102
        if first_line != HEADER:
            raise DataError(f"expected the header {HEADER!r}, found {first_line[:80]!r}")
        return True

    def bronze(self, spark: SparkSession, raw: RawDay) -> DataFrame:  # noqa: D102
        fields = F.cells("line")
        rows = F.lines(spark, raw).select(
            F.wall_time(F.cell(fields, 0)).alias("timestamp"),
            F.cell(fields, 1).alias("link_id"),
            F.number(F.cell(fields, 2)).alias("speed"),
            F.col("line").alias("raw_line"),
        )
        unnamed = F.coalesce(F.col("link_id") == "", F.lit(True))
        bad = F.col("timestamp").isNull() | unnamed | F.col("speed").isNull()
        reason = (
            F.when(bad, "bad row")
            .when(~F.in_day("timestamp", raw.day), "other day")
            .when(F.col("speed") == 0, NO_OBSERVATION)
            .when(~F.col("speed").between(0, _HIGHEST_MPH), "implausible speed")
        )
        return rows.withColumn("reject_reason", reason).withColumn(
            "raw_line", F.when(F.col("reject_reason").isNotNull(), F.col("raw_line"))
        )

    def link_cell(self, raw: RawDay) -> LinkCell:
        """The second cell, the id of a sensor."""
        return LinkCell(1)

    def silver(self, bronze: DataFrame) -> DataFrame:  # noqa: D102
        return bronze.groupBy("timestamp", "link_id").agg(
            F.exact_mean(F.col("speed")).alias("speed"), F.count("speed").alias("n_obs")
        )

    def graph(self) -> LinkGraph:
        """Sensors joined where the Gaussian kernel of their road distance, the weight, is high
        enough."""
        archive = read(self.folder / "metr-la-adj-gauss.npz")
        ids = [str(i) for i in archive["ids"]]
        weights = archive["adj"]
        rows, columns = (weights >= self.settings.min_weight).nonzero()
        return LinkGraph.from_edges(
            (ids[a], ids[b], float(weights[a, b]))
            for a, b in zip(rows.tolist(), columns.tolist(), strict=True)
        )

    def links(self) -> LinkTable | None:
        """Where the sensors are; None if the file of their places is not in the folder."""
        return places(self.folder / "graph_sensor_locations.csv")

    def expected_slots(self, day: date) -> list[time]:
        """Every interval."""
        return self.day_slots()

    def checks(self) -> list[Check]:  # noqa: D102
        return [Check("speed in mph", F.max("speed"), low=0, high=_HIGHEST_MPH)]
