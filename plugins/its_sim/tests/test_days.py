"""What a week looks like, and what its sensors say."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pytest

from luigi_traffic_its_sim.day import plan_day
from luigi_traffic_its_sim.network import build_network
from luigi_traffic_its_sim.sensors import Faults, observe, present_slots

MONDAY = date(2024, 1, 8)
NONE = Faults(noise=0, missing_slots=False, dropout=0, duplicates=0, implausible=0)


@pytest.fixture(scope="module")
def week(town) -> np.ndarray:
    """Share of the free speed by day, slot and link, Monday first."""
    made = town(incidents_per_100_links=0)
    days = [made.speeds(MONDAY + timedelta(days=n)) for n in range(7)]
    return np.stack(days) / (made.network.free_speed * 3.6)


def hours(first: float, last: float) -> slice:
    return slice(int(first * 12), int(last * 12))


def test_nights_are_free_and_rush_hours_slow(week) -> None:
    assert week[:, hours(1, 5)].min() > 0.96
    work = week[:5].mean(axis=(0, 2))
    night, noon = work[hours(1, 5)].mean(), work[hours(11, 15)].mean()
    morning, evening = work[hours(7.5, 9)].mean(), work[hours(17.5, 19)].mean()
    assert morning < noon - 0.04 < night - 0.04
    assert evening < noon - 0.04
    # Congestion proper, on some links in some rush hours; most of the day has none.
    assert (week[:5, hours(7, 20)] < 0.5).any()
    assert (week < 0.5).mean() < 0.1


def test_rush_hour_has_a_direction(town) -> None:
    made = town(links_count=500, incidents_per_100_links=0)
    speeds = made.speeds(MONDAY + timedelta(days=1)) / (made.network.free_speed * 3.6)
    inbound, outbound = made.network.morning > 0.8, made.network.morning < 0.2
    dip = 1 - speeds
    assert dip[hours(7, 9)][:, inbound].mean() > 1.5 * dip[hours(7, 9)][:, outbound].mean()
    assert dip[hours(17, 20)][:, outbound].mean() > 1.5 * dip[hours(17, 20)][:, inbound].mean()


def test_weekends_have_no_morning_peak(week) -> None:
    rush, later = hours(7.5, 9), hours(13, 16)
    work, free = week[:5].mean(axis=(0, 2)), week[5:].mean(axis=(0, 2))
    assert free[rush].mean() > work[rush].mean() + 0.05
    assert free[later].mean() < free[rush].mean()


def test_no_two_days_are_alike(town) -> None:
    network = build_network(40, 0)
    one, two, again = (
        plan_day(network, 0, day, 8).demand for day in (MONDAY, MONDAY + timedelta(days=7), MONDAY)
    )
    assert np.array_equal(one, again)
    change = np.abs(np.log(two[:, network.demand > 0] / one[:, network.demand > 0]))
    assert 0.05 < np.median(change) < 0.4


def test_incidents_come_as_often_as_asked_for() -> None:
    network = build_network(40, 0)
    days = [MONDAY + timedelta(days=n) for n in range(200)]
    counts = [len(plan_day(network, 0, day, 3.0).incidents) for day in days]
    assert np.mean(counts) == pytest.approx(3, abs=0.5)
    assert len(set(counts)) > 3
    assert plan_day(network, 0, MONDAY, 0).incidents == []


def test_slots_are_missing_as_in_the_real_source() -> None:
    days = [MONDAY + timedelta(days=n) for n in range(120)]
    seen = np.zeros((120, 288), bool)
    for n, day in enumerate(days):
        seen[n, present_slots(0, day, True)] = True
    by_minute = seen.reshape(120, 24, 12).mean(axis=(0, 1))
    often = np.isin(np.arange(12) * 5, (0, 5, 15, 25, 35, 45, 55))
    assert by_minute[often] == pytest.approx(0.93, abs=0.025)
    assert by_minute[~often] == pytest.approx(0.12, abs=0.03)
    assert len(present_slots(0, MONDAY, False)) == 288


def test_a_slot_is_there_for_all_links_or_for_none() -> None:
    faults = Faults(noise=0.03, missing_slots=True, dropout=0, duplicates=0, implausible=0)
    rows = observe(np.full((288, 30), 60.0), np.full(30, 80), 0, MONDAY, faults)
    slots, links = np.unique(rows.slot, return_counts=True)
    assert slots.tolist() == present_slots(0, MONDAY, True).tolist()
    assert set(links.tolist()) == {30}


def test_perfect_sensors_say_what_is() -> None:
    true = np.random.default_rng(0).uniform(20, 79, (288, 5)).round(2)
    rows = observe(true, np.full(5, 80), 0, MONDAY, NONE)
    assert np.array_equal(rows.speed.reshape(288, 5), true)
    assert np.array_equal(rows.slot, np.repeat(np.arange(288), 5))


def test_measured_speeds_lie_between_five_and_the_limit() -> None:
    limit = np.array([50, 110])
    true = np.repeat([[0.5, 108.0]], 288, axis=0)
    faults = Faults(noise=0.05, missing_slots=False, dropout=0, duplicates=0, implausible=0)
    rows = observe(true, limit, 0, MONDAY, faults)
    assert rows.speed[rows.link == 0].tolist() == [5.0] * 288
    fast = rows.speed[rows.link == 1]
    assert fast.max() == 110
    assert fast.std() > 1


def test_faults_come_in_their_shares() -> None:
    faults = Faults(noise=0, missing_slots=False, dropout=0.1, duplicates=0.05, implausible=0.02)
    rows = observe(np.full((288, 400), 60.0), np.full(400, 80), 0, MONDAY, faults)
    pairs = np.unique(rows.slot * 400 + rows.link)
    assert len(rows.slot) / len(pairs) - 1 == pytest.approx(0.05, abs=0.005)
    assert 0.85 < len(pairs) / (288 * 400) < 0.9  # some sensors are out for hours besides
    broken = ~np.isclose(rows.speed, 60)
    assert broken.mean() == pytest.approx(0.02, abs=0.003)
    assert set(rows.speed[broken].tolist()) == {0.0, 999.0}
