"""A collected day through the core's download, bronze and silver."""

from __future__ import annotations

import json
from collections import Counter
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest
from frames import rows_of

from luigi_traffic import RawDay
from luigi_traffic.compute.quality import bronze_aggregates, bronze_counts, judge_bronze
from luigi_traffic.ingest.download import ingest
from luigi_traffic.lake.catalog import Catalog
from luigi_traffic.lake.local import LocalStore
from luigi_traffic.settings.keys import IngestSettings
from luigi_traffic_its_openapi import ItsOpenApi, ItsOpenApiSettings
from luigi_traffic_its_openapi.polls import Polls

DAY = date(2024, 5, 31)
A, B = "1920161400", "1920161500"
pytestmark = pytest.mark.spark


@pytest.fixture
def dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ItsOpenApi:
    later = datetime(2024, 6, 1, 3, 30)
    monkeypatch.setattr(ItsOpenApi, "now", classmethod(lambda cls: later))
    return ItsOpenApi(ItsOpenApiSettings(folder=tmp_path / "polls"))


def raw_day(engine, dataset: ItsOpenApi, tmp_path: Path) -> RawDay:
    store = LocalStore(tmp_path / "lake")
    got = ingest(
        dataset,
        DAY,
        Catalog(store),
        IngestSettings(settle_seconds=0),
        tmp_path / "spool",
        lambda *_: None,
    )
    paths = tuple(engine.address(store, file.key) for file in got.files)
    assert len(got.archives) == len(list(dataset.settings.polls_folder.glob("20240531/*.jsonl")))
    return RawDay(DAY, paths, got.header, got.first_line, got.lines)


def test_a_day_of_polls(engine, service, dataset, tmp_path) -> None:
    polls = Polls(dataset.settings.polls_folder)
    at = datetime(2024, 5, 31, 10, 5, 30)
    speeds = [("57.0", "30"), ("58.0", "31.5"), ("60.0", "33")]
    stamps = ["20240531100500", "20240531100959", "20240531101000"]
    for number, ((a, b), stamp) in enumerate(zip(speeds, stamps, strict=True)):
        rows = [service.item(A, a, stamp), service.item(B, b, "20240531100500")]
        polls.store(rows, at + timedelta(minutes=5 * number))
    raw = raw_day(engine, dataset, tmp_path)
    bronze = dataset.bronze(engine.session(), raw)
    rows = rows_of(engine, bronze)
    assert len(rows) == raw.lines == 6
    assert {row.reject_reason for row in rows} == {row.raw_line for row in rows} == {None}
    assert vars(rows[0]) == {
        "timestamp": datetime(2024, 5, 31, 10, 5), "link_id": A, "speed": 57.0,
        "travel_time": 12.5, "raw_line": None, "reject_reason": None,
    }  # fmt: skip
    assert engine.schema(bronze)[0] == {"name": "timestamp", "type": "timestamp_ntz"}
    silver = engine.collect(dataset.silver(bronze).orderBy("link_id", "timestamp"))
    assert [tuple(row.values()) for row in silver] == [
        (datetime(2024, 5, 31, 10, 5), A, 57.5, 2),
        (datetime(2024, 5, 31, 10, 10), A, 60.0, 1),
        (datetime(2024, 5, 31, 10, 5), B, 31.5, 3),
    ]


def test_what_is_wrong_is_kept_with_its_reason(engine, service, dataset, tmp_path) -> None:
    folder = dataset.settings.polls_folder / "20240531"
    folder.mkdir(parents=True)

    def item(**changes: object) -> str:
        return json.dumps({**service.item(A), **changes})

    lines = {
        item(): None,
        item(speed=57.5, linkId=int(A)): None,  # numbers where text is documented
        item(createdDate="20240531235959"): None,
        item(travelTime=""): None,
        item()[:-9]: "not JSON",
        "null": "not JSON",
        "<html>": "not JSON",
        item(createdDate="2024053110050"): "bad time",
        item(createdDate="20240531250000"): "bad time",
        item(createdDate=None): "bad time",
        item(createdDate="20240530235959"): "other day",
        item(createdDate="20240601000000"): "other day",
        item(linkId="192016140"): "bad link id",
        item(linkId="-192016140"): "bad link id",
        item(linkId=None): "bad link id",
        item(speed=""): "bad speed",
        item(speed="fast"): "bad speed",
        item(speed="0"): "implausible speed",
        item(speed="150.1"): "implausible speed",
        item(speed="NaN"): "bad speed",
    }
    (folder / "20240531T100530.000000.jsonl").write_text("".join(f"{line}\n" for line in lines))
    raw = raw_day(engine, dataset, tmp_path)
    bronze = dataset.bronze(engine.session(), raw)
    frame, found = engine.counted(bronze, bronze_aggregates(dataset.reject_reasons))
    rows = rows_of(engine, frame)
    assert {r.raw_line: r.reject_reason for r in rows if r.reject_reason} == {
        line: reason for line, reason in lines.items() if reason
    }
    counts = bronze_counts(found(), dataset.reject_reasons)
    judge_bronze(counts, raw.lines, 0.9)
    assert counts.rejected == dict(Counter(reason for reason in lines.values() if reason))
    good = [r for r in rows if r.reject_reason is None]
    assert sorted(r.speed for r in good) == [57.0, 57.0, 57.0, 57.5]
    assert {r.link_id for r in good} == {A}
