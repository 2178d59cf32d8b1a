"""Archives on demand: where they lie, how fast they come, and that they are read back."""

from __future__ import annotations

import io
import subprocess
import sys
import zipfile
from datetime import date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import yaml

from luigi_traffic import DayNotOver, SourceError
from luigi_traffic_its_sim import ItsSim, files
from luigi_traffic_its_sim.dataset import town_folder
from luigi_traffic_its_sim.town import Town

DAY = date(2024, 1, 10)
CONF = Path(__file__).parents[3] / "conf" / "datasets" / "its_sim.yml"


def dataset(**settings) -> ItsSim:
    return ItsSim(ItsSim.Settings(**{"links_count": 8, **settings}))


def archive(day: date = DAY, **settings) -> bytes:
    with dataset(**settings).source().open(day) as streams:
        (stream,) = streams
        assert stream.packing == "zip"
        assert stream.name == f"{day:%Y%m%d}_5Min.zip"
        return b"".join(stream.chunks)


def lines(data: bytes) -> list[str]:
    with zipfile.ZipFile(io.BytesIO(data)) as opened:
        (name,) = opened.namelist()
        return opened.read(name).decode().splitlines()


def test_files_lie_in_a_folder_of_their_recipe(home) -> None:
    archive()
    folder = town_folder(dataset().settings)
    assert folder.parent == home / "its_sim"
    assert [p.name for p in folder.iterdir()] == ["20240110_5Min.zip"]
    assert town_folder(dataset(noise=0.1).settings) != folder
    # What changes no byte changes no folder and no raw partition.
    same = dataset(links=["1"], folder=home / "its_sim", max_speed=100)
    assert town_folder(same.settings) == folder
    assert same.source().recipe() == dataset().source().recipe()
    assert dataset(seed=1).source().recipe() != dataset().source().recipe()


def test_a_day_that_is_not_over_is_not_simulated(home) -> None:
    today = datetime.now(ZoneInfo(ItsSim.timezone)).date()
    for day in (today, today + timedelta(days=400)):
        with pytest.raises(DayNotOver, match=f"its_sim {day}: the day is not over"):
            archive(day=day)
    assert not town_folder(dataset().settings).exists()


def test_a_day_that_breaks_off_leaves_nothing(monkeypatch) -> None:
    def broken(file, *_, **__) -> None:
        file.write(b"half an archive")
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(files, "write_archive", broken)
        with pytest.raises(SourceError, match=r"No space left on device.*datasets.its_sim.folder"):
            archive()
    assert list(town_folder(dataset().settings).iterdir()) == []
    assert len(lines(archive())) > 900


def test_the_graph_keeps_to_the_link_filter() -> None:
    ids = Town(dataset().settings).network.link_id
    assert len(dataset().graph()) > len(dataset(links=list(ids[:3])).graph()) > 0
    edges = dataset(links=list(ids[:3])).graph().edges
    assert {link for edge in edges for link in edge} <= set(ids[:3])


def test_the_settings_file_says_the_defaults() -> None:
    values = yaml.safe_load(CONF.read_text(encoding="utf-8"))
    assert ItsSim.Settings.model_validate(values) == ItsSim.Settings()


def test_an_up_to_date_run_imports_no_numpy() -> None:
    dataset().graph()
    code = (
        "import sys; from luigi_traffic_its_sim import ItsSim;"
        "s = ItsSim(ItsSim.Settings(links_count=8)); s.source().recipe(); s.graph();"
        "heavy = ('numpy', 'pyarrow', 'pyspark', 'typer', 'rich', 'requests');"
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
