"""Only the champion forecasts: after a rejection, without a training, under a new alias."""

from __future__ import annotations

import os
import signal
from datetime import date, timedelta
from multiprocessing import get_context

import pytest
from mlflow import MlflowClient

from luigi_traffic.commands import garbage, model_page, models
from luigi_traffic.commands.evaluation import BY, Scope
from luigi_traffic.commands.evaluation import rows as scored
from luigi_traffic.commands.evaluation_page import write as write_page
from luigi_traffic.commands.invalidate import invalidate
from luigi_traffic.commands.promote import promote
from luigi_traffic.commands.rollback import rollback
from luigi_traffic.commands.verify import verify
from luigi_traffic.errors import DataError
from luigi_traffic.project import current
from luigi_traffic.tasks.evaluate import Evaluate
from luigi_traffic.training.champion import recorded
from luigi_traffic.training.registry import get_version
from luigi_traffic_ridge.model import Ridge

NAME = "luigi_traffic.its_sim"


def train(home, day: str, alpha: float) -> str:
    code, log = home.run(
        "FullPipeline", "--dataset", "its_sim", "--model", "ridge", "--date", day,
        "--window-days", "2", "--training", f'{{"alpha": {alpha}}}',
    )  # fmt: skip
    assert code == 0, log
    return log


def forecast(home, day: str) -> str:
    code, log = home.run("Forecast", "--dataset", "its_sim", "--date", day)
    assert code == 0, log
    return log


def rows(table: str, columns: str = "*") -> list[tuple]:
    asked = f"SELECT DISTINCT {columns} FROM {table}.its_sim"
    return sorted(current().warehouse.query(asked, None)[1])


def evaluate(home, day: str) -> tuple[int, str]:
    return home.run("Evaluate", "--dataset", "its_sim", "--date", day)


def sums() -> dict[tuple[int, int], tuple[int, float]]:
    """(version, step) → count and sum of the errors, by the evaluation and by its definition."""
    asked = current().warehouse.query
    defined = asked(
        "SELECT f.version, f.step, count(*), sum(abs(f.speed - g.speed)) FROM forecast.its_sim f"
        ' JOIN gold.its_sim g USING ("timestamp", link_id) WHERE g.speed IS NOT NULL'
        " AND \"timestamp\" >= '2024-01-12' AND \"timestamp\" < '2024-01-13' GROUP BY 1, 2",
        None,
    )[1]
    wanted = {(version, step): (n, pytest.approx(total)) for version, step, n, total in defined}
    for grouped_by in ("hour", "link"):
        found = asked(
            "SELECT version, step, sum(count), sum(absolute) FROM evaluation.its_sim"
            f" WHERE grouped_by = '{grouped_by}' AND day = '2024-01-12' GROUP BY 1, 2",
            None,
        )[1]
        assert {(version, step): (n, total) for version, step, n, total in found} == wanted
    return wanted


def evaluated(home) -> None:
    """A day is scored whoever forecast it, at once or not at all, and anew if that changes."""
    task = Evaluate(date(2024, 1, 12), dataset="its_sim")

    def killed() -> None:
        os.environ["LUIGI_TRAFFIC_CRASH_AT"] = "evaluation.attached"
        task.work()

    child = get_context("fork").Process(target=killed)
    child.start()
    child.join(60)
    assert child.exitcode == -signal.SIGKILL
    assert rows("evaluation", "day") == []
    code, log = evaluate(home, "2024-01-12")
    assert code == 0, log
    assert {version for version, _ in sums()} == {1, 2}
    assert "Did not run any tasks" in evaluate(home, "2024-01-12")[1]

    ((part, inputs),) = current().warehouse.query(
        "SELECT part, inputs FROM meta.ledger WHERE stage = 'evaluation'", None
    )[1]
    assert part == "2024-01-12/speed"
    assert [i["part"] for i in inputs] == [
        "2024-01-11/ridge:1", "2024-01-12/ridge:2",
        "2024-01-09", "2024-01-10", "2024-01-11", "2024-01-12",
    ]  # fmt: skip
    assert verify(current(), "its_sim", deep=True, mark=False).rows == []
    left = garbage.rows(current(), timedelta(0), dry_run=False)
    assert [r["what"].split(".")[0] for r in left if r["kind"] == "staged table"] == [
        '"evaluation"'
    ]

    scope = Scope.of(current(), "its_sim", "", None, None)
    for by in BY:
        found = scored(current(), scope, by)
        assert sum(row["count"] for row in found) == sum(n for n, _ in sums().values())
        assert all(row["skill"] == 1 - row["mae"] / row["persistence_mae"] for row in found)
    write_page(current(), scope, home.lake.parent / "page.html", 3)
    page = (home.lake.parent / "page.html").read_text(encoding="utf-8")
    assert page.count("<svg") == 3 and "The 3 links with the largest errors" in page
    assert "ridge 1" in page and "ridge 2" in page
    with pytest.raises(DataError, match="no forecast of speed of its_sim is scored from"):
        scored(current(), Scope.of(current(), "its_sim", "", date(2024, 1, 13), None), "day")

    assert invalidate(current(), "forecast", "its_sim", "2024-01-11/ridge:1", "a test")
    code, log = evaluate(home, "2024-01-12")
    assert code == 0, log
    assert rows("evaluation", "version") == [(2,)]
    code, log = evaluate(home, "2024-01-11")
    assert code != 0
    assert "no forecast of speed is published for that day" in log
    forecast(home, "2024-01-11")


def test_the_champion_alone_forecasts(luigi_here, monkeypatch) -> None:
    luigi_here.set(DATASETS__ITS_SIM__LINKS_COUNT="8")
    train(luigi_here, "2024-01-10", 1)
    first = rows("forecast")
    assert len(first) == 288 * 12 * 8

    # It was trained on all windows, and the network that was scored is stored and registered too.
    parts = ["model.json", "network.pt", "scored.pt"]
    for place in ("models/*", "mlflow/artifacts/*/*/*/model/artifacts/bundle"):
        (folder,) = luigi_here.lake.parent.glob(place)
        assert sorted(file.name for file in folder.iterdir()) == parts

    # A model that was rejected changes no row, of the view and of the table below it.
    assert "Version 1 stays champion" in train(luigi_here, "2024-01-10", 1e6)
    assert rows("forecast") == first == rows("forecast_versions")
    assert "Did not run any tasks" in train(luigi_here, "2024-01-10", 1e6)
    reports = [file.read_text("utf-8") for file in luigi_here.lake.parent.glob("reports/*.html")]
    assert sorted('<th scope="col">version 1</th>' in html for html in reports) == [False, True]

    # A day without a training is forecast by the champion, and its rows say what they were made of.
    luigi_here.set(TRAINING__EVERY_DAYS="7")
    code, log = luigi_here.run(
        "FullPipeline", "--dataset", "its_sim", "--model", "ridge", "--date", "2024-01-11"
    )
    assert code == 0, log
    assert "no training is due before 2024-01-17: training.every_days is 7" in log
    trained = "SELECT count(*) FROM meta.ledger WHERE stage = 'model'"
    assert current().warehouse.query(trained, None)[1] == [(2,)]
    assert rows("forecast", "part, model, version") == [
        ("2024-01-10/ridge:1", "ridge", 1), ("2024-01-11/ridge:1", "ridge", 1),
    ]  # fmt: skip
    seen = [number for (number,) in rows("forecast", "observed")]
    assert 0 <= seen[0] < seen[-1] == 9  # the ITS has nine values of twelve
    assert "Did not run any tasks" in forecast(luigi_here, "2024-01-11")

    # The training's hold-out is the end of the first day: errors for what is issued after it.
    ends = {
        (day, kind, known): count
        for day, kind, known, count in current().warehouse.query(
            "SELECT left(part, 10), kind, lower <= speed AND speed <= upper, count(*)"
            " FROM forecast.its_sim GROUP BY 1, 2, 3", None,
        )[1]
    }  # fmt: skip
    assert ends == {
        ("2024-01-10", "rolling", None): 287 * 12 * 8, ("2024-01-10", "next", True): 12 * 8,
        ("2024-01-11", "rolling", True): 287 * 12 * 8, ("2024-01-11", "next", True): 12 * 8,
    }  # fmt: skip

    # Days that are over keep what was forecast then, whoever becomes champion.
    with pytest.raises(DataError, match=r"no version '3' of luigi_traffic\.its_sim in MLflow"):
        promote(current(), "its_sim", "3", "", "a test")
    assert promote(current(), "its_sim", "2", "", "a test")["before"] == "1"
    decision = recorded(get_version(current().settings.tracking_uri, NAME, "2"))
    assert decision is not None and decision.reason == "champion, by hand: a test"
    forecast(luigi_here, "2024-01-12")
    assert "Did not run any tasks" in forecast(luigi_here, "2024-01-11")
    assert [part for (part,) in rows("forecast", "part")] == [
        "2024-01-10/ridge:1", "2024-01-11/ridge:1", "2024-01-12/ridge:2",
    ]  # fmt: skip

    # A rollback gives the alias back to the version before.
    assert rollback(current(), "its_sim", "", "a test", True)["version"] == "1"
    assert rollback(current(), "its_sim", "", "a test", False)["before"] == "2"
    assert promote(current(), "its_sim", "2", "", "a test")["before"] == "1"
    listed = {row["version"]: row for row in models.rows(current(), "its_sim", "")}
    assert [(v, r["alias"], r["published_days"]) for v, r in listed.items()] == [
        ("2", "champion", 1), ("1", None, 2),
    ]  # fmt: skip
    page = model_page.row(current(), "its_sim", "", "2")
    assert page["config"] == {"alpha": 1e6} and page["fit_span"] and page["problem"] is None
    assert [change["kind"] for change in page["changes"]] == ["promote", "rollback", "promote"]

    evaluated(luigi_here)

    # A champion whose plugin is of another version keeps the alias, and says what to do.
    with monkeypatch.context() as changed:
        changed.setattr(Ridge, "version", "other")
        code, log = luigi_here.run("Forecast", "--dataset", "its_sim", "--date", "2024-01-13")
    assert code != 0
    assert "the champion, version 2 of luigi_traffic.its_sim, cannot forecast here" in log
    assert "luigi-traffic promote its_sim VERSION" in log

    # Without a champion, or with one of somebody else's, there is nothing to forecast with.
    client = MlflowClient(current().settings.tracking_uri)
    card = client.get_model_version(NAME, "2").description
    assert "**ridge 1** forecasts `speed` in km/h of the dataset `its_sim`, for 8 links" in card
    assert "Version 1 stays champion" in card
    client.create_model_version(NAME, source=client.get_model_version(NAME, "1").source)
    with pytest.raises(DataError, match=r"version 3 .* was not registered by luigi_traffic"):
        promote(current(), "its_sim", "3", "", "a test")
    client.set_registered_model_alias(NAME, "champion", "3")
    code, log = luigi_here.run("Forecast", "--dataset", "its_sim", "--date", "2024-01-13")
    assert code != 0
    assert (
        "version 3 of luigi_traffic.its_sim, the champion, was not registered by luigi_traffic"
        in log
    )
    by_hand, *_ = models.rows(current(), "its_sim", "")
    assert (by_hand["alias"], by_hand["model"]) == ("champion", None)
    assert by_hand["problem"] == "it was not registered by luigi_traffic"
    client.delete_registered_model_alias(NAME, "champion")
    code, log = luigi_here.run("Forecast", "--dataset", "its_sim", "--date", "2024-01-13")
    assert code != 0
    assert "no version of luigi_traffic.its_sim in MLflow carries the alias 'champion'" in log
    assert rollback(current(), "its_sim", "", "a test", False)["version"] == "2"
    assert forecast(luigi_here, "2024-01-13")
