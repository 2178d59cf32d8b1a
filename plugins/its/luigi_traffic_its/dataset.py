"""The ITS dataset: one archive a day of 5-minute link speeds, national, from www.its.go.kr."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, time, timedelta
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from luigi_traffic import (
    Check,
    Dataset,
    DatasetSettings,
    HttpZip,
    LinkCell,
    LinkGraph,
    LinkTable,
    RawDay,
    Source,
)
from luigi_traffic import functions as F
from luigi_traffic_its.header import is_header
from luigi_traffic_its.link_table import node_link_table
from luigi_traffic_its.nodelink import node_link_graph
from luigi_traffic_its.rows import REASONS, link_cell, parse
from luigi_traffic_its.settings import ItsSettings

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


_EXPECTED_MINUTES = (0, 5, 15, 25, 35, 45, 55)


class Its(Dataset):
    """Speeds of the road links of Korea.

    Slots are missing by design: the minutes 0, 5, 15, 25, 35, 45, 55 of an hour are about
    93 % present, the other five about 12 %, at the same minutes for all links. So only
    the first seven are expected.
    """

    name: ClassVar[str] = "its"
    version: ClassVar[str] = "2"
    silver_version: ClassVar[str] = "1"
    interval: ClassVar[timedelta] = timedelta(minutes=5)
    timezone: ClassVar[str] = "Asia/Seoul"
    measures: ClassVar[Mapping[str, str]] = {"speed": "km/h"}
    reject_reasons: ClassVar[tuple[str, ...]] = REASONS
    Settings: ClassVar[type[DatasetSettings]] = ItsSettings

    def source(self) -> Source:
        """The archive of a day behind `url_template`."""
        return HttpZip(self.settings.url_template, timeout=self.settings.timeout)

    def header(self, first_line: str) -> bool:
        """See `luigi_traffic_its.header.is_header`."""
        return is_header(first_line)

    def bronze(self, spark: SparkSession, raw: RawDay) -> DataFrame:
        """See `luigi_traffic_its.rows.parse`."""
        return parse(spark, raw, self.settings.min_speed, self.settings.max_speed)

    def link_cell(self, raw: RawDay) -> LinkCell | None:
        """The third cell, or the second of the files of 2020."""
        return link_cell(raw)

    def silver(self, bronze: DataFrame) -> DataFrame:
        """The mean speed of each link and interval; `n_obs` rows are averaged."""
        start = F.interval_start("timestamp", self.interval).alias("timestamp")
        return (
            bronze.groupBy(start, "link_id")
            .agg(F.exact_mean(F.col("speed")).alias("speed"), F.count(F.lit(1)).alias("n_obs"))
            .select("timestamp", "link_id", "speed", "n_obs")
        )

    def graph(self) -> LinkGraph | None:
        """The graph of `node_link_csv` between the links that silver keeps; None without one."""
        path = self.node_links()
        if path is None:
            return None
        return _graph(
            path, _changed(path), tuple(self.settings.links), self.settings.node_link_u_turns
        )

    def links(self) -> LinkTable | None:
        """Name, length, limit, lanes and class of the links in `node_link_csv`, as far as it has
        them; None without one."""
        path = self.node_links()
        return None if path is None else node_link_table(path, self.settings.links)

    def node_links(self) -> Path | None:
        """The CSV that the graph is read from."""
        path: Path | None = self.settings.node_link_csv
        return path.expanduser() if path else None

    def expected_slots(self, day: date) -> list[time] | None:
        """The minutes of an hour at which the source mostly reports."""
        return self.day_slots(_EXPECTED_MINUTES)

    def checks(self) -> list[Check]:
        """Speeds lie inside the plausible bounds, also after averaging."""
        return [
            Check("highest speed, km/h", F.max("speed"), high=self.settings.max_speed),
            Check("lowest speed, km/h", F.min("speed"), low=self.settings.min_speed),
            Check("rows averaged into one, at least", F.min("n_obs"), low=1),
        ]


def _changed(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0  # the reader says what is wrong with it


@lru_cache(maxsize=4)
def _graph(path: Path, changed: int, links: tuple[str, ...], u_turns: bool) -> LinkGraph:
    # The national table has over half a million rows, and every day of gold asks for it.
    return node_link_graph(path, links, u_turns=u_turns)
