"""METR-LA on a small archive of the same form, made here."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest

from luigi_traffic import DataError, SettingsError, SourceAbsent, SourceError
from luigi_traffic_metr_la.dataset import MetrLa
from luigi_traffic_metr_la.source import HEADER, read

SENSORS = ["773869", "767541", "767542"]


@pytest.fixture
def dataset(tmp_path):
    """Two days from 2012-03-01; the value tells step and sensor; the first is missing."""
    values = np.arange(576 * 3, dtype=float).reshape(576, 3) / 32
    np.savez(
        tmp_path / "metr-la.npz", values=values, sensor_ids=np.array(SENSORS),
        start=np.array("2012-03-01T00:00:00"), step_seconds=np.array(300),
    )  # fmt: skip
    adjacency = np.array([[1, 0.6, 0], [0.4, 1, 0.9], [0, 0, 1]], dtype=np.float32)
    np.savez(tmp_path / "metr-la-adj-gauss.npz", ids=np.array(SENSORS), adj=adjacency)
    return MetrLa(MetrLa.Settings(folder=tmp_path))


def text(dataset: MetrLa, day: date) -> list[str]:
    with dataset.source().open(day) as streams:
        return b"".join(chunk for s in streams for chunk in s.chunks).decode().splitlines()


def test_a_day_is_cut_out_of_the_archive(dataset) -> None:
    first, second = (text(dataset, date(2012, 3, day)) for day in (1, 2))
    assert first[0] == second[0] == HEADER
    assert len(first) == len(second) == 1 + 288 * 3
    assert first[1] == "2012-03-01 00:00:00,773869,0.0"
    assert first[-1] == f"2012-03-01 23:55:00,767542,{(288 * 3 - 1) / 32!r}"
    assert second[1] == f"2012-03-02 00:00:00,773869,{288 * 3 / 32!r}"


@pytest.mark.parametrize("day", [date(2012, 2, 29), date(2012, 3, 3)])
def test_days_outside_are_absent(dataset, day) -> None:
    with pytest.raises(SourceAbsent, match="2012-03-01 to 2012-03-02"):
        text(dataset, day)


def test_edges_are_close_neighbours_in_their_direction(dataset) -> None:
    assert dataset.graph().edges == (("767541", "767542"), ("773869", "767541"))


def test_places_are_known_if_their_file_is_there(dataset, tmp_path) -> None:
    assert dataset.links() is None
    file = tmp_path / "graph_sensor_locations.csv"
    file.write_text("index,sensor_id,latitude,longitude\n0,773869,34.15497,-118.31829\n")
    (sensor,) = dataset.links()
    assert (sensor.link_id, sensor.latitude) == ("773869", 34.15497)
    assert sensor.longitude == -118.31829
    for text in ("a,b\n1,2\n", "sensor_id,latitude,longitude\n1,north,2\n"):
        file.write_text(text)
        with pytest.raises(SourceError, match="not a readable CSV with sensor_id, latitude and lo"):
            dataset.links()


def test_a_folder_without_the_files(tmp_path) -> None:
    with pytest.raises(SettingsError, match="METR_LA_DIR"):
        read(tmp_path / "metr-la.npz")
    (tmp_path / "other.npz").write_text("not an archive")
    with pytest.raises(SourceError, match="not a readable"):
        read(tmp_path / "other.npz")


def test_another_header_is_refused(dataset) -> None:
    assert dataset.header(HEADER)
    with pytest.raises(DataError, match="expected the header"):
        dataset.header("time,sensor,mph")
