"""The flow model obeys what the theory it implements says."""

from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from luigi_traffic_its_sim.day import SLOTS_A_DAY, WARM_UP_SLOTS, plan_day
from luigi_traffic_its_sim.network import WAVE_SPEED, Network, build_network
from luigi_traffic_its_sim.traffic import Cells, Incident, simulate

MONDAY, SATURDAY = date(2024, 1, 1), date(2024, 1, 6)


def road(links: int = 6, length: float = 1000.0) -> Network:
    """One road, link 0 to the last, with a single way in and a single way out."""
    number = np.arange(links)
    return Network(
        link_id=tuple(f"{1920000000 + n}" for n in number),
        start_node=tuple(str(n) for n in number),
        end_node=tuple(str(n + 1) for n in number),
        road=np.zeros(links, dtype=np.int64),
        length=np.full(links, length),
        limit_kmh=np.full(links, 90),
        free_speed=np.full(links, 25.0),
        capacity=np.ones(links),
        turn_from=number[:-1],
        turn_to=number[1:],
        turn_share=np.ones(links - 1),
        exit_share=(number == links - 1).astype(float),
        demand=(number == 0).astype(float),
        morning=np.ones(links),
    )


def steady(network: Network, slots: int, flow: float) -> np.ndarray:
    demand = np.zeros((slots, len(network)))
    demand[:, 0] = flow
    return demand


def test_incident_spreads_upstream_in_order_of_distance_and_recovers():
    network = road()
    at, begin, end = 4, 3600.0, 3600.0 + 2400.0
    run = simulate(network, steady(network, 48, 0.8), [Incident(at, begin, end, 0.3)])
    slow = run.speed < 0.5 * network.free_speed
    # The first slot in which each link is slow; the link itself first, then 3, 2, 1.
    first = [int(np.argmax(slow[:, link])) for link in (4, 3, 2, 1)]
    assert all(slow[slot, link] for slot, link in zip(first, (4, 3, 2, 1), strict=True))
    assert first == sorted(set(first))
    assert first[0] == 12
    assert not slow[:, 5].any()  # downstream the road is freer than before
    assert (run.speed[-1] > 0.8 * network.free_speed).all()
    # A shock between 0.8 veh/s of free traffic and 0.3 veh/s of jam moves at
    # (q2 - q1) / (k2 - k1) (Rankine and Hugoniot): from link 3's end to link 1's, 2 km.
    free = 0.8 / (25.0 * 0.84)
    jam = (1.0 / 20.0 + 1.0 / WAVE_SPEED) - 0.3 / WAVE_SPEED
    expected = 2000.0 / ((0.8 - 0.3) / (jam - free))
    assert (first[3] - first[1]) * 300.0 == pytest.approx(expected, abs=400.0)


def test_no_jam_without_a_cause_and_capacity_holds():
    network = road()
    calm = simulate(network, steady(network, 24, 0.8), [])
    assert (calm.speed > 0.8 * network.free_speed).all()
    crowded = simulate(network, steady(network, 24, 3.0), [])
    assert crowded.flow.max() <= network.capacity[0] + 1e-9
    assert crowded.waiting > 0


def test_flow_behind_a_bottleneck_is_the_bottlenecks():
    network = road()
    narrow = replace(network, capacity=np.array([1.0, 1.0, 1.0, 0.6, 1.0, 1.0]))
    run = simulate(narrow, steady(network, 30, 0.9), [])
    assert run.flow[-1, 5] == pytest.approx(0.6, abs=0.01)
    # A full queue holds the density at which the jam's branch carries 0.6 veh/s.
    jam = (1.0 / 20.0 + 1.0 / WAVE_SPEED) - 0.6 / WAVE_SPEED
    assert run.speed[-1, 1] == pytest.approx(0.6 / jam, rel=0.02)


@pytest.mark.parametrize("links", [2, 3, 13, 40])
def test_vehicles_are_conserved(links):
    network = build_network(links, seed=3)
    plan = plan_day(network, 3, MONDAY, incidents_a_day=5)
    run = simulate(network, plan.demand, plan.incidents, plan.weather)
    assert run.demanded > 1000
    assert run.entered + run.waiting == pytest.approx(run.demanded, rel=1e-9)
    assert run.left + run.inside == pytest.approx(run.entered, rel=1e-9)
    assert run.speed.shape == (WARM_UP_SLOTS + SLOTS_A_DAY, links)
    assert (run.speed >= 0).all()
    assert (run.speed <= network.free_speed + 1e-9).all()


def test_jammed_ring_drains():
    """Demand far above capacity for hours fills the town; at night it is free again."""
    network = build_network(60, seed=5)
    plan = plan_day(network, 5, MONDAY, incidents_a_day=0)
    run = simulate(network, np.vstack([plan.demand * 1.6, plan.demand[:60] * 0.1]), [])
    assert (run.speed[100:280] < 0.3 * network.free_speed).any()
    assert (run.speed[-1] > 0.9 * network.free_speed).all()


def test_cells_keep_the_cfl_condition():
    network = build_network(200, seed=0)
    cells = Cells.of(network)
    assert (
        cells.length >= np.maximum(network.free_speed, WAVE_SPEED)[cells.link] * 6.0 - 1e-9
    ).all()
    assert np.array_equal(np.unique(cells.link), np.arange(200))


def test_seam_at_midnight_is_small():
    network = build_network(40, seed=0)
    speeds = [
        simulate(network, plan.demand, plan.incidents, plan.weather).speed[WARM_UP_SLOTS:]
        for plan in (plan_day(network, 0, date(2024, 1, d), 3) for d in (1, 2))
    ]
    jump = np.abs(speeds[1][0] - speeds[0][-1]) / network.free_speed
    assert jump.max() < 0.05
