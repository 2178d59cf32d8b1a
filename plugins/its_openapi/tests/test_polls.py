"""What lies in the folder: whole files, in the right day, each row once; and the source on it."""

from __future__ import annotations

import json
import os
from datetime import date, datetime
from pathlib import Path

import pytest
import yaml

from luigi_traffic import LinkGraph, SettingsError, SourceAbsent, SourceError
from luigi_traffic_its import read_node_links
from luigi_traffic_its_openapi import ItsOpenApi, ItsOpenApiSettings
from luigi_traffic_its_openapi.polls import Polls
from luigi_traffic_its_openapi.source import CollectedPolls

NOON = datetime(2024, 5, 31, 12, 0, 7)
DAY = date(2024, 5, 31)
LATER = datetime(2024, 6, 1, 0, 30)
CONF = Path(__file__).parents[3] / "conf" / "datasets" / "its_openapi.yml"
KEY_VARIABLE = "LUIGI_TRAFFIC__DATASETS__ITS_OPENAPI__API_KEY"


def row(link: str, at: str = "20240531115500", start: str = "1", end: str = "2") -> dict[str, str]:
    return {"linkId": link, "createdDate": at, "startNodeId": start, "endNodeId": end, "speed": "5"}


def lines(path: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def read(folder: Path, day: date = DAY, now: datetime = LATER) -> list[tuple[str, bytes]]:
    with CollectedPolls(folder, lambda: now).open(day) as streams:
        return [(stream.name, b"".join(stream.chunks)) for stream in streams]


def test_a_poll_is_one_file_of_its_day(tmp_path: Path) -> None:
    polls = Polls(tmp_path)
    rows = [row("1920000001"), row("1920000002")]
    (path,) = polls.store(rows, NOON)
    assert path == tmp_path / "20240531" / "20240531T120007.000000.jsonl"
    assert lines(path) == rows
    assert sorted(p.name for p in tmp_path.rglob("*") if p.is_file()) == [path.name, "nodes.csv"]


def test_a_line_is_ascii_whatever_the_text_is(tmp_path: Path) -> None:
    odd = {**row("1920000001"), "roadName": "삼산로\n\ud800\u2028"}
    (path,) = Polls(tmp_path).store([odd], NOON)
    assert path.read_bytes().isascii()
    assert path.read_bytes().count(b"\n") == 1
    assert lines(path) == [odd]


def test_links_of_overlapping_areas_are_kept_once(tmp_path: Path) -> None:
    (path,) = Polls(tmp_path).store([row("1"), row("2"), row("1")], NOON)
    assert [line["linkId"] for line in lines(path)] == ["1", "2"]


def test_rows_go_to_the_day_they_are_of_near_midnight(tmp_path: Path) -> None:
    """At other times a sensor that hangs is of today: a day that is over keeps its rows."""
    rows = [
        row("1", "20240531235500"), row("2", "20240601000000"), row("3", "20240602000001"),
        row("4", "20230101000000"), row("5", ""), {"linkId": "6"},
    ]  # fmt: skip
    other = ["4", "5", "6"]
    for at, found in (
        (datetime(2024, 6, 1, 0, 1), {"20240531": ["1"], "20240601": ["2", "3", *other]}),
        (datetime(2024, 6, 1, 12), {"20240601": ["1", "2", "3", *other]}),
        (datetime(2024, 6, 1, 23, 59), {"20240601": ["1", "2", *other], "20240602": ["3"]}),
    ):
        files = Polls(tmp_path).store(rows, at)
        assert {f.parent.name: [line["linkId"] for line in lines(f)] for f in files} == found


def test_the_node_table_learns_and_takes_the_newer_node(tmp_path: Path) -> None:
    polls = Polls(tmp_path)
    polls.store([row("11", start="1", end="2"), row("12", start="2", end="3")], NOON)
    before = (tmp_path / "nodes.csv").stat()
    polls.store([row("11", start="1", end="2")], datetime(2024, 5, 31, 12, 5))
    assert (tmp_path / "nodes.csv").stat().st_ino == before.st_ino  # nothing new: not written
    polls.store(
        [row("12", start="2", end="9"), row("13", start="9", end="1"), row("x"), row("14", end="")],
        datetime(2024, 5, 31, 12, 10),
    )
    assert read_node_links(tmp_path / "nodes.csv") == [
        ("11", "1", "2"), ("12", "2", "9"), ("13", "9", "1"),
    ]  # fmt: skip


def test_the_graph_is_of_the_nodes_that_were_collected(tmp_path: Path) -> None:
    dataset = ItsOpenApi(ItsOpenApiSettings(folder=tmp_path))
    assert dataset.graph() is None
    rows = [
        row("11", start="1", end="2"),
        row("12", start="2", end="3"),
        row("13", start="3", end="4"),
    ]
    Polls(tmp_path).store(rows, NOON)
    assert dataset.graph() == LinkGraph((("11", "12"), ("12", "13")))
    some = ItsOpenApi(ItsOpenApiSettings(folder=tmp_path, links=["11", "12"]))
    assert some.graph() == LinkGraph((("11", "12"),))


@pytest.mark.parametrize("broken", ["fsync", "replace"])
def test_a_poll_that_breaks_off_is_not_there(tmp_path: Path, monkeypatch, broken: str) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        if broken == "fsync":
            patch.setattr(os, "fsync", fail)
        else:
            patch.setattr(Path, "replace", fail)
        with pytest.raises(SettingsError, match=r"cannot write polls to .*No space left"):
            Polls(tmp_path).store([row("1")], NOON)
    with pytest.raises(SourceAbsent):
        read(tmp_path)
    # The next collector sweeps it up.
    assert list(tmp_path.glob("*/.*.part"))
    with Polls(tmp_path).claimed():
        assert not list(tmp_path.glob("*/.*.part"))


def test_one_collector_a_folder(tmp_path: Path) -> None:
    with (
        Polls(tmp_path).claimed(),
        pytest.raises(SettingsError, match="another collector is running"),
        Polls(tmp_path).claimed(),
    ):
        pass
    with Polls(tmp_path).claimed():
        pass


def test_a_day_is_the_polls_in_order(tmp_path: Path) -> None:
    folder = tmp_path / "of {date} and {x}"
    for minute in (10, 0, 5):
        Polls(folder).store([row(f"{minute}")], datetime(2024, 5, 31, 9, minute))
    found = read(folder)
    assert [name[9:15] for name, _ in found] == ["090000", "090500", "091000"]
    assert [json.loads(content)["linkId"] for _, content in found] == ["0", "5", "10"]


def test_a_day_without_polls_is_absent(tmp_path: Path) -> None:
    Polls(tmp_path).store([row("1")], NOON)
    with pytest.raises(SourceAbsent, match=r"no poll of 2024-05-30 .*its-openapi-collect"):
        read(tmp_path, date(2024, 5, 30))


def test_a_day_that_is_not_over_is_an_error_and_not_absent(tmp_path: Path) -> None:
    Polls(tmp_path).store([row("1")], NOON)
    for now in (NOON, datetime(2024, 6, 1, 0, 29, 59)):
        with pytest.raises(SourceError, match="are collected until 2024-06-01 00:30"):
            read(tmp_path, now=now)
    assert len(read(tmp_path, now=LATER)) == 1


def test_the_recipe_does_not_depend_on_folder_and_areas(tmp_path: Path) -> None:
    one = ItsOpenApi(ItsOpenApiSettings())
    two = ItsOpenApi(ItsOpenApiSettings(folder=tmp_path, areas=[(126, 127, 37, 38)], timeout=1))
    assert one.source().recipe() == two.source().recipe() == {"kind": "its_openapi"}
    for stage in ("raw", "bronze", "silver", "gold"):
        assert one.recipe_terms(stage) == two.recipe_terms(stage)


def test_the_settings_file_says_the_defaults() -> None:
    values = yaml.safe_load(CONF.read_text(encoding="utf-8"))
    assert ItsOpenApiSettings.model_validate(values) == ItsOpenApiSettings()


def test_the_key_is_not_shown() -> None:
    settings = ItsOpenApiSettings(api_key="s3cret")
    assert "s3cret" not in repr(settings)
    assert "s3cret" not in str(settings.model_dump(mode="json"))
    dataset = ItsOpenApi(settings)
    for stage in ("raw", "bronze", "silver", "gold"):
        assert "api_key" not in dataset.recipe_terms(stage)


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ({"areas": []}, "at least 1"),
        ({"areas": [[129.5, 129.1, 35, 36]]}, "is not an area"),
        ({"areas": [[35, 36, 129, 130]]}, "longitudes before latitudes"),
        ({"url": "ftp://x/y"}, "http or https"),
        ({"url": "https://x/y?apiKey=1"}, "no parameters"),
        ({"url": "https://u:p@x/y"}, "no user"),
    ],
)
def test_settings_that_are_wrong(setting: dict, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        ItsOpenApiSettings(**setting)
