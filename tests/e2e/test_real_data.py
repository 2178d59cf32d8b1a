"""Real data that nobody wrote a plugin for goes from its files to a forecast, by YAML alone.

The data is not part of the project: LUIGI_TRAFFIC_TEST_DATA names its folder.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest
from homes import LocalHome

HERE = Path(__file__).parents[1] / "real_data"
DATA = Path(
    os.environ.get("LUIGI_TRAFFIC_TEST_DATA")
    or Path(__file__).parents[2].parent / "shared" / "data"
)
WIDE = [f"{hour}:{minute:02d}" for hour in range(24) for minute in (0, 15, 30, 45)]


def melbourne() -> pd.DataFrame:
    """One row a site, approach and quarter of an hour."""
    table = pd.read_csv(DATA / "melbourne-scats-2006" / "OriginalDataset.csv", dtype=str)
    keys = ["SCATS Number", "VR Internal Loc", "Start Time"]
    long = table.melt(keys, WIDE, "clock", "value")
    at = pd.to_datetime(long["Start Time"] + " " + long["clock"], format="%d/%m/%Y %H:%M")
    link = long["SCATS Number"] + "-" + long["VR Internal Loc"]
    return pd.DataFrame({"at": at, "link": link, "value": long["value"].astype(float)})


def melbourne_edges(folder: Path) -> None:
    """An edge from each approach of a site to each of its neighbours': the table has sites."""
    sites = pd.read_csv(DATA / "melbourne-scats-2006" / "traffic_network.csv", dtype=str)
    links = pd.Series(melbourne()["link"].unique())
    of_site = links.groupby(links.str.split("-").str[0].astype(int)).agg(list)
    lines = ["upstream,downstream"]
    for site, neighbours in zip(sites["SCATS Number"], sites["Neighbours"], strict=True):
        for other in map(int, neighbours.split(";")):
            lines += [f"{a},{b}" for a in of_site[int(site)] for b in of_site[other]]
    (folder / "edges.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def oregon_counts() -> pd.DataFrame:
    table = pd.read_parquet(DATA / "oregon-odot" / "sample_counts.parquet")
    link = table["intersection"].astype(str) + "-" + table["detector"].astype(str)
    return pd.DataFrame({"at": table["timestamp"], "link": link, "value": table["total"]})


def oregon_travel_times() -> pd.DataFrame:
    table = pd.read_parquet(DATA / "oregon-odot" / "sample_travel_times.parquet")
    link = table["id"].astype(str)
    return pd.DataFrame({"at": table["timestamp"], "link": link, "value": table["travel_time"]})


@dataclass(frozen=True)
class Case:
    name: str
    folder: str
    last: str
    target: str
    read: Callable[[], pd.DataFrame]
    prepare: Callable[[Path], None] = lambda folder: None


CASES = [
    Case("melbourne", "melbourne-scats-2006", "2006-10-07", "flow", melbourne, melbourne_edges),
    Case("oregon_counts", "oregon-odot", "2024-04-27", "flow", oregon_counts),
    Case("oregon_travel_times", "oregon-odot", "2022-09-12", "travel_time", oregon_travel_times),
]
DAYS = 4
#: All of them in one process: one Spark, one start of everything.
RUN = """
import sys
from datetime import date
import luigi
from luigi_traffic.run import FullPipeline
days, *asked = sys.argv[1:]
training = {"samples_per_epoch": 2000, "validation_samples": 500, "evaluation_windows": 50,
            "input_steps": 4, "output_steps": 4}
tasks = [
    FullPipeline(dataset=name, model="ridge", date=date.fromisoformat(last),
                 window_days=int(days), training=training)
    for name, _, last in (argument.partition("=") for argument in asked)
]
done = luigi.build(tasks, local_scheduler=True, detailed_summary=True)
print(done.summary_text)
sys.exit(not done.scheduling_succeeded)
"""

pytestmark = [
    pytest.mark.skipif(not DATA.is_dir(), reason="the data is not there: LUIGI_TRAFFIC_TEST_DATA"),
    pytest.mark.timeout(600),
]


def declare(case: Case, work: Path) -> None:
    """The settings of the case, which name the files where they are."""
    text = (HERE / f"{case.name}.yml").read_text(encoding="utf-8")
    assert len(text.splitlines()) < 120
    glob = text.partition("glob: ")[2].partition("\n")[0]
    text = text.replace(f"glob: {glob}", f"glob: {DATA / case.folder / glob}")
    text = text.replace("edges_csv: ", f"edges_csv: {work}/")
    (work / "conf" / "datasets" / f"{case.name}.yml").write_text(text, encoding="utf-8")
    case.prepare(work)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalHome]:
    """A home in which all cases have run."""
    work = tmp_path_factory.mktemp("real")
    (work / "conf" / "datasets").mkdir(parents=True)
    for case in CASES:
        declare(case, work)
    found = LocalHome(
        work / "home",
        {"LUIGI_TRAFFIC_CONF": str(work / "conf"),
         "LUIGI_TRAFFIC__SPARK__DRIVER_MEMORY": "1g",
         "LUIGI_TRAFFIC__SPARK__SHUFFLE_PARTITIONS": "2"},
    )  # fmt: skip
    try:
        asked = [f"{case.name}={case.last}" for case in CASES]
        code, output = found.run(sys.executable, "-c", RUN, str(DAYS), *asked)
        assert code == 0, output
        yield found
    finally:
        found.server.destroy()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_table_is_forecast_by_yaml_alone(home: LocalHome, case: Case) -> None:
    last = pd.Timestamp(case.last)
    rows = case.read()
    rows = rows[(rows["at"] >= last - pd.Timedelta(days=DAYS - 1))
                & (rows["at"] < last + pd.Timedelta(days=1))]  # fmt: skip
    days = rows.groupby(rows["at"].dt.date)["value"].agg(["size", "sum"])
    assert len(days) == DAYS
    found = home.sql(
        f"SELECT timestamp::date, count(*), sum({case.target}) FROM gold.{case.name} "
        "GROUP BY 1 ORDER BY 1"
    )
    assert [(day, n) for day, n, _ in found] == list(zip(days.index, days["size"], strict=True))
    assert [total for *_, total in found] == pytest.approx(list(days["sum"]), rel=1e-7)
    ((links, lowest),) = home.sql(
        f"SELECT count(DISTINCT link_id), min({case.target}) FROM forecast.{case.name}"
    )
    assert links == rows[rows["at"] >= last]["link"].nunique()  # those of the day it has seen
    assert lowest >= 0
    ((neighbours,),) = home.sql(f"SELECT count(t1) FROM gold.{case.name}")
    assert (neighbours > 0) == (case.name == "melbourne")
