"""Promise 7, and days that the source does not have: what a change or a gap makes of a run."""

from __future__ import annotations

import json
import zipfile
from datetime import date

import pytest
from small import FOLDER

from luigi_traffic.lake.local import LocalStore
from luigi_traffic.project import current
from luigi_traffic.tasks.bronze import Bronze
from luigi_traffic.tasks.gold import Gold
from luigi_traffic.tasks.raw import IngestRaw
from luigi_traffic.tasks.silver import Silver

LINKS = [f"19201614{n:02d}" for n in range(4)]
HEADER = "CREATDE,CREATHM,LINKID,ROADINSTTCD,PASNGSPED,PASNGTIME\n"
TINY = '{"epochs": 1, "samples_per_epoch": 500, "validation_samples": 200}'


@pytest.fixture
def archives(tmp_path, luigi_here):
    """Three days of four links; the graph is a chain of them."""
    folder = tmp_path / FOLDER / "source"
    folder.mkdir(parents=True)
    for day in range(9, 12):
        rows = "".join(
            f"202401{day:02d},{h:02d}{m:02d},{link},5,{30 + (h * 7 + m + n) % 40},30\n"
            for h in range(24) for m in range(0, 60, 5) for n, link in enumerate(LINKS)
        )  # fmt: skip
        with zipfile.ZipFile(folder / f"202401{day:02d}_5Min.zip", "w") as archive:
            archive.writestr("day.csv", HEADER + rows)
    nodes = "LINK_ID,F_NODE,T_NODE\n" + "".join(
        f"{link},{n},{n + 1}\n" for n, link in enumerate(LINKS)
    )
    (folder / "links.csv").write_text(nodes)
    luigi_here.set(
        DATASETS__ITS__URL_TEMPLATE=f"file://{folder}/{{date}}_5Min.zip",
        DATASETS__ITS__NODE_LINK_CSV=str(folder / "links.csv"),
        DATASETS__ITS__LINKS="[]",
    )
    return folder


def complete(day: date) -> list[str]:
    """Stages of that day that are complete under the settings as they are now."""
    tasks = (IngestRaw, Bronze, Silver, Gold)
    return [task.__name__ for task in tasks if task(day, dataset="its").complete()]


def test_a_change_makes_exactly_its_descendants_stale(archives, luigi_here) -> None:
    day = date(2024, 1, 10)
    code, log = luigi_here.run("Gold", "--dataset", "its", "--date", "2024-01-10")
    assert code == 0, log
    everything = ["IngestRaw", "Bronze", "Silver", "Gold"]
    assert complete(day) == everything

    luigi_here.set(DATASETS__ITS__TIMEOUT="7", DATASETS__ITS__MAX_REJECTED_SHARE="0.5")
    assert complete(day) == everything
    luigi_here.set(DATASETS__ITS__MAX_SPEED="120")
    assert complete(day) == ["IngestRaw"]
    luigi_here.set(DATASETS__ITS__MAX_SPEED="150", DATASETS__ITS__LINKS=json.dumps(LINKS[:2]))
    assert complete(day) == ["IngestRaw"]
    luigi_here.set(DATASETS__ITS__SCOPE="all")
    assert complete(day) == ["IngestRaw", "Bronze"]
    luigi_here.set(DATASETS__ITS__LINKS="[]", DATASETS__ITS__SCOPE="links")
    assert complete(day) == everything

    (archives / "other.csv").write_text(
        "LINK_ID,F_NODE,T_NODE\n" + f"{LINKS[0]},1,2\n{LINKS[3]},2,3\n"
    )
    luigi_here.set(DATASETS__ITS__NODE_LINK_CSV=str(archives / "other.csv"))
    assert complete(day) == ["IngestRaw", "Bronze", "Silver"]
    code, log = luigi_here.run("Gold", "--dataset", "its", "--date", "2024-01-10")
    assert code == 0, log
    rows = current().warehouse.query(
        "SELECT link_id, count(t1), count(f1), count(*) FROM gold.its GROUP BY 1 ORDER BY 1", None
    )[1]
    assert rows == [
        (LINKS[0], 0, 288, 288), (LINKS[1], 0, 0, 288),
        (LINKS[2], 0, 0, 288), (LINKS[3], 288, 0, 288),
    ]  # fmt: skip
    # Gold was replaced: the old graph's partition is no longer what is there.
    luigi_here.set(DATASETS__ITS__NODE_LINK_CSV=str(archives / "links.csv"))
    assert complete(day) == ["IngestRaw", "Bronze", "Silver"]


def pipeline(luigi_here) -> tuple[int, str]:
    return luigi_here.run(
        "FullPipeline", "--dataset", "its", "--model", "convlstm", "--date", "2024-01-11",
        "--window-days", "3", "--training", TINY,
    )  # fmt: skip


def test_days_that_the_source_does_not_have(archives, luigi_here, monkeypatch) -> None:
    (archives / "20240110_5Min.zip").rename(archives / "later.zip")
    code, log = pipeline(luigi_here)
    assert code != 0
    assert "missing_days.policy" in log

    luigi_here.set(MISSING_DAYS__POLICY="skip", MISSING_DAYS__MAX="0")
    code, log = pipeline(luigi_here)
    assert code != 0
    assert "1 of 3 days are absent (2024-01-10), but missing_days.max allows 0" in log

    luigi_here.set(MISSING_DAYS__MAX="1")
    code, log = pipeline(luigi_here)
    assert code == 0, log
    query = "SELECT count(*), count(DISTINCT part) FROM forecast.its"
    assert current().warehouse.query(query, None)[1] == [(288 * 12 * 4, 1)]
    # A rerun asks O(stages) questions, not O(days): a listing of raw and of announce, no more.
    asked: list[str] = []
    listing = LocalStore.list
    monkeypatch.setattr(
        LocalStore, "list", lambda s, prefix: asked.append(prefix) or listing(s, prefix)
    )
    code, log = pipeline(luigi_here)
    assert code == 0
    assert "Did not run any tasks" in log
    assert sorted(asked) == ["_manifests/announce/its/", "_manifests/raw/its/"]

    # The file was only late: once it is asked for again, everything that lacked it is made anew.
    (archives / "later.zip").rename(archives / "20240110_5Min.zip")
    luigi_here.set(MISSING_DAYS__POLICY="fail")
    code, log = pipeline(luigi_here)
    assert code == 0, log
    assert current().warehouse.query("SELECT count(*) FROM gold.its", None)[1] == [(3 * 288 * 4,)]
    models = "SELECT count(*) FROM meta.ledger WHERE stage = 'model' AND dataset = 'its'"
    assert current().warehouse.query(models, None)[1] == [(2,)]
