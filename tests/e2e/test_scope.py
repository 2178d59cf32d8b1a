"""`scope: links`: bronze keeps the lines of some links, counts the others, and can be made anew."""

from __future__ import annotations

import gzip
import json
import zipfile
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from small import FOLDER

YAML = """\
table:
  url_template: "file://{folder}/{{date}}.{suffix}"
  columns: {{timestamp: time, link_id: {link}, speed: speed}}
  interval: 1 h
  timezone: Asia/Seoul
scope: links
links: {links}
"""
DAY = "2024-01-01"


@pytest.fixture
def city(tmp_path, monkeypatch, luigi_here):
    """Declares the dataset `wide_area` of two links, with the links that are wanted."""
    folder = tmp_path / FOLDER / "data"
    folder.mkdir(parents=True)
    lines = [
        f"{DAY} {h:02d}:00,{link},{30 + h},N\n" for h in range(24) for link in ("101", '"102"')
    ]
    (folder / "20240101.csv").write_text(
        "time,link,speed,dir\n" + "".join(lines) + f"{DAY} 05:00\n"
    )
    conf = tmp_path / "conf" / "datasets"
    conf.mkdir(parents=True)
    monkeypatch.setenv("LUIGI_TRAFFIC_CONF", str(conf.parent))

    def declare(links: list[str], link: str = "link", suffix: str = "csv") -> None:
        text = YAML.format(folder=folder, links=json.dumps(links), link=link, suffix=suffix)
        (conf / "wide_area.yml").write_text(text)
        luigi_here.set()

    declare.source = folder / "20240101.csv"
    return declare


def manifests(lake: Path, stage: str) -> list[dict]:
    found = lake.glob(f"_manifests/{stage}/wide_area/{DAY}/*.json")
    return sorted((json.loads(file.read_text()) for file in found), key=lambda m: m["committed_at"])


def test_bronze_keeps_the_lines_of_the_links(city, luigi_here) -> None:
    words = ("Silver", "--dataset", "wide_area", "--date", DAY)
    city(["101"])
    code, log = luigi_here.run(*words)
    assert code == 0, log
    assert "24 rows, 0 of them rejected; 25 lines are outside the scope" in log
    # Raw has the day whole: it is not asked for again.
    city.source.unlink()
    city(["102", "101"])
    assert luigi_here.run(*words)[0] == 0
    city(["102"])
    code, log = luigi_here.run(*words)
    assert code == 0, log
    assert len(manifests(luigi_here.lake, "raw")) == 1
    first, both, second = manifests(luigi_here.lake, "bronze")
    for made, others, rows in ((first, 24, 24), (both, 0, 48), (second, 24, 24)):
        left_out = {"outside the link filter": others} if others else {}
        assert made["rejected"] == left_out | {"without a link id": 1}
        assert (made["rows_in"], made["rows_out"], made["rows_rejected"]) == (49, rows, others + 1)
    tables = [pq.read_table(luigi_here.lake / f["key"]) for f in second["files"]]
    assert {link for t in tables for link in t["link_id"].to_pylist()} == {"102"}
    assert [m["rows_out"] for m in manifests(luigi_here.lake, "silver")] == [24, 48, 24]


def test_lines_that_raw_kept_apart(city, luigi_here) -> None:
    """Of a ZIP: bronze reads those that raw kept, finds others in the file as it came, and on
    another engine too."""
    text = city.source.read_bytes()
    city.source.unlink()
    with zipfile.ZipFile(city.source.with_suffix(".zip"), "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("day.csv", text)
    packed = city.source.with_suffix(".zip").read_bytes()
    words = ("Bronze", "--dataset", "wide_area", "--date", DAY)
    city(["101"], suffix="zip")
    assert luigi_here.run(*words)[0] == 0
    city.source.with_suffix(".zip").unlink()
    (raw,) = manifests(luigi_here.lake, "raw")
    archive, scoped = (luigi_here.lake / file["key"] for file in raw["files"])
    assert archive.read_bytes() == packed
    assert gzip.decompress(scoped.read_bytes()).decode().count(",101,") == 24
    city(["101", "102"], suffix="zip")
    assert luigi_here.run(*words)[0] == 0
    city(["102"], suffix="zip")
    luigi_here.set(COMPUTE__ENGINE="spark")
    code, log = luigi_here.run(*words)
    assert code == 0, log
    assert len(manifests(luigi_here.lake, "raw")) == 1
    for made, others, rows in zip(
        manifests(luigi_here.lake, "bronze"), (24, 0, 24), (24, 48, 24), strict=True
    ):
        left_out = {"outside the link filter": others} if others else {}
        assert made["rejected"] == left_out | {"without a link id": 1}
        assert (made["rows_in"], made["rows_out"], made["rows_rejected"]) == (49, rows, others + 1)
    assert not list((luigi_here.lake.parent / "tmp").glob("text-*"))


def test_links_that_are_in_no_line(city, luigi_here) -> None:
    city(["999"])
    code, log = luigi_here.run("Bronze", "--dataset", "wide_area", "--date", DAY)
    assert code != 0
    assert "none of the 49 lines belongs to the 1 links of the setting `links`" in log
    assert "about 2, for example '101' and '102'" in log and "Traceback" not in log
    assert not manifests(luigi_here.lake, "bronze")
    assert not list(luigi_here.lake.glob("bronze/**/*.parquet"))


def test_a_dataset_whose_link_is_in_no_cell_of_its_own(city, luigi_here) -> None:
    city(["101"], link="[link, dir]")
    code, log = luigi_here.run("Bronze", "--dataset", "wide_area", "--date", DAY)
    assert code != 0
    assert "datasets.wide_area.scope is links, but the dataset does not say where" in log
    assert "Traceback" not in log
