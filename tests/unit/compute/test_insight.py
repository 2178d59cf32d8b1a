"""What `Insight` computes, by hand on a few values, and on METR-LA by a script of its own."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from insight_window import LINKS, metr_la_window, rows_of, speeds

from luigi_traffic.api.links import LinkTable
from luigi_traffic.compute.insight.sensor_health import Feed, SensorHealth
from luigi_traffic.compute.insight.speeds import Speeds
from luigi_traffic.compute.insight.travel_times import (
    Observed,
    TravelTimes,
    level_of_service,
    percentiles,
)
from luigi_traffic.errors import DataError, SettingsError
from luigi_traffic.settings.insight_keys import InsightSettings

NONE = float("nan")


def test_figures_of_a_period_are_those_of_its_travel_times() -> None:
    # At 60 km/h a kilometre takes 60 s, at 30 km/h 120 s; 0 is no speed.
    speed = np.array([[60, 60], [60, 0], [60, NONE], [30, NONE]], np.float32)
    found = TravelTimes.of(speed, np.array([60.0, NONE]), 0.6, 1.0)
    assert found.travel_time_index[0] == pytest.approx((3 * 60 + 120) / 4 / 60)
    worst = 60 + 0.85 * 60  # place 2.85 of 60, 60, 60, 120
    assert found.planning_time_index[0] == pytest.approx(worst / 60)
    assert found.buffer_index[0] == pytest.approx((worst - 75) / 75)
    assert found.lottr[0] == pytest.approx((60 + 0.4 * 60) / 60)
    assert found.congested[0] == 0.25 and found.mean_speed.tolist() == [52.5, 60]
    assert found.delay_per_km[0] == pytest.approx(15)
    assert np.isnan(found.travel_time_index[1]) and np.isnan(found.congested[1])
    in_miles = TravelTimes.of(speed, np.array([60.0, NONE]), 0.6, 1.609344)
    assert in_miles.delay_per_km[0] == pytest.approx(15 / 1.609344)

    seen = Observed.of(speed, np.array([0, 0, 1, 1]))
    assert seen.days.tolist() == [2, 1] and seen.coverage.tolist() == [1, 0.25]
    assert seen.too_little(0.5, 2) == ["", "coverage 25.0%, needed 50.0%"]
    assert seen.too_little(0.2, 2)[1] == "days with a speed: 1, needed 2"


def test_percentiles_are_those_of_numpy_without_nan() -> None:
    rng = np.random.default_rng(1)
    values = np.where(rng.random((40, 7)) < 0.3, np.nan, rng.random((40, 7)))
    values[:, 6] = np.nan
    wanted = (0, 33, 50, 95, 100)
    with pytest.warns(RuntimeWarning, match="All-NaN"):
        expected = np.nanpercentile(values, wanted, axis=0)
    np.testing.assert_allclose(percentiles(values, wanted), expected, rtol=1e-12)
    assert np.isnan(percentiles(values[:0], [50])).all()


@pytest.mark.parametrize(
    ("share", "level"), [(0.86, "A"), (0.85, "B"), (0.6, "C"), (0.41, "D"), (0.31, "E"), (0.3, "F")]
)
def test_levels_of_service(share: float, level: str) -> None:
    assert level_of_service(share, InsightSettings().level_of_service) == level


def test_a_period_is_of_the_local_time_of_the_days_that_gold_has() -> None:
    day = np.ones((3 * 24, 1))
    found = speeds(day, "2024-01-06", timedelta(hours=1), days={"2024-01-06", "2024-01-08"})
    assert found.speed.shape == (48, 1) and set(found.day) == {0, 2}
    assert np.flatnonzero(found.inside("mon 07:00-09:00, sat 23:30-24:00", "x")).tolist() == [
        31,
        32,
    ]
    assert np.flatnonzero(found.inside("sat-sun 22:00-24:00", "x")).tolist() == [22, 23]
    with pytest.raises(SettingsError, match=r"insight.periods, 'p': no interval.*60 minutes long"):
        found.inside("mon 07:15-07:45", "insight.periods, 'p'")
    with pytest.raises(DataError, match="speeds are in 'furlong'"):
        speeds(day, unit="furlong")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"periods": {"night": "mon-fri 22:00-06:00"}}, "write two spans: one to 24:00"),
        ({"periods": {"x": "sat-mon 07:00-09:00"}}, "a week runs from mon to sun"),
        ({"periods": {"x": "weekdays"}}, "'weekdays' is not days and times: expected for example"),
        ({"periods": {"x": "mon 07:00-24:30"}}, "after 24:00"),
        ({"periods": {" ": "mon 07:00-08:00"}}, "a name for each period"),
        ({"free_flow_hours": ""}, "is not days and times"),
        ({"level_of_service": [0.9, 0.8, 0.8, 0.4, 0.3]}, "each smaller than the one before"),
    ],
)
def test_settings_that_make_no_sense_are_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        InsightSettings(**change)


def health(values, **settings: float) -> list[SensorHealth]:
    """Of each link of `(T, N)`, hourly."""
    chosen = InsightSettings(
        **{"silent_hours": 2, "stuck_intervals": 3, "feed_down_share": 0.3, "fault_share": 0.25}
        | settings
    )
    found = speeds(values, interval=timedelta(hours=1))
    feed = Feed.of(found, chosen)
    return [SensorHealth.of(value, feed, chosen, found.interval, 100.0) for value in found.speed.T]


def test_a_silence_counts_while_the_feed_is_up() -> None:
    n = NONE
    # Hours 2 and 5 are down: one link of four reports, or none.
    a = [1, n, n, n, 5, n, 7, 8]
    b = [1, 2, 3, 4, 5, n, n, n]
    c = [1, 2, n, 4, 5, n, 7, 8]
    d = [9, 8, n, 6, 5, n, 3, 2]
    found = health(np.array([a, b, c, d]).T)
    assert {(f.intervals, f.feed_down) for f in found} == {(6, 2)}
    assert [f.silent for f in found] == [2, 2, 0, 0]
    assert [f.longest_silence_hours for f in found] == [2, 2, 0, 0]
    assert [f.state for f in found] == ["silent", "silent", "ok", "ok"]
    assert [f.silent for f in health(np.array([a, b, c, d]).T, silent_hours=3)] == [0] * 4


def test_a_link_is_stuck_if_it_repeats_a_value_while_others_vary() -> None:
    n = NONE
    a = [5, 5, n, 5, 5, 5, 5, 5]
    b = [1, 2, 3, 4, 4, 4, 4, 4]  # repeats only while all do
    c = [9, 8, 7, 6, 6, 6, 6, 5]
    found = health(np.array([a, b, c]).T)
    # Others vary at hours 1, 2 and 3 (two of three, two of two, two of three).
    assert [f.stuck for f in found] == [0, 0, 0]
    found = health(np.array([a, b, c]).T, stuck_intervals=2, fault_share=0.2)
    assert [f.stuck for f in found] == [2, 0, 0]
    assert [f.state for f in found] == ["stuck", "ok", "ok"]


def test_an_implausible_speed_is_none_or_above_the_fastest() -> None:
    found = health([[0, 101], [-1, 100], [3, 99], [2, 98]])
    assert [f.implausible for f in found] == [2, 1]
    assert [f.state for f in found] == ["implausible", "ok"]


def test_rows_without_enough_speeds_have_a_reason_and_no_figures() -> None:
    day = np.full((24 * 7, 3), 50.0)
    day[:, 1] = NONE
    day[24 * 4 :, 2] = NONE  # Thursday's midnight and after
    table = LinkTable.from_rows([{"link_id": "a", "length": 2000, "speed_limit": 100}])
    chosen = InsightSettings(min_days=3, periods={"all": "mon-sun 00:00-24:00"})
    hourly = speeds(day, interval=timedelta(hours=1))
    found = rows_of(hourly, chosen, table, date(2024, 1, 7))
    period = found[found.kind == "period"].set_index("link_id")
    assert period.reason["a"] is None and period.travel_time_index["a"] == pytest.approx(1)
    assert period.level_of_service["a"] == "A" and period.delay["a"] == pytest.approx(0, abs=1e-9)
    assert period.reason["b"] == "coverage 0.0%, needed 50.0%"
    assert period.reason["c"].startswith("free-flow speed: coverage ")
    figures = ["travel_time_index", "planning_time_index", "mean_speed", "congested", "delay"]
    assert period.loc[["b", "c"], figures].isna().all(axis=None)
    assert period.days.tolist() == [7, 0, 4]

    limited = chosen.model_copy(update={"free_flow": "limit"})
    period = rows_of(hourly, limited, table, date(2024, 1, 7)).query("kind == 'period'")
    assert period.travel_time_index.iloc[0] == pytest.approx(2)
    assert period.delay.iloc[0] == pytest.approx(72)
    assert period.reason.iloc[2] == "the link table has no limit"


@pytest.fixture(scope="module")
def la(metr_la_file: Path) -> tuple[Speeds, pd.Series]:
    return metr_la_window(metr_la_file)


def between(times: pd.DatetimeIndex, last_weekday: int, first: int, end: int) -> np.ndarray:
    return (times.weekday <= last_weekday) & (times.hour >= first) & (times.hour < end)


def test_figures_of_metr_la_are_those_of_pandas(la) -> None:
    found, speed = la
    rows = rows_of(found, InsightSettings(), LinkTable(()), date(2012, 3, 14))
    times = speed.index.get_level_values("time")
    off_peak = between(times, 4, 9, 16) | between(times, 4, 19, 22)
    off_peak |= (times.weekday > 4) & (times.hour >= 6) & (times.hour < 22)
    free = speed[off_peak].groupby("link_id").quantile(0.85)
    for name, inside in {
        "morning peak": between(times, 4, 7, 9), "evening peak": between(times, 4, 17, 19),
        "all day": np.full(len(times), True),
    }.items():  # fmt: skip
        period = speed[inside]
        time = 1 / period
        of_link = time.groupby("link_id")
        mean, p95 = of_link.mean(), of_link.quantile(0.95)
        flow = free.reindex(period.index.get_level_values("link_id")).to_numpy()
        slow = (period < 0.6 * flow)[period.notna()]
        expected = pd.DataFrame({
            "coverage": period.notna().groupby("link_id").mean(),
            "free_flow": free,
            "mean_speed": period.groupby("link_id").mean(),
            "travel_time_index": mean * free,
            "planning_time_index": p95 * free,
            "buffer_index": p95 / mean - 1,
            "lottr": of_link.quantile(0.8) / of_link.quantile(0.5),
            "congested": slow.groupby("link_id").mean(),
            "delay_per_km": (time - 1 / flow).clip(lower=0).groupby("link_id").mean()
            * 3600 / 1.609344,
        })  # fmt: skip
        ours = rows[(rows.kind == "period") & (rows.period == name)].set_index("link_id")
        assert ours.reason.isna().all()
        np.testing.assert_allclose(
            ours[expected.columns].astype(float), expected, rtol=1e-9, atol=1e-9
        )
        limits = [-np.inf, 0.3, 0.4, 0.5, 0.67, 0.85, np.inf]
        levels = pd.cut(1 / expected.travel_time_index, limits, labels=list("FEDCBA"))
        assert ours.level_of_service.tolist() == levels.tolist()


def test_the_health_of_metr_la_is_that_of_pandas(la) -> None:
    found, speed = la
    chosen = InsightSettings(silent_hours=1, fastest_kmh=200)
    rows = rows_of(found, chosen, LinkTable(()), date(2012, 3, 14))
    ours = rows[rows.kind == "health"].set_index("link_id")
    table = speed.unstack(level=0)
    up = table.notna().sum(axis=1) > 0.05 * LINKS
    changed = table.ne(table.ffill().shift()) & table.notna() & table.ffill().shift().notna()
    again = table.notna() & table.ffill().shift().notna()
    moves = (again.sum(axis=1) > 0) & (changed.sum(axis=1) >= 0.5 * again.sum(axis=1))
    for link in table:
        missing = table.loc[up, link].isna()
        lengths = missing.groupby((missing != missing.shift()).cumsum()).sum()
        value = table[link].dropna()
        series = moves[value.index].groupby((value != value.shift()).cumsum()).sum()
        assert ours.silent[link] == lengths[lengths >= 12].sum()
        assert ours.longest_silence_hours[link] == pytest.approx(lengths.max() / 12)
        assert ours.stuck[link] == series[series >= 24].sum()
        assert ours.implausible[link] == (value > 200 / 1.609344).sum()
    assert ours.feed_down.eq((~up).sum()).all() and ours.intervals.eq(up.sum()).all()
    assert (~up).sum() >= 20 and ours.stuck["003"] >= 60 and ours.implausible["005"] == 3
