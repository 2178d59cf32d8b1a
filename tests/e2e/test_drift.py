"""Traffic that changes for good: seen on its first day, one training, and quiet after it."""

from __future__ import annotations

import os
import signal
from multiprocessing import get_context

from luigi_traffic.commands import drift
from luigi_traffic.commands.verify import verify
from luigi_traffic.project import current
from luigi_traffic.training.registry import champion

CHANGE = "2024-01-16"


def retrain(home, day: str) -> str:
    code, log = home.run("RetrainIfNeeded", "--dataset", "its_sim", "--date", day)
    assert code == 0, log
    return log


def killed(home, day: str) -> None:
    os.environ["LUIGI_TRAFFIC_CRASH_AT"] = "forecast.committed"
    retrain(home, day)


def test_a_change_of_traffic_leads_to_one_training_with_its_reason(luigi_here) -> None:
    luigi_here.set(
        DATASETS__ITS_SIM__LINKS_COUNT="8", DATASETS__ITS_SIM__SLOW_FROM=CHANGE,
        DATASETS__ITS_SIM__SLOW_FACTOR="0.6", DRIFT__RETRAIN_DAYS="5", PROMOTION__MIN_DAYS="2",
    )  # fmt: skip
    code, log = luigi_here.run(
        "FullPipeline", "--dataset", "its_sim", "--model", "ridge", "--date", "2024-01-14",
        "--window-days", "3",
    )  # fmt: skip
    assert code == 0, log

    assert "not needed" in retrain(luigi_here, "2024-01-19")
    # Killed when the new model has forecast, and before the reason is written.
    child = get_context("fork").Process(target=killed, args=(luigi_here, "2024-01-20"))
    child.start()
    child.join(120)
    assert child.exitcode == -signal.SIGKILL
    log = retrain(luigi_here, "2024-01-20")
    assert "train ridge" not in log and "champion: MAE" in log
    assert "Did not run any tasks" in retrain(luigi_here, "2024-01-20")
    assert "not needed" in retrain(luigi_here, "2024-01-21")

    rows = {row["day"]: row for row in drift.rows(current(), "its_sim", "", None, None)}
    assert [day for day, row in rows.items() if row["drifted"]] == [
        f"2024-01-{day}" for day in range(16, 21)
    ]
    assert rows[CHANGE]["reasons"].startswith("distribution: the median is")
    decided = rows["2024-01-20"]["retraining"]
    assert decided["needed"] and decided["version"] == "2"
    assert decided["reason"].startswith("5 days in a row are unlike the training of version 1")
    holder = champion(current().settings.tracking_uri, "luigi_traffic.its_sim")
    assert holder is not None and holder.version == rows["2024-01-21"]["version"] == "2"

    # A day keeps its comparison, whoever is champion since.
    assert "Did not run any tasks" in luigi_here.run(
        "Drift", "--dataset", "its_sim", "--date", CHANGE
    )[1]  # fmt: skip
    assert verify(current(), None, deep=False, mark=False).rows == []
