import csv
import hashlib
import io
import os
import shutil
import subprocess
import sys
import zipfile
from datetime import date

import pytest

from luigi_traffic import SourceAbsent, SourceError
from luigi_traffic_its import read_node_links
from luigi_traffic_its_sim import ItsSim, ItsSimSettings
from luigi_traffic_its_sim.dataset import town_folder
from luigi_traffic_its_sim.files import write_archive
from luigi_traffic_its_sim.town import Town

DAY = date(2024, 1, 3)
#: SHA-256 of the text of the day with 4 links.
GOLDEN = "000ceccf5410830ad84c33c1252a0413042c4c87e1b59d16895d1add807b42b5"
#: SHA-256 of the text of the day with 4 links.
GOLDEN = "000ceccf5410830ad84c33c1252a0413042c4c87e1b59d16895d1add807b42b5"


def sim(folder, **settings):
    return ItsSim(ItsSimSettings(**{"folder": folder, "links_count": 4, **settings}))


def download(dataset, day=DAY):
    with dataset.source().open(day) as streams:
        (stream,) = streams
        content = b"".join(stream.chunks)
        assert stream.packing == "zip"
        assert stream.size == len(content)
        assert stream.name == f"{day:%Y%m%d}_5Min.zip"
    return content


def rows_of(content):
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        (name,) = archive.namelist()
        return name, list(csv.reader(io.StringIO(archive.read(name).decode())))


@pytest.fixture(scope="module")
def day(tmp_path_factory):
    """The bytes of the day with the settings of `sim`: simulating it takes a second."""
    return download(sim(tmp_path_factory.mktemp("town")))


def test_archive_is_in_the_real_format(tmp_path, day):
    dataset = sim(tmp_path)
    name, (header, *rows) = rows_of(day)
    assert name == "20240103_5Min.csv"
    assert ",".join(header) == "CREATDE,CREATHM,LINKID,ROADINSTTCD,PASNGSPED,PASNGTIME"
    assert dataset.header(",".join(header))
    assert all(len(row) == 6 for row in rows)
    assert {row[0] for row in rows} == {"20240103"}
    times = [row[1] for row in rows]
    assert times == sorted(times)
    assert all(len(t) == 4 and int(t[2:]) % 5 == 0 for t in times)
    network = Town(dataset.settings).network
    assert {row[2] for row in rows} == set(network.link_id)
    length = dict(zip(network.link_id, network.length.tolist(), strict=True))
    checked = 0
    for _, _, link, _, speed, travel in rows:
        if 0 < float(speed) < 999:
            assert float(travel) == pytest.approx(length[link] * 3.6 / float(speed), abs=0.006)
            checked += 1
    assert checked > 300


def test_same_settings_same_bytes_in_another_process(tmp_path, day):
    code = (
        "import sys, pathlib, datetime\n"
        "from luigi_traffic_its_sim import ItsSimSettings\n"
        "from luigi_traffic_its_sim.town import Town\n"
        "Town(ItsSimSettings(links_count=4)).write_day(pathlib.Path(sys.argv[1]), "
        "datetime.date(2024, 1, 3))\n"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "7", "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "b")], check=True, env=environment)
    assert (tmp_path / "b" / "20240103_5Min.zip").read_bytes() == day


@pytest.mark.parametrize(
    "other",
    [
        {"seed": 1},
        {"links_count": 7},
        {"noise": 0.05},
        {"missing_slots": False},
        {"dropout": 0.1},
        {"duplicates": 0.1},
        {"implausible": 0.1},
        {"incidents_per_100_links": 900},
    ],
)
def test_every_parameter_decides_bytes_recipe_and_folder(tmp_path, day, other):
    one, two = sim(tmp_path), sim(tmp_path, **other)
    assert one.source().recipe() != two.source().recipe()
    assert town_folder(one.settings) != town_folder(two.settings)
    assert download(two) != day


def test_folder_changes_no_recipe_and_days_differ(tmp_path, day):
    one, two = sim(tmp_path / "a"), sim(tmp_path / "b")
    assert one.source().recipe() == two.source().recipe()
    assert download(one) == day
    assert download(one, date(2024, 1, 4)) != day


def test_a_day_that_lies_there_is_not_made_again(tmp_path):
    dataset = sim(tmp_path)
    download(dataset)
    path = dataset.source().folder / "20240103_5Min.zip"
    path.write_bytes(b"mark")
    assert download(dataset) == b"mark"
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_start_and_unwritable_folder(tmp_path):
    dataset = sim(tmp_path, start=date(2024, 1, 4))
    with pytest.raises(SourceAbsent, match="begins on 2024-01-04"):
        download(dataset)
    assert download(dataset, date(2024, 1, 4))
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(SourceError, match="cannot write the simulated town"):
        download(sim(tmp_path / "file"))
    with pytest.raises(SourceError, match="cannot write the simulated town"):
        sim(tmp_path / "file").graph()


def test_graph_is_the_networks(tmp_path):
    dataset = sim(tmp_path, links_count=40)
    network = Town(dataset.settings).network
    table = read_node_links(dataset.node_links())
    expected = list(zip(network.link_id, network.start_node, network.end_node, strict=True))
    assert table == expected
    edges = set(dataset.graph().edges)
    turns = zip(network.turn_from.tolist(), network.turn_to.tolist(), strict=True)
    assert {(network.link_id[a], network.link_id[b]) for a, b in turns} <= edges
    assert dataset.node_links().read_text().startswith("LINK_ID,F_NODE,T_NODE,LENGTH,MAX_SPD\n")


def test_the_size_of_batches_changes_no_byte(tmp_path, monkeypatch, day):
    monkeypatch.setattr("luigi_traffic_its_sim.town._ROWS_A_TEXT", 7)
    assert download(sim(tmp_path)) == day


def test_days_keep_the_text_that_they_had_in_earlier_versions(day):
    """The text and not the ZIP, which another zlib packs otherwise."""
    with zipfile.ZipFile(io.BytesIO(day)) as archive:
        text = archive.read("20240103_5Min.csv")
    assert hashlib.sha256(text).hexdigest() == GOLDEN


def test_archives_have_zip64_sizes(day):
    # 2024's days of 6.3 GB need them; the small ones have the same fields.
    name, extra = day[26:28], day[28:30]
    at = 30 + int.from_bytes(name, "little")
    assert day[18:26] == b"\xff" * 8
    assert int.from_bytes(extra, "little") >= 20
    assert day[at : at + 4] == b"\x01\x00\x10\x00"
    with zipfile.ZipFile(io.BytesIO(day)) as archive:
        (member,) = archive.infolist()
    assert int.from_bytes(day[at + 4 : at + 12], "little") == member.file_size
    assert int.from_bytes(day[at + 12 : at + 20], "little") == member.compress_size


def test_the_size_of_a_day_is_estimated_from_above_but_not_by_far(tmp_path):
    place = Town(ItsSimSettings(links_count=40, duplicates=0.2, dropout=0))
    size = place.write_day(tmp_path, DAY).stat().st_size
    assert size < place.day_bytes(DAY) < 1.6 * size


def test_a_text_that_fails_leaves_no_archive(tmp_path, monkeypatch):
    def texts(self, day, report):
        yield b"a row\n"
        raise RuntimeError("the second text")

    monkeypatch.setattr(Town, "texts", texts)
    with pytest.raises(RuntimeError, match="the second text"):
        Town(ItsSimSettings(links_count=3)).write_day(tmp_path, DAY)
    assert list(tmp_path.iterdir()) == []


def test_an_archive_that_cannot_be_packed_raises(tmp_path):
    class Full(io.BytesIO):
        def write(self, data):
            if self.tell() > 1000:
                raise OSError(28, "No space left on device")
            return super().write(data)

    texts = (os.urandom(100_000) for _ in range(100))
    with pytest.raises(OSError, match="No space left"):
        write_archive(Full(), DAY, texts)
    assert len(list(texts)) > 90


def test_a_disk_without_room_is_named_before_anything_is_simulated(tmp_path, monkeypatch):
    monkeypatch.setattr(Town, "texts", lambda *_: pytest.fail("simulated"))
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1_000_000))
    with pytest.raises(SourceError, match=r"0\.07 GB are needed, but only 0\.00 GB are free"):
        download(sim(tmp_path, links_count=14_000, duplicates=0.5, missing_slots=False))
