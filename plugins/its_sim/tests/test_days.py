"""What a week looks like, and what its sensors say."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pytest

from luigi_traffic_its_sim.day import plan_day
from luigi_traffic_its_sim.network import build_network
from luigi_traffic_its_sim.sensors import Faults

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
