"""`luigi-traffic live`: a morning with kills, a race and an outage ends as the day's partition."""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path

import pytest

from luigi_traffic.crashpoints import CrashPoint

TRIAL = (sys.executable, str(Path(__file__).with_name("live_trial.py")))
OF_THE_MORNING = "issued_at < '2024-01-12 07:05'"


@pytest.mark.timeout(600)
def test_a_day_of_ticks_ends_as_its_partition(make_home) -> None:
    home = make_home(
        "live",
        LUIGI_TRAFFIC__LIVE__DOWN_AFTER_MINUTES="12",
        LUIGI_TRAFFIC__DATASETS__ITS_OPENAPI__API_KEY="sim",
    )
    code, output = home.run(*TRIAL)
    assert code == 0, output
    ended = json.loads(next(x for x in reversed(output.splitlines()) if x.startswith("{")))
    points = [point.value for point in CrashPoint if point.startswith("live.")]
    assert [ended.pop(point) for point in points] == [[-signal.SIGKILL]] * 5, output
    assert ended == {
        "pipeline": [0],
        "first": [0], "race": [0, 0], "outage": [0, 0], "after a pause": [0], "set back": [0],
        "rest": [0], "gold": [0], "same rows": [0], "forecast": [0], "evaluation": [0],
        "after": [0],
    }, output  # fmt: skip

    found = home.sql(
        "SELECT to_char(due_at AT TIME ZONE 'Asia/Seoul', 'HH24:MI'), outcome, polls, feed,"
        " fallback, announced FROM meta.ticks"
        " WHERE due_at < '2024-01-12 07:05+09' ORDER BY due_at"
    )
    # Of the killed ones, the last was killed after its commit, and its event was sent later.
    assert found == [
        ("06:00", "done", 1, "up", 1, True),
        *[(f"06:{at:02}", "missed", 0, None, None, False) for at in (5, 10, 15, 20)],
        ("06:25", "done", 1, "up", 1, True),
        # What was polled before a kill was taken in as well.
        ("06:30", "done", 1, "up", 1, True),
        ("06:35", "no data", 0, "down", 1, False),
        ("06:40", "no data", 0, "down", 1, False),
        *[(f"06:{at}", "missed", 0, None, None, False) for at in (45, 50, 55)],
        ("07:00", "done", 1, "up", 1, True),
    ], output
    events = (home.path / "events").rglob("*.jsonl")
    sent = [line for file in events for line in file.read_text().splitlines() if ".tick." in line]
    assert len(sent) == 4 + 2, "with those of the next day"

    # Each has all links and steps; the silent link is forecast by its profile, and flagged.
    forecasts = home.sql(
        "SELECT issued_at, fallback, count(*), count(lower), max(step), max(observed)"
        f" FROM forecast.its_openapi WHERE kind = 'live' AND {OF_THE_MORNING} GROUP BY 1, 2"
    )
    assert len(forecasts) == 2 * 6
    for _, fallback, rows, intervals, last, observed in forecasts:
        assert (rows, intervals, last) == ((12, 0, 12) if fallback else (7 * 12, 7 * 12, 12))
        assert (observed == 0) == fallback
    oldest = "SELECT min(age_seconds) FROM forecast.its_openapi WHERE NOT fallback AND issued_at = "
    assert home.sql(f"{oldest} '2024-01-12 06:40'")[0][0] >= 600

    # Each runner had just started; what forecasts need was made for two states of gold.
    assert output.count("makes intervals and profiles of 2 days of gold") == 1
    assert output.count("makes intervals and profiles of 3 days of gold") == 1

    code, shown = home.run("luigi-traffic", "status", "--dataset", "its_openapi", "--json")
    (last,) = [row for row in json.loads(shown) if row["kind"] == "live"]
    assert (code, last["outcome"], last["issued_at"]) == (0, "done", "2024-01-13T00:55:00")

    # Gold takes the place of the live rows, which the next forecast reads.
    assert "has gold now: the same rows" in output
    left = "SELECT count(*) FROM live.its_openapi WHERE timestamp < '2024-01-13'"
    assert home.sql(left) == [(0,)]
    of_day = "SELECT count(*) FROM gold.its_openapi WHERE timestamp >= '2024-01-12'"
    assert home.sql(of_day)[0][0] > 250
    assert not list((home.path / "live").rglob("2024-01-12/*"))
    live_forecasts_are_scored_beside_rolling_ones(home)


def live_forecasts_are_scored_beside_rolling_ones(home) -> None:
    """What was issued live is what the same version says when the day is over."""
    joined = home.sql(
        "SELECT l.fallback, count(*), max(abs(l.speed - r.speed)) FROM forecast.its_openapi l"
        " JOIN forecast.its_openapi r USING (issued_at, step, link_id, version)"
        f" WHERE l.kind = 'live' AND r.kind = 'rolling' AND l.{OF_THE_MORNING} GROUP BY 1"
    )
    found = {fallback: (rows, most) for fallback, rows, most in joined}
    assert found[False][0] == 6 * 7 * 12 and found[False][1] < 1e-3
    assert found[True][0] == 6 * 12

    page = home.path / "evaluation.html"
    code, shown = home.run(
        "luigi-traffic", "evaluation", "its_openapi", "--live", "--by", "day", "--json",
        "--html", str(page),
    )  # fmt: skip
    assert code == 0, shown
    (day,) = json.loads(shown[shown.index("\n[") :])
    assert (day["day"], day["issued"], day["intervals"]) == ("2024-01-12", 6, 288)
    assert day["count"] > 80 and abs(day["rolling_excess"]) < 1e-4
    assert day["rolling_mae"] == pytest.approx(day["mae"], rel=1e-4)
    # What the silent link reports after the morning, its stand-in is compared with, and no other.
    assert 0 < day["fallback_count"] < 6 * 12 and day["fallback_mae"] > 0
    assert "live forecasts were issued at 6 of 288 intervals" in page.read_text("utf-8")
