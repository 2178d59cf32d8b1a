"""`luigi-traffic links`: from files, and from a dataset itself, into the warehouse and out."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import numpy as np
import pyogrio
import pytest
import shapely
from typer.testing import CliRunner

from luigi_traffic import LinkTable
from luigi_traffic.cli import app
from luigi_traffic.commands.links import own_links
from luigi_traffic.commands.links.link_file import LinkFile
from luigi_traffic.errors import DataError, SettingsError, TrafficError
from luigi_traffic.project import current
from luigi_traffic_its_sim import ItsSim

#: In front of Seoul's city hall, by the two coordinate systems.
PLACE, KOREAN = (126.97796, 37.56647), (198055.5, 551885.2)
LINES = [[(0, 0), (100, 0)], [(0, 0), (0, 50), (0, 100)], [(5, 5), (9, 9)]]
NAMES = ["세종대로", "퇴계로", ""]


def line_at(places: list[tuple[int, int]], at: tuple[float, float] = KOREAN) -> shapely.LineString:
    return shapely.LineString(np.add(places, at))


def shapefile(
    folder: Path, ids=("1020000100", "1020000200", "1020000300"), encoding="CP949", shapes=None,
) -> Path:  # fmt: skip
    """As MOCT_LINK, with a few of its columns and links around `KOREAN`."""
    folder.mkdir(exist_ok=True)
    path = folder / "MOCT_LINK.shp"
    shapes = [line_at(line) for line in LINES] if shapes is None else shapes
    columns = {
        "LINK_ID": ids, "F_NODE": ("1", "2", "3"), "T_NODE": ("2", "3", ""),
        "LANES": np.array([2, 3, 0], np.int32), "ROAD_RANK": ("101", "103", "107"),
        "ROAD_NAME": NAMES, "MAX_SPD": np.array([80, 50, 0], np.int32),
        "LENGTH": np.array([100.5, 100, 5.6]), "REMARK": (None, None, None),
    }  # fmt: skip
    columns = {
        name: (of if isinstance(of, np.ndarray) else np.array(of, object))[: len(shapes)]
        for name, of in columns.items()
    }
    pyogrio.raw.write(
        path, shapely.to_wkb(np.array(shapes)), list(columns.values()), list(columns),
        geometry_type="LineString", crs="EPSG:5186", encoding=encoding,
    )  # fmt: skip
    path.with_suffix(".cpg").unlink()  # the ministry's file has none
    return path


def read(path: Path, *more) -> list[dict]:
    return [row for batch in LinkFile(path, *more).batches() for row in batch.to_pylist()]


def test_a_shapefile_of_the_node_link_set(tmp_path: Path) -> None:
    rows = read(shapefile(tmp_path))
    shapes = [shapely.from_wkb(row.pop("geometry")) for row in rows]
    assert rows[0] == {
        "row": 1, "link_id": "1020000100", "start_node": "1", "end_node": "2", "lanes": 2,
        "road_class": "101", "name": "세종대로", "speed_limit": 80, "length_m": 100.5,
    }  # fmt: skip
    assert rows[1]["name"] == "퇴계로"
    unknown = ("name", "speed_limit", "lanes", "end_node")
    assert [rows[2][column] for column in unknown] == [None] * 4 and rows[2]["length_m"] == 5.6
    assert np.allclose(shapes[0].coords[0], PLACE, atol=1e-4)
    assert [len(shape.coords) for shape in shapes] == [2, 3, 2]
    assert shapes[0].coords[0] == shapes[1].coords[0]


def test_parts_that_meet_become_one_line_and_others_are_told(tmp_path: Path, said) -> None:
    meets = [line_at([(0, 0), (1, 0)]), line_at([(1, 0), (2, 0)])]
    apart = [line_at([(0, 0), (1, 0)]), line_at([(5, 0), (6, 0)])]
    rows = read(shapefile(tmp_path, shapes=[shapely.MultiLineString(s) for s in (meets, apart)]))
    assert [len(shapely.from_wkb(row["geometry"]).coords) for row in rows] == [3, 4]
    told = "the lines of 1 links have parts that do not meet (for example row 2)"
    assert told in said[-1].getMessage()


@pytest.mark.parametrize("suffix", ["shx", "dbf", "prj"])
def test_a_missing_part_is_named(tmp_path: Path, suffix: str) -> None:
    path = shapefile(tmp_path)
    path.with_suffix(f".{suffix}").unlink()
    with pytest.raises(DataError, match=rf"MOCT_LINK\.{suffix} is missing.*[Cc]opy"):
        read(path)


def refused(message: str, path: Path, *more, error=DataError) -> None:
    with pytest.raises(error, match=message):
        read(path, *more)


def test_an_encoding_that_is_wrong_or_unknown(tmp_path: Path) -> None:
    path = shapefile(tmp_path, encoding="UTF-8")
    refused(r"LINK\.shp, row 1, column ROAD_NAME: b'.*' is not text in cp949\. Name the", path)
    assert read(path, None, "utf-8")[0]["name"] == "세종대로"
    path.with_suffix(".cpg").write_text("UTF-8")
    assert read(path)[0]["name"] == "세종대로"
    refused("the encoding 'cp9490' is not known", path, None, "cp9490", error=SettingsError)


def test_a_coordinate_system_that_is_wrong_or_unknown(tmp_path: Path) -> None:
    path = shapefile(tmp_path)
    right = read(path)
    path.with_suffix(".prj").write_text("a place")
    refused("--crs EPSG:5186", path)
    assert read(path, None, None, "EPSG:5186") == right
    refused(r"row 1: \(.*\) is not a place on the earth", path, None, None, "EPSG:4326")
    refused("'EPSG:99' is not known", path, None, None, "EPSG:99")


def test_rows_that_are_wrong_are_named(tmp_path: Path) -> None:
    line = line_at(LINES[0])
    path = shapefile(tmp_path, shapes=[line, None, line])
    refused(r"row 2: the link '1020000200' has no geometry\. Correct", path)
    refused(r"row 3: LINK_ID is empty\. Every row", shapefile(tmp_path, ids=("1", "2", "")))
    half = np.array([1.5, 2, 3])
    refused("in rows 1 to 3, column LINK_ID: .* a whole number", shapefile(tmp_path, ids=half))
    pyogrio.raw.write(
        path, shapely.to_wkb(np.array([line])), [half[:1]], ["NODE_ID"],
        geometry_type="LineString", crs="EPSG:5186",
    )  # fmt: skip
    refused(r"has no column LINK_ID or link_id; it has NODE_ID\.", path)
    path.write_bytes(b"no shapes")
    refused("cannot be read as shapefile", path)
    refused("--format shapefile or --format geojson", tmp_path / "a.gpkg", error=SettingsError)
    refused("is not a file", tmp_path / "none.shp", error=SettingsError)
    refused("GeoJSON is UTF-8", tmp_path / "a.json", None, "CP949", error=SettingsError)


def test_the_links_that_a_dataset_knows(tmp_path: Path) -> None:
    town = ItsSim(ItsSim.Settings(links_count=14, folder=tmp_path))
    (batch,) = own_links.batches(town, town.links(), own_links.VALID_FROM)
    rows = batch.to_pylist()
    lines = {row["link_id"]: shapely.from_wkb(row["geometry"]) for row in rows}
    assert len(rows) == 14 and rows[0]["speed_limit"] >= 50 and rows[0]["length_m"] >= 200
    # Where one link ends, another begins.
    ends = {row["end_node"]: lines[row["link_id"]].coords[-1] for row in rows}
    assert all(
        lines[row["link_id"]].coords[0] == ends[row["start_node"]]
        for row in rows
        if row["start_node"] in ends
    )
    miles = ItsSim(town.settings)
    miles.measures = {"speed": "mph"}
    table = LinkTable.from_rows(
        [{"link_id": "a", "speed_limit": 50, "longitude": -118.3, "latitude": 34.1},
         {"link_id": "b", "valid_from": "2024-01-01"}, {"link_id": "c", "valid_to": "2023-12-31"}]
    )  # fmt: skip
    (batch,) = own_links.batches(miles, table, date(2023, 12, 31))
    first, second = batch.to_pylist()
    assert first["speed_limit"] == pytest.approx(80.4672) and second["link_id"] == "c"
    assert shapely.from_wkb(first["geometry"]) == shapely.Point(-118.3, 34.1)
    with pytest.raises(SettingsError, match=r"knows no links of its own\. Give a file"):
        next(own_links.batches(town, None, date(2024, 1, 1)))
    wrong = LinkTable.from_rows([{"link_id": "a", "geometry": "LINESTRING 1"}])
    with pytest.raises(DataError, match="have a geometry that is not WKT"):
        next(own_links.batches(town, wrong, date(2024, 1, 1)))


def run(*words: str) -> str:
    result = CliRunner().invoke(app, ["links", *words])
    if isinstance(result.exception, TrafficError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


def test_import_show_export_and_import_again(empty, tmp_path: Path) -> None:
    path = str(shapefile(tmp_path / "shapes"))
    wanted = ("import", path, "--dataset", "tiny", "--valid-from", "2024-01-01")
    told = "3 links of tiny from MOCT_LINK.shp, valid from 2024-01-01"
    assert run(*wanted) == f"{told}\n"
    assert "they were there already, nothing was changed" in run(*wanted)
    out = tmp_path / "links.geojson"
    export = ("export", "--dataset", "tiny", "--at", "2024-05-01", "--out", str(out))
    assert "3 links of tiny" in run(*export)
    first = json.loads(out.read_text())["features"][0]
    assert first["id"] == "1020000100" and first["properties"]["name"] == "세종대로"
    assert first["properties"]["speed_limit"] == 80 and "geometry" not in first["properties"]
    assert first["geometry"]["type"] == "LineString"

    again = ("import", str(out), "--dataset", "tiny", "--valid-from")
    assert "nothing was changed" in run(*again, "2024-01-01")
    run(*again, "2023-01-01")
    first, second = json.loads(run("show", "--dataset", "tiny", "--json"))
    assert (first["valid_from"], first["valid_to"]) == ("2023-01-01", "2024-01-01")
    assert (first["links"], first["with_geometry"], first["source"]) == (3, 3, "links.geojson")
    assert (second["valid_from"], second["valid_to"]) == ("2024-01-01", None)
    assert "2023-01-01" in run("show", "--dataset", "tiny")
    (row,) = json.loads(run("show", "--dataset", "tiny", "--at", "2024-01-01", "--json"))
    assert (row["valid_from"], row["links"], row["gold_links"]) == ("2024-01-01", 3, None)

    none = r"no links of tiny on 2022-12-31 \(the first are valid from 2023-01-01\)"
    with pytest.raises(DataError, match=none):
        run("show", "--dataset", "tiny", "--at", "2022-12-31")
    with pytest.raises(SettingsError, match="cannot be written: Is a directory"):
        run(*export[:-1], str(tmp_path))
    with pytest.raises(SettingsError, match="does not say from which day on"):
        run(*wanted[:4])
    with pytest.raises(SettingsError, match="tiny knows no links of its own"):
        run("import", "--dataset", "tiny")
    shapefile(tmp_path / "shapes", ids=("1", "2", "1"))
    with pytest.raises(DataError, match="rows 1 and 3 are of the same link '1'"):
        run(*wanted)
    out.write_text(out.read_text()[:600])  # half a file is none
    with pytest.raises(DataError, match=r"links\.geojson"):
        run(*again, "2025-01-01")
    assert len(current().warehouse.query("SELECT FROM meta.link_versions", None)[1]) == 2
    assert not [file for file in tmp_path.iterdir() if file.name.startswith(".links")]
