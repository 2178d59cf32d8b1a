"""A window of speeds for the tests of `Insight`: by hand, or of METR-LA."""

from __future__ import annotations

import zipfile
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from luigi_traffic.api.graph import LinkGraph
from luigi_traffic.api.links import LinkTable
from luigi_traffic.compute.insight.rows import InsightRows
from luigi_traffic.compute.insight.speeds import Speeds
from luigi_traffic.settings.insight_keys import InsightSettings
from luigi_traffic.training.series import Series
from luigi_traffic.warehouse.insight_table import insight_table

FIVE = timedelta(minutes=5)
NO_GRAPH = LinkGraph(())


def speeds(
    values: Any, start: str = "2024-01-01", interval: timedelta = FIVE, unit: str = "km/h",
    days: set[str] | None = None,
) -> Speeds:  # fmt: skip
    """Of `(T, N)` from a Monday on, with the days given (all of them)."""
    array = np.array(values, np.float32)
    links = tuple("abcdefgh"[: array.shape[1]])
    at = np.datetime64(start, "us")
    series = Series(at, interval, links, ("speed",), array[..., None])
    every = {str(day) for day in series.timestamps.astype("datetime64[D]")}
    return Speeds.of(series, days or every, unit)


def rows_of(
    found: Speeds, settings: InsightSettings, table: LinkTable, last: date,
    graph: LinkGraph = NO_GRAPH,
) -> pd.DataFrame:  # fmt: skip
    columns = insight_table("x").columns
    batches = InsightRows(last, found, settings, table, graph).batches(columns)
    tables = [pa.Table.from_batches([batch]) for batch in batches]
    frame: pd.DataFrame = pa.concat_tables(tables, promote_options="permissive").to_pandas()
    return frame


DAYS, LINKS = 14, 30


def first_days(file: Path) -> np.ndarray:
    """The first `DAYS` days; to unpack all of them takes six seconds."""
    with zipfile.ZipFile(file) as archive, archive.open("values.npy") as packed:
        np.lib.format.read_magic(packed)
        (_, width), in_columns, kind = np.lib.format.read_array_header_1_0(packed)
        assert not in_columns
        size = DAYS * 288 * width * kind.itemsize
        return np.frombuffer(packed.read(size), kind).reshape(-1, width)


def metr_la_window(file: Path) -> tuple[Speeds, pd.Series]:
    """The first two weeks of 30 links, with some faults: as `Insight` has them, and for pandas."""
    values, start = first_days(file), np.datetime64("2012-03-01", "us")
    part = np.where(values == 0, np.nan, values)[:, :LINKS].astype(np.float32)
    part[400:420] = np.nan  # the feed is down
    part[3000:3100, 3] = part[2999, 3]  # a link is stuck
    part[1000:1003, 5] = 150
    links = tuple(f"{n:03d}" for n in range(LINKS))
    series = Series(start, FIVE, links, ("speed",), part[..., None])
    days = {str(day) for day in series.timestamps.astype("datetime64[D]")}
    index = pd.MultiIndex.from_product([links, series.timestamps], names=["link_id", "time"])
    speed = pd.Series(part.T.astype(float).ravel(), index)
    return Speeds.of(series, days, "mph"), speed
