"""A made-up road network: expressways with ramps, crossed by arterials, for any number of links.

The town is a grid of interchanges. A row is an expressway (one carriageway each way), a column
an arterial. At an interchange an off-ramp leaves each carriageway for the arterial's
intersection and an on-ramp comes back. Cut to the wanted number of links; what the cut leaves
open is where traffic enters and leaves. Roads are built for their traffic: capacity is the
static peak flow over a design ratio, and a few bottlenecks are built too small.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from luigi_traffic_its_sim.settings import FIRST_REGION, REGION_LINKS

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
LINKS_A_UNIT = 12
WAVE_SPEED = 5.0  # m/s, the speed at which a jam's edge moves backward: 18 km/h
#: Speed at capacity over free-flow speed: traffic slows a little before it breaks down.
CAPACITY_SPEED = 0.8


class Road(IntEnum):
    """Kinds of link."""

    EXPRESSWAY = 0
    RAMP = 1
    ARTERIAL = 2


#: Per kind: speed limits (km/h), lengths (m), least capacity (veh/s), share of trips that end here.
_LIMITS = {Road.EXPRESSWAY: (80, 90, 100, 110), Road.RAMP: (50, 60), Road.ARTERIAL: (50, 60, 70)}
_LENGTHS = {Road.EXPRESSWAY: (600, 2000), Road.RAMP: (200, 450), Road.ARTERIAL: (300, 1200)}
_LEAST_CAPACITY = {Road.EXPRESSWAY: 0.5, Road.RAMP: 0.2, Road.ARTERIAL: 0.22}
_LOCAL_DEMAND = {Road.EXPRESSWAY: 0.0, Road.RAMP: 0.0, Road.ARTERIAL: 0.05}
_ENTRY_DEMAND = {Road.EXPRESSWAY: 1.0, Road.RAMP: 0.25, Road.ARTERIAL: 0.22}


@dataclass(frozen=True)
class Network:
    """Links as arrays of length N, turning movements as arrays of length M.

    Speeds in m/s (`limit_kmh`, the posted limit, in km/h), lengths in m, flows in veh/s.
    `turn_share[m]` of the vehicles at the end of link `turn_from[m]` go on to link `turn_to[m]`;
    `exit_share` of a link ends its trip there. Turns are sorted by `turn_from`. `demand` is the
    weight of the traffic that enters at a link; `morning` in [0, 1] says how much of its peak is
    the morning's.
    """

    link_id: tuple[str, ...]
    start_node: tuple[str, ...]
    end_node: tuple[str, ...]
    road: Ints
    length: Floats
    limit_kmh: Ints
    free_speed: Floats
    capacity: Floats
    turn_from: Ints
    turn_to: Ints
    turn_share: Floats
    exit_share: Floats
    demand: Floats
    morning: Floats

    def __len__(self) -> int:
        return len(self.link_id)

    @property
    def upstream(self) -> dict[int, list[int]]:
        """For each link the links that flow into it."""
        found: dict[int, list[int]] = {}
        for a, b in zip(self.turn_from.tolist(), self.turn_to.tolist(), strict=True):
            found.setdefault(b, []).append(a)
        return found


def build_network(links: int, seed: int) -> Network:
    """A network of exactly `links` directed links (at least 2), the same for the same arguments."""
    if links < 2:
        raise ValueError(f"a network needs at least 2 links, not {links}")
    rng = np.random.default_rng([seed, 1])
    rows = layout(links)
    road = np.array([row[2] for row in rows], dtype=np.int64)
    length, limit = np.empty(links), np.empty(links)
    for kind in Road:
        mine = road == kind
        low, high = _LENGTHS[kind]
        length[mine] = np.round(rng.uniform(low, high, mine.sum()))
        limit[mine] = rng.choice(_LIMITS[kind], mine.sum())
    turns = _turns(rows, road, rng)
    entry = ~np.isin(np.arange(links), turns["turn_to"])
    demand = np.choose(road, [_LOCAL_DEMAND[kind] for kind in Road])
    demand = np.where(entry, np.choose(road, [_ENTRY_DEMAND[kind] for kind in Road]), demand)
    demand = demand * rng.uniform(0.8, 1.2, links)
    morning = np.array([row[3] for row in rows])
    capacity = _capacity(road, demand, morning, turns, rng)
    node_ids = _node_ids(rows, rng)
    return Network(
        link_id=link_ids(links, rng),
        start_node=tuple(node_ids[row[0]] for row in rows),
        end_node=tuple(node_ids[row[1]] for row in rows),
        road=road,
        length=length,
        limit_kmh=limit.astype(np.int64),
        # On an empty road people drive a little below the limit, on each road in its own way.
        free_speed=limit * rng.uniform(0.88, 0.95, links) / 3.6,
        capacity=capacity,
        demand=demand,
        morning=morning,
        **turns,
    )


def layout(links: int) -> list[tuple[str, str, Road, float]]:
    """(start node, end node, kind, share of its peak in the morning) of each link."""
    units = -(-links // LINKS_A_UNIT)
    columns = min(units, max(3, int(np.sqrt(2 * units))))
    rows: list[tuple[str, str, Road, float]] = []
    for unit in range(units):
        r, c = divmod(unit, columns)

        def at(name: str, row: int = r, column: int = c) -> str:
            return f"{name}{row}.{column}"

        # Eastward is inbound: it peaks in the morning. Westward peaks in the evening.
        rows += [
            (at("De"), at("Me"), Road.EXPRESSWAY, 0.85),
            (at("Me"), at("De", r, c + 1), Road.EXPRESSWAY, 0.85),
            (at("Dw", r, c + 1), at("Mw", r, c + 1), Road.EXPRESSWAY, 0.15),
            (at("Mw", r, c + 1), at("Dw"), Road.EXPRESSWAY, 0.15),
            (at("De"), at("A"), Road.RAMP, 0.85),
            (at("A"), at("Me"), Road.RAMP, 0.85),
            (at("A"), at("A", r, c + 1), Road.ARTERIAL, 0.7),
            (at("A", r, c + 1), at("A"), Road.ARTERIAL, 0.3),
            (at("Dw", r, c + 1), at("A", r, c + 1), Road.RAMP, 0.15),
            (at("A", r, c + 1), at("Mw", r, c + 1), Road.RAMP, 0.15),
            (at("A"), at("A", r + 1, c), Road.ARTERIAL, 0.5),
            (at("A", r + 1, c), at("A"), Road.ARTERIAL, 0.5),
        ]
    return rows[:links]


def _turns(
    rows: list[tuple[str, str, Road, float]], road: Ints, rng: np.random.Generator
) -> dict[str, Any]:
    """Turning movements and their shares; nobody turns around where there is another way."""
    starts: dict[str, list[int]] = {}
    for link, row in enumerate(rows):
        starts.setdefault(row[0], []).append(link)
    turn_from, turn_to, turn_share = [], [], []
    exit_share = np.zeros(len(rows))
    for link, (start, end, _, _) in enumerate(rows):
        onward = [after for after in starts.get(end, []) if rows[after][1] != start]
        if not onward:
            exit_share[link] = 1.0
            continue
        # A trip ends in the town, never on an expressway; it also keeps any ring of full links
        # draining, for those who end their trip do not wait for the queue ahead.
        exit_share[link] = rng.uniform(0.12, 0.25) if end.startswith("A") else 0.0
        weight = np.where(road[onward] == Road.EXPRESSWAY, 4.0, 1.0)
        weight = np.where(road[onward] == Road.RAMP, 0.7, weight)
        weight *= rng.uniform(0.7, 1.3, len(onward))
        turn_from += [link] * len(onward)
        turn_to += onward
        turn_share += (weight / weight.sum() * (1 - exit_share[link])).tolist()
    return {
        "turn_from": np.array(turn_from, dtype=np.int64),
        "turn_to": np.array(turn_to, dtype=np.int64),
        "turn_share": np.array(turn_share, dtype=np.float64),
        "exit_share": exit_share,
    }


def static_flow(demand: Floats, turns: dict[str, Any]) -> Floats:
    """Flow on each link (N,) if no road were ever full: x = demand + (turning shares)ᵀ x."""
    flow = demand.copy()
    for _ in range(400):
        moved = flow[turns["turn_from"]] * turns["turn_share"]
        fresh = demand + np.bincount(turns["turn_to"], moved, len(demand))
        if np.max(np.abs(fresh - flow)) < 1e-9:
            break
        flow = fresh
    return flow


def _capacity(
    road: Ints, demand: Floats, morning: Floats, turns: dict[str, Any], rng: np.random.Generator
) -> Floats:
    links = len(road)
    peak = np.maximum(
        static_flow(demand * morning * 1.6, turns), static_flow(demand * (1 - morning) * 1.6, turns)
    )
    ratio = rng.uniform(0.6, 0.8, links)
    # Not where traffic enters: its queue would stand outside the network, unseen.
    inner = np.flatnonzero(np.isin(np.arange(links), turns["turn_to"]) & (road != Road.RAMP))
    if len(inner):
        bottlenecks = rng.choice(inner, max(1, round(links / 11)), replace=False, shuffle=False)
        ratio[bottlenecks] = rng.uniform(1.08, 1.25, len(bottlenecks))
    least = np.choose(road, [_LEAST_CAPACITY[kind] for kind in Road])
    return np.asarray(np.maximum(peak / ratio, least))


def link_ids(links: int, rng: np.random.Generator) -> tuple[str, ...]:
    """Ten digits, the first three a region; a region has `REGION_LINKS` links at most."""
    most = REGION_LINKS
    regions = FIRST_REGION + np.arange(links) // most
    serial = np.sort(rng.choice(70_000, min(links, most), replace=False))
    return tuple(
        f"{regions[i]}{serial[i % most]:05d}{(i % 5) * 10 + i % 3:02d}" for i in range(links)
    )


def _node_ids(rows: list[tuple[str, str, Road, float]], rng: np.random.Generator) -> dict[str, str]:
    names = sorted({name for row in rows for name in row[:2]})
    serial = np.sort(rng.choice(9_000_000, len(names), replace=False))
    return {
        name: f"{FIRST_REGION}{number:07d}"
        for name, number in zip(names, serial.tolist(), strict=True)
    }
