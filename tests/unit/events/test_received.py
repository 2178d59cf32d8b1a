from __future__ import annotations

import json
from datetime import date
from types import SimpleNamespace
from typing import Any

import pytest

from luigi_traffic.events.announcement import TYPE, announce, event_id
from luigi_traffic.events.header_names import UndecodedName
from luigi_traffic.events.received import DayWanted, Unreadable, understand
from luigi_traffic.lake.manifest import Manifest
from luigi_traffic.recipe import Recipe

DATASETS = {"its", "metr_la"}
DATA = {"dataset": "its", "date": "2024-01-10", "partition_id": "a1"}
ID = event_id("its", "2024-01-10", "a1")
EVENT = {"specversion": "1.0", "id": ID, "type": TYPE, "data": DATA}


def message(value: bytes | None, headers: tuple = ()) -> Any:
    return SimpleNamespace(value=value, headers=list(headers))


def changed(**attributes: Any) -> bytes:
    return json.dumps({**EVENT, **attributes}).encode()


def day(value: Any, dataset: Any = "its") -> bytes:
    return changed(data=DATA | {"dataset": dataset, "date": value})


@pytest.mark.parametrize(
    "headers",
    [(), (("content-type", b"application/cloudevents+json; charset=UTF-8"), ("other", None)),
     (("content-type", b"Application/CloudEvents+JSON"),)],
)  # fmt: skip
def test_an_announcement(headers):
    found = understand(message(json.dumps(EVENT).encode(), headers), DATASETS)
    assert found == DayWanted(ID, "its", date(2024, 1, 10))


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "no value"),
        (b"", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"[]", "not a JSON object"),
        (b"{}", "specversion is missing"),
        (changed(specversion="0.3"), "specversion is '0.3'"),
        (changed(type="io.luigi-traffic.raw.committed.v2"), "type is"),
        (changed(id=""), "id is ''"),
        (changed(id=7), "id is 7"),
        (changed(id="x" * 201), "id is"),
        (changed(id="a\0b"), "id is"),
        (changed(id="\ud800x"), "id is"),  # half a surrogate pair: no UTF-8 can hold it
        (changed(id=None), "id is missing"),
        (changed(id=event_id("metr_la", "2024-01-10", "a1")), f"make {ID!r}"),
        (changed(id=ID.upper()), f"make {ID!r}"),
        (day("2024-01-11"), f"id is {ID!r}, but data.dataset, data.date and data.partition_id"),
        (day("2024-01-10", "metr_la"), f"id is {ID!r}, but"),
        (changed(data=DATA | {"partition_id": "a2"}), f"id is {ID!r}, but"),
        (changed(data=DATA | {"partition_id": "\ud800"}), "data.partition_id is"),
        (changed(data=DATA | {"partition_id": ""}), "data.partition_id is ''"),
        (changed(data=DATA | {"partition_id": 7}), "data.partition_id is 7"),
        (changed(data={"dataset": "its", "date": "2024-01-10"}), "data.partition_id is missing"),
        (changed(data=None), "data is missing"),
        (changed(data="its"), "data is 'its'"),
        (day("2024-01-10", "itz"), "data.dataset is 'itz'; plugins provide its, metr_la"),
        (day("2024-01-10", ["its"]), "data.dataset is"),
        (day(None), "data.date is missing"),
        (day("20240110"), "data.date"),
        (day("2024-W02-3"), "data.date"),
        (day("2024-02-30"), "data.date"),
        (day("2024-01-1O"), "data.date"),
        (day(20240110), "data.date"),
    ],
)
def test_anything_else_is_refused_with_the_reason(value, reason):
    with pytest.raises(Unreadable, match=reason):
        understand(message(value), DATASETS)


def test_another_content_type_is_refused():
    with pytest.raises(Unreadable, match="content-type is b'application/json'"):
        understand(message(changed(), (("content-type", b"application/json"),)), DATASETS)


def test_a_reason_is_one_short_line_whatever_came():
    with pytest.raises(Unreadable) as refused:
        understand(message(changed(type="evil\n" * 1000)), DATASETS)
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 300


def test_a_header_whose_name_is_no_utf_8_is_a_reason():
    headers = ((UndecodedName("caf\\xe9"), b"1"),)
    with pytest.raises(Unreadable, match="the name of a header is not UTF-8: 'caf"):
        understand(message(changed(), headers), DATASETS)


def test_the_announcement_that_a_run_sends_is_understood():
    manifest = Manifest.start(
        Recipe("raw", "its", {}), date(2024, 1, 10), "a1", inputs=[], rows_out=5
    )
    sent = announce(manifest, "s3://lake/m.json", "t").to_json()
    assert understand(message(sent), DATASETS) == DayWanted(ID, "its", date(2024, 1, 10))
