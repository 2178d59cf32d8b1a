"""A workbook as a dataset: from its cells to rows of bronze."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from pathlib import Path

import pytest
from declared_tables import declared
from frames import rows_of
from openpyxl import Workbook

from luigi_traffic.api.dataset import RawDay
from luigi_traffic.errors import SourceError
from luigi_traffic.ingest.download import Ingested, ingest
from luigi_traffic.lake.catalog import Catalog
from luigi_traffic.lake.local import LocalStore
from luigi_traffic.settings.keys import IngestSettings

DAY = date(2024, 5, 13)
NOON = datetime(2024, 5, 13, 12)


def write(path: Path, rows: list[list[object]]) -> None:
    book = Workbook()
    book.active.append(["nothing", "here"])
    sheet = book.create_sheet("Speeds")
    for row in rows:
        sheet.append(row)
    book.save(path)


def take(dataset, folder: Path) -> tuple[Ingested, LocalStore]:
    store = LocalStore(folder / "lake")
    limits = IngestSettings(settle_seconds=0, attempts=1)
    spool = folder / "spool"
    return ingest(dataset, DAY, Catalog(store), limits, spool, lambda *_: None), store


def bronze(engine, dataset, folder: Path) -> list[tuple]:
    got, store = take(dataset, folder)
    paths = tuple(engine.address(store, file.key) for file in got.files)
    raw = RawDay(DAY, paths, got.header, got.first_line, got.lines)
    rows = rows_of(engine, dataset.bronze(engine.session(), raw))
    return [(row.timestamp, row.link_id, row.speed, row.reject_reason) for row in rows]


@pytest.mark.spark
def test_rows_of_a_worksheet(engine, tmp_path: Path) -> None:
    rows = [["time", "sensor", "v"], [NOON, 101, 57.0], [NOON + timedelta(minutes=10), 102, None],
            [datetime(2024, 5, 14), 101, 5], [NOON, 101, "fast"]]  # fmt: skip
    write(tmp_path / "20240513.xlsx", rows)
    dataset = declared(glob=f"{tmp_path}/{{date}}.xlsx", format="xlsx", sheet="Speeds")
    assert dataset.source().recipe()["sheet"] == "Speeds"
    assert bronze(engine, dataset, tmp_path) == [
        (NOON, "101", 57.0, None),
        (NOON + timedelta(minutes=10), "102", None, "no observation"),
        (datetime(2024, 5, 14), "101", 5.0, "other day"),
        (NOON, "101", None, "bad speed"),
    ]


@pytest.mark.spark
def test_one_day_of_many_by_day_and_time_and_a_column_a_time(engine, tmp_path: Path) -> None:
    write(tmp_path / "may.xlsx", [
        ["day", "sensor", time(0), time(12)], [date(2024, 5, 12), "a", 1, 2],
        [DAY, "a", 3, 4], [DAY, "b", None, 6.5],
    ])  # fmt: skip
    dataset = declared(
        glob=f"{tmp_path}/may.xlsx", format="xlsx", sheet="Speeds", missing=[""],
        columns={"timestamp": None, "speed": None, "date": "day", "link_id": "sensor"},
        wide={"by": "time", "measure": "speed"},
    )  # fmt: skip
    midnight = datetime(2024, 5, 13)
    assert bronze(engine, dataset, tmp_path) == [
        (midnight, "a", 3.0, None), (NOON, "a", 4.0, None),
        (midnight, "b", None, "no observation"), (NOON, "b", 6.5, None),
    ]  # fmt: skip


def test_a_worksheet_that_is_not_there(tmp_path: Path) -> None:
    write(tmp_path / "20240513.xlsx", [["time", "sensor", "v"]])
    dataset = declared(glob=f"{tmp_path}/{{date}}.xlsx", format="xlsx", sheet="Speed")
    with pytest.raises(SourceError) as caught:
        take(dataset, tmp_path)
    assert str(caught.value) == (
        "city 2024-05-13: 20240513.xlsx: expected the worksheet 'Speed' in the workbook; it has "
        "'Sheet', 'Speeds'"
    )
