"""The dataset class of a file of settings."""

from __future__ import annotations

from datetime import date, time
from typing import TYPE_CHECKING, Any, ClassVar

from luigi_traffic.api import functions as F
from luigi_traffic.api.columns import COUNTS
from luigi_traffic.api.dataset import Check, Dataset, DatasetSettings, RawDay, SettingStage
from luigi_traffic.api.graph import LinkGraph
from luigi_traffic.api.scope import LinkCell
from luigi_traffic.api.source import Source
from luigi_traffic.yaml_dataset.expected import among
from luigi_traffic.yaml_dataset.graph import read_graph
from luigi_traffic.yaml_dataset.header import has_header, positions
from luigi_traffic.yaml_dataset.rows import link_cell, parse, reasons
from luigi_traffic.yaml_dataset.settings import DeclaredSettings, Table
from luigi_traffic.yaml_dataset.source import TableSource

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


class DeclaredDataset(Dataset):
    """A table that its settings describe. `declared_class` makes a subclass a file."""

    version: ClassVar[str] = "3"
    Settings: ClassVar[type[DatasetSettings]] = DeclaredSettings

    @property
    def table(self) -> Table:
        """What the file says."""
        table: Table = self.settings.table
        return table

    def source(self) -> Source:
        """The files, one day cut out of those that hold many."""
        return TableSource(self.table)

    def header(self, first_line: str) -> bool:
        """Whether there is a header is declared; a column that is not there is a `DataError`."""
        positions(self.table.long, first_line)
        return has_header(self.table)

    def bronze(self, spark: SparkSession, raw: RawDay) -> DataFrame:
        """See `luigi_traffic.yaml_dataset.rows.parse`."""
        return parse(spark, raw, self.table)

    def link_cell(self, raw: RawDay) -> LinkCell | None:
        """The column `link_id`; None if there are several."""
        return link_cell(raw, self.table)

    def silver(self, bronze: DataFrame) -> DataFrame:
        """The mean or sum of each link and interval; `n_obs` rows are in it.

        If there are several measures, `n_<measure>` says how many of them had a value of it.
        """
        numbers = self.table.long.columns.numbers
        ways = {"mean": F.exact_mean, "sum": F.exact_sum}
        values = [
            ways[self.table.aggregate.get(name, "mean")](F.col(name)).alias(name)
            for name in numbers
        ]
        several = list(self.measures) if len(self.measures) > 1 else []
        values += [F.count(name).alias(COUNTS[name]) for name in several]
        start = F.interval_start("timestamp", self.interval).alias("timestamp")
        return (
            bronze.groupBy(start, "link_id")
            .agg(*values, F.count(F.lit(1)).alias("n_obs"))
            .select("timestamp", "link_id", *numbers, "n_obs", *[COUNTS[name] for name in several])
        )

    def graph(self) -> LinkGraph | None:
        """The graph of the file that is named, between the links that silver keeps."""
        if self.table.graph is None:
            return None
        return read_graph(self.table.graph, self.settings.links)

    def checks(self) -> list[Check]:
        """Speeds lie inside the plausible range, also after averaging."""
        if "speed" not in self.measures or self.table.aggregate.get("speed") == "sum":
            return []
        low, high = self.table.speed_range
        return [
            Check(f"highest speed, {self.measures['speed']}", F.max("speed"), high=high),
            Check(f"lowest speed, {self.measures['speed']}", F.min("speed"), low=low),
        ]

    def expected_slots(self, day: date) -> list[time] | None:
        """The intervals that the key `expected` names."""
        expected = self.table.expected
        return None if expected is None else among(expected, self.day_slots())

    def recipe_terms(self, stage: SettingStage) -> dict[str, Any]:
        """The settings of every dataset, and the table's keys of that stage."""
        return super().recipe_terms(stage) | self.table.stage_terms(stage)


def declared_class(name: str, table: Table) -> type[DeclaredDataset]:
    """The dataset class of that name and table."""
    attributes = {
        "__doc__": f"The dataset {name}, declared by a file of settings.",
        "name": name,
        "interval": table.interval,
        "timezone": table.timezone,
        "measures": table.measures,
        "target": table.target or "",
        "settles_after": table.settles_after,
        "reject_reasons": reasons(table),
        "extra_columns": tuple(table.columns.extra),
    }
    return type(f"Declared_{name}", (DeclaredDataset,), attributes)
