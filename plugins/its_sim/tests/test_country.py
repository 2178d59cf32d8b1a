"""Countries: small ones of 10 towns of 40 links, drawn from two models."""

from __future__ import annotations

import hashlib
import io
import tracemalloc
import zipfile
from datetime import date, timedelta
from typing import Any

import numpy as np
import pytest

from luigi_traffic_its import ULSAN_LINKS, Its, ItsSettings, read_node_links
from luigi_traffic_its_sim import ItsSimSettings, country, dataset
from luigi_traffic_its_sim.country import Country, simulated
from luigi_traffic_its_sim.files import write_archive
from luigi_traffic_its_sim.network import link_ids
from luigi_traffic_its_sim.sensors import present_slots
from luigi_traffic_its_sim.settings import COUNTRY_VERSION
from luigi_traffic_its_sim.town import Town

DAY = date(2024, 1, 3)
PERFECT = {"noise": 0, "dropout": 0, "duplicates": 0, "implausible": 0}


@pytest.fixture(autouse=True)
def few_links(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(country, "MODEL_TOWNS", 2)
    monkeypatch.setattr(country, "TOWN_LINKS", 40)
    monkeypatch.setattr(country, "_LINKS_A_TEXT", 300)


@pytest.fixture
def no_flow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Towns whose speeds come from no flow model: half of the free speed from 8:00 to 8:55."""

    def speeds(town: Town, _: date) -> np.ndarray:
        share = np.ones(288)
        share[96:108] = 0.5
        return share[:, None] * town.network.free_speed * 3.6

    monkeypatch.setattr(Town, "speeds", speeds)


def made(**settings: Any) -> Country:
    return Country(ItsSimSettings(**{"links_count": 400, **settings}))


def text(place: Country, day: date = DAY) -> bytes:
    return b"".join(place.texts(day, lambda _: None))


def table(place: Country, day: date = DAY) -> np.ndarray:
    """Rows as (slot, link, speed, travel time)."""
    rows = np.array([line.split(b",") for line in text(place, day).splitlines()])
    hour, minute = np.divmod(rows[:, 1].astype(int), 100)
    numbers = rows[:, [2, 4, 5]].astype(float)
    return np.column_stack([hour * 12 + minute // 5, numbers])


def test_more_links_than_a_region_has_are_a_country() -> None:
    town, one_more = ItsSimSettings(links_count=14_000), ItsSimSettings(links_count=14_001)
    assert isinstance(simulated(town), Town)
    assert isinstance(simulated(one_more), Country)
    assert "country" not in town.recipe()
    assert one_more.recipe()["country"] == "1"
    with pytest.raises(ValueError, match="11312000"):
        ItsSimSettings(links_count=11_312_001)


@pytest.mark.usefixtures("no_flow")
def test_rows_are_in_order_of_time_and_then_of_the_link() -> None:
    rows = table(made(**PERFECT))
    order = np.lexsort((rows[:, 1], rows[:, 0]))
    assert np.array_equal(order, np.arange(len(rows)))
    slots = present_slots(0, DAY, True)
    assert np.array_equal(np.unique(rows[:, 0]), slots)
    assert len(rows) == len(slots) * 400
    assert set(rows[:, 1].astype(int).astype(str)) == set(made().link_id.astype(str))


@pytest.mark.usefixtures("no_flow")
def test_sensors_of_a_country_fail_as_often_as_those_of_a_town() -> None:
    rows = len(present_slots(0, DAY, True)) * 400
    assert len(table(made(**PERFECT | {"dropout": 0.1}))) == pytest.approx(rows * 0.9, rel=0.01)
    assert len(table(made(**PERFECT | {"duplicates": 0.1}))) == pytest.approx(rows * 1.1, rel=0.01)
    speed = table(made(**PERFECT | {"implausible": 0.1}))[:, 2]
    assert np.mean(np.isin(speed, [0, 999])) == pytest.approx(0.1, rel=0.05)
    dropped = table(made(**PERFECT | {"dropout": 1e-9, "missing_slots": False}))
    silent = 288 - np.unique(dropped[:, 1], return_counts=True)[1]
    assert 2 < (silent > 0).sum() < 20  # one in fifty is out for 1 to 6 hours
    assert ((silent[silent > 0] <= 72) & (silent[silent > 0] >= 1)).all()


@pytest.mark.usefixtures("no_flow")
def test_towns_differ_in_their_rush_hours_and_links_in_their_slowness() -> None:
    place = made(missing_slots=False, **PERFECT)
    rows = table(place)[:, 2].reshape(288, -1)
    rush = rows < 0.85 * np.median(rows, axis=0)
    begins = rush.argmax(axis=0)[rush.any(axis=0)]
    assert set(begins.tolist()) <= set(range(93, 100))
    assert len(set(begins.tolist())) >= 4
    depth = 1 - rows.min(axis=0) / rows[0]
    assert 0.05 < depth.std() < 0.2
    assert depth.mean() == pytest.approx(0.5, abs=0.1)
    assert rows.min() >= 5


def test_traffic_of_a_country_is_the_flow_models(monkeypatch) -> None:
    monkeypatch.setattr(country, "MODEL_TOWNS", 1)
    rows = table(made(links_count=320, missing_slots=False, **PERFECT))
    night, rush = rows[rows[:, 0] < 48, 2], rows[np.isin(rows[:, 0] // 12, (8, 18)), 2]
    assert rush.mean() < 0.95 * night.mean()


@pytest.mark.usefixtures("no_flow")
def test_days_keep_their_text_unless_the_country_has_another_version() -> None:
    made_of = COUNTRY_VERSION, hashlib.sha256(text(made())).hexdigest()
    assert made_of == ("1", "2c8ebd845ecf23ebc8b0d1d45ddb977748ec176cb8ca591e923138241fe4e700")


@pytest.mark.usefixtures("no_flow")
def test_seed_and_date_decide() -> None:
    texts = {text(made()), text(made(seed=1)), text(made(), DAY + timedelta(1)), text(made())}
    assert len(texts) == 3
    assert made().link_id.tolist() != made(seed=1).link_id.tolist()


@pytest.mark.usefixtures("no_flow")
def test_links_of_ulsan_are_in_every_country_and_are_neighbours(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(country, "TOWN_LINKS", 350)
    place = made()
    path = place.write_node_links(tmp_path)
    links = read_node_links(path)
    ids = [link for link, _, _ in links]
    assert ids == place.link_id.astype(str).tolist()
    assert len(set(ids)) == 400
    assert set(ULSAN_LINKS) <= set(ids)
    its = Its(ItsSettings(node_link_csv=path))
    edges = its.graph().edges
    assert len({link for edge in edges for link in edge}) > 15
    # Traffic and table are of the same links.
    assert set(map(int, ids)) == set(table(place)[:, 1].astype(int).tolist())


def test_an_id_of_ulsan_that_is_there_by_chance_is_there_once(monkeypatch) -> None:
    def ids(links: int, rng: np.random.Generator) -> tuple[str, ...]:
        found = list(link_ids(links, rng))
        return (*ULSAN_LINKS[:3], *found[3:])

    monkeypatch.setattr(country, "link_ids", ids)
    found = made().link_id.astype(str).tolist()
    assert len(set(found)) == 400
    assert tuple(found[288:311]) == ULSAN_LINKS


def test_towns_share_no_node_and_regions_have_their_own_numbers(monkeypatch) -> None:
    monkeypatch.setattr(country, "TOWN_LINKS", 2000)
    rows = [line.rstrip().split(",") for line in made(links_count=29_000).node_links()][1:]
    assert len(rows) == 29_000
    for first in range(0, 29_000, 2000):
        nodes = {node for row in rows[first : first + 2000] for node in row[1:3]}
        others = {node for row in rows[first + 2000 :] for node in row[1:3]}
        assert not nodes & others
    assert all(len(row[0]) == 10 and row[0][:3] == row[1][:3] == row[2][:3] for row in rows)
    assert {row[0][:3] for row in rows} == {"192", "193", "194"}
    assert {row[0] for row in rows if row[0][:3] == "193"} == {
        row[0] for row in rows[14_000:28_000]
    }


def test_each_link_lies_where_no_other_town_is() -> None:
    place = made()
    lines = dict(place.lines())
    assert set(lines) == set(place.link_id.astype(str))
    starts = [line.split(",")[0] for line in lines.values()]
    assert len(set(lines.values())) == len(lines)
    # A town has few places at which links begin; ten towns have ten times as many.
    assert len(set(starts)) == 10 * len(set(starts[: country.TOWN_LINKS]))


@pytest.mark.usefixtures("no_flow")
def test_memory_does_not_grow_with_the_rows() -> None:
    class Nowhere(io.RawIOBase):
        def __init__(self) -> None:
            self.size = 0

        def writable(self) -> bool:
            return True

        def write(self, data: Any) -> int:
            self.size += len(data)
            return len(data)

    place = made(links_count=2000, missing_slots=False)
    text(made(missing_slots=False))  # tables of numbers are kept
    sink = Nowhere()
    tracemalloc.start()
    try:
        write_archive(sink, DAY, place.texts(DAY, lambda _: None))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert sink.size > 5e6  # of 23 MB of text
    assert peak < 6e6


@pytest.mark.usefixtures("no_flow")
def test_progress_ends_at_one_and_never_goes_back() -> None:
    shares: list[float] = []
    for _ in made().texts(DAY, shares.append):
        pass
    assert shares == sorted(shares)
    assert shares[0] > 0
    assert shares[-1] == 1


@pytest.mark.usefixtures("no_flow")
def test_the_dataset_its_sim_makes_countries(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(country, "REGION_LINKS", 399)
    its_sim = dataset.ItsSim(ItsSimSettings(links_count=400, folder=tmp_path))
    with its_sim.source().open(DAY) as streams:
        content = b"".join(next(streams).chunks)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        rows = archive.read("20240103_5Min.csv").split(b"\n", 1)[1]
    assert rows == text(made())
    assert its_sim.node_links().read_text().count("\n") == 401
