"""Incidents in a whole town: the expressway of a network with ramps and crossings."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from luigi_traffic_its_sim.network import Network, Road, build_network
from luigi_traffic_its_sim.traffic import Incident, simulate

#: An hour of calm, an incident of 45 minutes, and time to recover.
BEGIN, END, SLOTS = 12, 21, 48


def expressway(network: Network) -> list[int]:
    """Expressway links, each fed by the next: the longest such run, downstream first."""
    upstream = network.upstream

    def run_to(link: int) -> list[int]:
        found = [link]
        while feeding := [
            a for a in upstream.get(found[-1], []) if network.road[a] == Road.EXPRESSWAY
        ]:
            found.append(feeding[0])
        return found

    roads = np.flatnonzero(network.road == Road.EXPRESSWAY).tolist()
    return max((run_to(link) for link in roads), key=len)


def constant(network: Network, level: float, slots: int = SLOTS) -> np.ndarray:
    return np.repeat(network.demand[None] * level, slots, axis=0)


def test_a_jam_grows_upstream_in_order_and_dissolves() -> None:
    network = build_network(40, 0)
    road = expressway(network)
    place = road[0]
    demand = constant(network, 0.75)
    calm = simulate(network, demand, [])
    hit = simulate(network, demand, [Incident(place, BEGIN * 300, END * 300, 0.3)])
    slow = hit.speed < 0.6 * calm.speed

    assert not slow[:BEGIN].any()
    jammed = [link for link in road if slow[:, link].any()]
    assert jammed == road[: len(jammed)]
    assert len(jammed) >= 3
    first = [int(np.argmax(slow[:, link])) for link in jammed]
    assert first[0] == BEGIN
    assert all(a < b for a, b in pairwise(first))
    # The wave cannot be faster than 18 km/h: the queue must pass the whole link in between.
    for near, (a, b) in zip(jammed[1:], pairwise(first[1:]), strict=False):
        assert (b - a + 1) * 300 >= network.length[near] / 5.0

    np.testing.assert_allclose(hit.speed[-1], calm.speed[-1], rtol=0.01)
    last = int(np.flatnonzero(slow.any(axis=1)).max())
    assert END <= last < SLOTS - 6


def test_downstream_of_an_incident_roads_are_emptier() -> None:
    network = build_network(40, 0)
    road = expressway(network)
    place, after = road[1], road[0]
    demand = constant(network, 0.75)
    calm = simulate(network, demand, [])
    hit = simulate(network, demand, [Incident(place, BEGIN * 300, END * 300, 0.3)])
    during = slice(BEGIN + 2, END)
    assert (hit.flow[during, after] < 0.8 * calm.flow[during, after]).all()
    assert (hit.speed[during, after] >= calm.speed[during, after] - 1e-9).all()
    # Afterwards the queue discharges: more passes than without an incident.
    assert hit.flow[END + 1, after] > calm.flow[END + 1, after]


def test_demand_over_capacity_waits_and_rain_makes_it_worse() -> None:
    network = build_network(40, 0)
    demand = constant(network, 1.5, slots=24)
    dry = simulate(network, demand, [])
    wet = simulate(network, demand, [], np.full(24, 0.85))
    assert (
        wet.speed[-1].mean()
        < dry.speed[-1].mean()
        < simulate(network, constant(network, 0.3, slots=24), []).speed[-1].mean()
    )
    assert wet.left < dry.left
