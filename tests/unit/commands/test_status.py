from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from io import StringIO
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from rich.console import Console

from luigi_traffic.api.stages import LAKE_STAGES
from luigi_traffic.commands import status, status_page
from luigi_traffic.errors import PluginError, SettingsError
from luigi_traffic.lake.local import LocalStore
from luigi_traffic.project import current
from luigi_traffic.targets.published import PublishedForecast
from luigi_traffic.tasks.announce import AnnounceRaw
from luigi_traffic.tasks.bronze import Bronze
from luigi_traffic.tasks.forecast import Forecast
from luigi_traffic.tasks.gold import Gold
from luigi_traffic.tasks.raw import IngestRaw
from luigi_traffic.tasks.silver import Silver
from luigi_traffic.training.scores import NO_WIN
from luigi_traffic.warehouse import published

FIRST, LAST = date(2024, 5, 1), date(2024, 5, 2)
TASKS: dict[str, Any] = {
    "raw": IngestRaw, "announce": AnnounceRaw, "bronze": Bronze, "silver": Silver, "gold": Gold,
}  # fmt: skip
DAYS = status.Range()
#: As earlier versions wrote them.
OLD_SCORES = {
    name: {step: {"mae": mae, "rmse": rmse, "mape": mae, "f1": 0.5, "count": 9}
           for step in ("3", "6", "12", "mean")}
    for name, mae, rmse in (("model", 3.25, 8.18), ("persistence", 4.5, 9.5),
                            ("historical average", 5.75, 7.93))
}  # fmt: skip


def states(rows: list[dict[str, Any]], day: date) -> dict[str, str]:
    return {r["stage"]: r["state"] for r in rows if r["kind"] == "partition" and r["day"] == day}


def complete_by_task(day: date) -> dict[str, bool]:
    found = {stage: task(day, dataset="tiny").complete() for stage, task in TASKS.items()}
    forecast = Forecast(
        day, dataset="tiny", model="tiny_model", window_days=2, training={"epochs": 3}
    ).complete()
    return found | {"forecast": forecast}


def test_all_done(filled):
    rows = status.rows(current(), "tiny", DAYS)
    assert states(rows, LAST) == dict.fromkeys(status.SHOWN, "done")
    assert states(rows, FIRST)["forecast"] == "missing"
    gold = next(r for r in rows if r.get("stage") == "gold" and r["day"] == LAST)
    assert (gold["rows"], gold["seconds"], gold["complete"]) == (100, 1.5, True)
    assert gold["partition_id"] and gold["committed_at"]


def test_complete_is_what_the_tasks_say(filled, anew, monkeypatch):
    for link in (None, "[L1]"):  # as it is, then with another link filter
        if link:
            monkeypatch.setenv("LUIGI_TRAFFIC__DATASETS__TINY__LINKS", link)
        anew()
        rows = status.rows(
            current(), "tiny", status.Range(first=FIRST - timedelta(days=1), last=LAST)
        )
        for n in range(3):
            day = LAST - timedelta(days=n)
            said = {r["stage"]: r["complete"] for r in rows if r.get("day") == day}
            assert said == complete_by_task(day), (link, day)


def test_a_changed_setting_makes_its_descendants_stale(filled, anew, monkeypatch):
    monkeypatch.setenv("LUIGI_TRAFFIC__DATASETS__TINY__LINKS", "[L1]")
    anew()
    rows = status.rows(current(), "tiny", DAYS)
    assert states(rows, LAST) == {
        "raw": "done", "announce": "done", "bronze": "done",
        "silver": "stale", "gold": "stale", "forecast": "stale",
    }  # fmt: skip
    silver = next(r for r in rows if r.get("stage") == "silver" and r["day"] == LAST)
    assert silver["reason"] and not silver["complete"]
    (model,) = [r for r in rows if r["kind"] == "model"]
    assert model["state"] == "stale"


def test_a_new_raw_recipe_makes_all_stale(filled, anew):
    plugin = filled.plugin_folder / "tiny_plugin.py"
    before = plugin.read_text()
    try:
        plugin.write_text(before.replace("example.org", "elsewhere.example.org"))
        anew()
        rows = status.rows(current(), "tiny", DAYS)
    finally:
        plugin.write_text(before)
    assert set(states(rows, LAST).values()) == {"stale"}
    assert not any(r["complete"] for r in rows)


def test_model(filled):
    (model,) = [r for r in status.rows(current(), "tiny", DAYS) if r["kind"] == "model"]
    assert model["state"] == "done" and model["version"] == "1"
    assert model["mae"]["model"] == {"15 min": 3.25, "30 min": 3.25, "60 min": 3.25, "mean": 3.25}
    assert model["mae"]["persistence"]["60 min"] == 4.5
    assert model["mae"]["historical_median"]["mean"] == 5.75
    assert list(model["mae"]) == ["model", "persistence", "day_before", "historical_median"]
    assert model["baseline_wins"] == []
    assert model["windows_seen"] == 0.25
    assert model["report"].endswith("tiny.html")


def test_a_model_of_an_earlier_version_has_its_own_baselines(cleared):
    cleared.commit_day(LAST)
    cleared.commit_model(LAST, 1, "1", scores=OLD_SCORES)
    rows = status.rows(current(), "tiny", DAYS)
    (model,) = [r for r in rows if r["kind"] == "model"]
    assert list(model["mae"]) == ["model", "persistence", "historical_average"]
    assert model["baseline_wins"][0] == {
        "horizon": "15 min", "measure": "rmse", "baseline": "historical average",
        "value": 7.93, "model": 8.18,
    }  # fmt: skip
    console = Console(width=80, record=True, file=StringIO())
    status_page.draw(current(), rows, console)
    page = console.export_text()
    assert "historical average" in page and "5.750" in page
    assert "A baseline is better than the model at:" in page
    for horizon in ("15 min", "30 min", "60 min", "mean"):
        assert f"  {horizon}: RMSE (historical average 7.930, model 8.180)\n" in page


def test_a_champion_that_was_looked_up_before_a_training_does_not_count_after_it(cleared, anew):
    """A run that looks, and publishes after another one has trained a model, might hide it."""
    cleared.commit_day(LAST)
    with current().warehouse.connect() as connection:
        before = published.now(connection)
    cleared.commit_model(LAST, 1, "1")

    def of_the_run() -> bool:
        training = {"epochs": 3}
        return Forecast(
            LAST, dataset="tiny", model="tiny_model", window_days=1, training=training
        ).complete()

    assert of_the_run()
    with current().warehouse.connect() as connection:
        published.publish(connection, "tiny", "", LAST, f"{LAST}/tiny_model:1", before)
    anew()
    assert not of_the_run()
    assert PublishedForecast(current(), "tiny", "", LAST, None).exists()


def test_models_of_two_measures_are_told_apart(cleared, anew):
    cleared.commit_day(LAST)
    cleared.commit_model(LAST, 1, "1")
    cleared.commit_model(LAST, 1, "2", target="flow")
    rows = status.rows(current(), "tiny", DAYS)
    assert [(r["target"], r["state"]) for r in rows if r["kind"] == "model"] == [
        ("speed", "done"), ("flow", "done"),
    ]  # fmt: skip
    assert {r["model"] for r in rows if r.get("stage") == "forecast" and r["complete"]} == {
        "tiny_model:1", "tiny_model:flow:2",
    }  # fmt: skip
    shown = " ".join(cleared.command("status", "--dataset", "tiny").stdout.split())
    assert "MAE of flow in" in shown and "MAE of speed in" in shown


def test_a_model_whose_window_ends_with_days_left_out_is_not_stale(cleared, monkeypatch, anew):
    monkeypatch.setenv("LUIGI_TRAFFIC__MISSING_DAYS__POLICY", "skip")
    anew()
    cleared.commit_day(LAST)
    cleared.commit_absence(LAST + timedelta(days=1), "404")
    cleared.commit_model(LAST + timedelta(days=1), 2, "1")
    rows = status.rows(current(), "tiny", DAYS)
    (model,) = [r for r in rows if r["kind"] == "model"]
    assert (model["state"], model["reason"]) == ("done", None)


@pytest.mark.parametrize(("policy", "complete"), [("skip", True), ("fail", False)])
def test_absent_day(cleared, monkeypatch, anew, policy, complete):
    monkeypatch.setenv("LUIGI_TRAFFIC__MISSING_DAYS__POLICY", policy)
    anew()
    cleared.commit_day(FIRST)
    cleared.commit_absence(LAST, "https://example.org answered 404")
    rows = status.rows(current(), "tiny", DAYS)
    assert states(rows, LAST) == dict.fromkeys(TASKS, "absent") | {"forecast": "missing"}
    of_day = [r for r in rows if r["day"] == LAST and r["stage"] in TASKS]
    assert {r["complete"] for r in of_day} == {complete}
    assert all("answered 404" in r["reason"] for r in of_day)
    assert {s: t for s, t in complete_by_task(LAST).items() if s in TASKS} == dict.fromkeys(
        TASKS, complete
    )


def test_requests_do_not_grow_with_days(filled, monkeypatch, anew):
    listed: list[str] = []
    real = LocalStore.list

    def counting(self: LocalStore, prefix: str):
        listed.append(prefix)
        return real(self, prefix)

    monkeypatch.setattr(LocalStore, "list", counting)
    counts = []
    for days in (2, 300):
        anew()
        listed.clear()
        rows = status.rows(current(), "tiny", status.Range(days=days, last=LAST))
        assert len({r["day"] for r in rows if r["kind"] == "partition"}) == days
        counts.append(sorted(listed))
    assert counts[0] == counts[1]
    assert len(counts[0]) == len(set(counts[0])) == len(LAKE_STAGES)


def test_days(filled):
    def days(wanted: status.Range) -> tuple[date, date, int]:
        found = sorted(
            {r["day"] for r in status.rows(current(), "tiny", wanted) if r["kind"] == "partition"}
        )
        return found[0], found[-1], len(found)

    assert days(status.Range()) == (FIRST, LAST, 2)
    assert days(status.Range(days=5)) == (LAST - timedelta(days=4), LAST, 5)
    assert days(status.Range(days=3, first=FIRST)) == (FIRST, FIRST + timedelta(days=2), 3)
    assert days(status.Range(first=FIRST, last=FIRST)) == (FIRST, FIRST, 1)


def test_the_days_up_to_yesterday_are_shown_while_data_is_recent(cleared):
    yesterday = datetime.now(UTC).astimezone(ZoneInfo("Asia/Seoul")).date() - timedelta(days=1)
    cleared.commit_day(yesterday - timedelta(days=2))
    rows = status.rows(current(), "tiny", DAYS)
    assert {r["day"] for r in rows} == {yesterday - timedelta(days=n) for n in range(3)}
    assert states(rows, yesterday)["raw"] == "missing"


@pytest.mark.parametrize(
    "values",
    [(0, None, None), (3, FIRST, LAST), (None, LAST, FIRST)],
)
def test_impossible_ranges(values):
    with pytest.raises(SettingsError, match="--"):
        status.Range(*values)


def test_nothing_yet_creates_nothing(empty):
    assert status.rows(current(), None, DAYS) == []
    assert not empty.path.exists()
    with pytest.raises(PluginError, match="Did you mean 'tiny'"):
        status.rows(current(), "tinny", DAYS)


def test_without_a_name_only_datasets_that_have_something(filled):
    assert {r["dataset"] for r in status.rows(current(), None, DAYS)} == {"tiny"}


@pytest.mark.parametrize("width", [60, 80, 200])
def test_page_loses_nothing_on_a_narrow_terminal(filled, width):
    console = Console(width=width, record=True, file=StringIO())
    status_page.draw(current(), status.rows(current(), "tiny", DAYS), console)
    page = console.export_text()
    for word in ("2024-05-02", "–", "persistence", "4.500", "25.0%", "luigi-traffic up"):
        assert word in page
    assert NO_WIN in " ".join(page.split())
    assert page.count("done") == 11  # five stages of two days, one forecast
    assert str(filled.path / "reports" / "tiny.html") in page  # whole, on one line
    assert all(name in page for name in status.SHOWN) or width < 80


def test_one_manifest_a_partition_is_read_once(filled, anew, monkeypatch):
    (filled.path / "index.sqlite").unlink()
    read: list[str] = []
    real = LocalStore.read

    def counting(self: LocalStore, key: str) -> bytes:
        read.append(key)
        return real(self, key)

    monkeypatch.setattr(LocalStore, "read", counting)
    status.rows(current(), "tiny", DAYS)
    assert len(read) == len(set(read)) == 2 * len(LAKE_STAGES)
    anew()
    status.rows(current(), "tiny", DAYS)  # the index has them now
    assert len(read) == 2 * len(LAKE_STAGES)


def test_the_page_says_once_who_became_champion_and_why(filled) -> None:
    console = Console(width=200, record=True, file=StringIO())
    status_page.draw(current(), status.rows(current(), "tiny", DAYS), console)
    assert "champion  became champion as the first version" in console.export_text()


def test_forecasts_of_several_models_name_them() -> None:
    row = {"stage": "forecast", "complete": True, "state": "done", "rows": 24, "seconds": 2.5}
    rows = [row | {"model": name} for name in ("ridge", "stid")]
    assert status_page._cell(rows).plain == "done ridge\n24 2.5s\ndone stid\n24 2.5s"
    assert status_page._cell(rows[:1]).plain == "done\n24 2.5s"


def test_piped_tables_are_not_folded(filled) -> None:
    """Whoever searches the output finds a path, a reason or an id in one line."""
    long = "x" * 200  # one long value takes no room from the others
    # pytest-xdist sets COLUMNS.
    done = filled.command("settings", LUIGI_TRAFFIC__LAKE__PATH=f"/tmp/{long}", COLUMNS="")
    assert done.returncode == 0
    assert long in done.stdout
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("plugins.path")]
    assert str(filled.plugin_folder) in line
    assert f"{filled.conf}/base.yml:1" in line
