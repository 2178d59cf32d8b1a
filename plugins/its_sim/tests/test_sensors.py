import hashlib
from datetime import date, timedelta

import numpy as np
import pytest

from luigi_traffic_its_sim.sensors import LEAST_KMH, Faults, observe, present_slots

DAY = date(2024, 1, 1)
NONE = Faults(noise=0, missing_slots=False, dropout=0, duplicates=0, implausible=0)
LIMIT = np.full(50, 80)


def test_slots_are_missing_as_at_the_real_source():
    days = [DAY + timedelta(n) for n in range(400)]
    share = np.zeros(12)
    for day in days:
        share += np.bincount(present_slots(0, day, True) % 12, minlength=12) / 24
    share /= len(days)
    often = [m // 5 for m in (0, 5, 15, 25, 35, 45, 55)]
    seldom = [m // 5 for m in (10, 20, 30, 40, 50)]
    assert share[often] == pytest.approx(np.full(7, 0.93), abs=0.02)
    assert share[seldom] == pytest.approx(np.full(5, 0.12), abs=0.02)
    assert len(present_slots(0, DAY, False)) == 288


def test_the_published_mask_of_a_benchmark_stays():
    """benchmarks/its_mask.py: 28 days of METR-LA, seed 1; its SHA-256 is in docs/benchmarks.md."""
    there = np.zeros((28, 288), np.uint8)
    for n, slots in enumerate(there):
        slots[present_slots(1, date(2012, 3, 1) + timedelta(n), True)] = 1
    assert hashlib.sha256(there.tobytes()).hexdigest().startswith("3bee307f05fc57f8d3ea734b")
    assert there.mean() == pytest.approx(1 - 0.4117, abs=5e-5)


def test_perfect_sensors_report_every_slot_of_every_link_in_order_of_time():
    speed = np.full((288, 50), 61.25)
    rows = observe(speed, LIMIT, 0, DAY, NONE)
    assert len(rows.slot) == 288 * 50
    assert (np.diff(rows.slot) >= 0).all()
    assert (rows.speed == 61.25).all()


def test_missing_slots_are_missing_for_all_links():
    rows = observe(np.full((288, 50), 60.0), LIMIT, 0, DAY, Faults(0, True, 0, 0, 0))
    present = present_slots(0, DAY, True)
    assert 100 < len(present) < 220
    assert len(rows.slot) == len(present) * 50
    assert set(rows.slot.tolist()) == set(present.tolist())


def test_each_fault_has_its_share():
    speed = np.full((288, 50), 60.0)
    noisy = observe(speed, LIMIT, 0, DAY, Faults(0.05, False, 0, 0, 0)).speed
    assert noisy.std() == pytest.approx(3.0, rel=0.05)
    assert np.array_equal(np.round(noisy, 2), noisy)
    dropped = observe(speed, LIMIT, 0, DAY, Faults(0, False, 0.1, 0, 0))
    assert 288 * 50 * 0.82 < len(dropped.slot) < 288 * 50 * 0.92
    twice = observe(speed, LIMIT, 0, DAY, Faults(0, False, 0, 0.1, 0))
    assert len(twice.slot) == pytest.approx(288 * 50 * 1.1, rel=0.01)
    broken = observe(speed, LIMIT, 0, DAY, Faults(0, False, 0, 0, 0.1)).speed
    assert np.mean(np.isin(broken, [0.0, 999.0])) == pytest.approx(0.1, abs=0.01)
    assert set(np.unique(broken)) == {0.0, 60.0, 999.0}


def test_no_fault_takes_a_speed_out_of_the_plausible():
    speed = np.concatenate([np.zeros((144, 50)), np.full((144, 50), 80.0)])
    rows = observe(speed, LIMIT, 0, DAY, Faults(0.3, False, 0, 0, 0))
    assert rows.speed.min() == LEAST_KMH
    assert rows.speed.max() == 80.0
