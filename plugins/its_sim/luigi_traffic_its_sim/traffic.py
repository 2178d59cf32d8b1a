"""Traffic flow on a network: the Cell Transmission Model, all cells at once in numpy.

Godunov's scheme for the LWR model (Daganzo, Transportation Research B 28(4), 1994; Lebacque,
ISTTT 1996). Links are cut into cells; a cell sends min(flow at its density, capacity) and
receives min(capacity, w (jam density - density)). The fundamental diagram is Smulders' (TR B
24(2), 1990): speed falls linearly to 80 % of free flow at capacity, then a straight congested
branch of slope -w, so jams spread upstream at w = 18 km/h. Junctions: first in, first out at
diverges, supply shared in proportion to demand at merges.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from luigi_traffic_its_sim.network import CAPACITY_SPEED, WAVE_SPEED, Floats, Ints, Network

STEP = 6.0  # s; a vehicle at 110 km/h does 183 m in it, and no cell is shorter than that
STEPS_A_SLOT = 50  # 5 minutes


@dataclass(frozen=True)
class Incident:
    """`link` has `factor` of its capacity from `begin` to `end` (s after the run's start)."""

    link: int
    begin: float
    end: float
    factor: float


@dataclass(frozen=True)
class Run:
    """What came out. `speed`, `flow` are (slots, N), space-mean m/s and veh/s over 5 minutes.

    Vehicles: `entered` + what waits to enter = demand; `entered` = `left` + `inside`.
    """

    speed: Floats
    flow: Floats
    demanded: float
    entered: float
    waiting: float
    left: float
    inside: float


@dataclass(frozen=True)
class Cells:
    """Links cut into cells; the cells of a link are neighbours, in driving order."""

    link: Ints  # (K,) link of each cell
    first: Ints  # (N,) first cell of each link
    last: Ints  # (N,)
    length: Floats  # (K,) m

    @classmethod
    def of(cls, network: Network) -> Cells:
        """As many cells as the CFL condition allows: none shorter than a step at free flow."""
        shortest = np.maximum(network.free_speed, WAVE_SPEED) * STEP
        count = np.maximum(1, np.floor(network.length / shortest)).astype(np.int64)
        link = np.repeat(np.arange(len(network)), count)
        last = np.cumsum(count) - 1
        # A link shorter than that is one cell, lengthened a little rather than unstable.
        length = np.maximum(network.length / count, shortest)[link]
        return cls(link, last - count + 1, last, length)


def simulate(
    network: Network, demand: Floats, incidents: list[Incident], weather: Floats | None = None
) -> Run:
    """Run the network over `demand` (slots, N), veh/s that want to enter at each link.

    `weather` (slots,) scales all capacities; None: always 1.
    """
    cells = Cells.of(network)
    slots, links = demand.shape
    total_cells = len(cells.link)
    capacity = network.capacity[cells.link]
    free = network.free_speed[cells.link]
    critical = capacity / (CAPACITY_SPEED * free)
    slope = free * (1 - CAPACITY_SPEED) / critical
    jam = critical + capacity / WAVE_SPEED
    ratio = STEP / cells.length

    # Junctions see the ends of the links and, behind each link with demand, a waiting queue.
    origins = np.flatnonzero(demand.any(axis=0))
    behind = links + np.arange(len(origins))
    turn_from = np.concatenate([network.turn_from, behind])
    turn_to = np.concatenate([network.turn_to, origins])
    share = np.concatenate([network.turn_share, np.ones(len(origins))])
    senders, groups = np.unique(turn_from, return_index=True)
    member = np.repeat(np.arange(len(senders)), np.diff(np.append(groups, len(turn_from))))
    exits = np.concatenate([network.exit_share, np.zeros(len(origins))])
    stays = 1.0 - exits
    waiting = np.zeros(len(origins))
    entry_capacity = network.capacity[origins]

    density = np.zeros(total_cells)
    inflow, outflow = np.empty(total_cells), np.empty(total_cells)
    passed = np.ones(links + len(origins))
    ahead = np.empty(links + len(origins))
    speed, flow = np.empty((slots, links)), np.empty((slots, links))
    entered = left = 0.0
    limit = capacity.copy()
    for slot in range(slots):
        arriving = demand[slot, origins] * STEP
        driven, present = np.zeros(total_cells), np.zeros(total_cells)
        for step in range(STEPS_A_SLOT):
            if step % 10 == 0:  # incidents begin and end on a whole minute
                limit = _limit(capacity, cells, incidents, (slot * STEPS_A_SLOT + step) * STEP)
                if weather is not None:
                    limit *= weather[slot]
            below = np.minimum(density, critical)
            sending = np.minimum(below * (free - slope * below), limit)
            receiving = np.minimum(WAVE_SPEED * (jam - density), limit)
            np.minimum(sending[:-1], receiving[1:], out=outflow[:-1])
            inflow[1:] = outflow[:-1]

            waiting += arriving
            ahead[:links] = sending[cells.last]
            np.minimum(waiting / STEP, entry_capacity, out=ahead[links:])
            wanted = share * ahead[turn_from]
            room = receiving[cells.first] / np.maximum(np.bincount(turn_to, wanted, links), 1e-12)
            np.minimum(room, 1.0, out=room)
            # First in, first out: the fullest way on holds up all who stand in that queue.
            held = np.minimum.reduceat(room[turn_to], groups)
            passed[senders] = held
            inflow[cells.first] = np.bincount(turn_to, wanted * held[member], links)
            gone = ahead * (exits + stays * passed)
            outflow[cells.last] = gone[:links]
            waiting -= gone[links:] * STEP

            driven += outflow
            present += density
            density += ratio * (inflow - outflow)
            entered += gone[links:].sum() * STEP
            left += (ahead * exits)[:links].sum() * STEP
        speed[slot], flow[slot] = _means(network, cells, driven, present)
    return Run(
        speed=speed,
        flow=flow,
        demanded=float(demand[:, origins].sum() * STEP * STEPS_A_SLOT),
        entered=float(entered),
        waiting=float(waiting.sum()),
        left=float(left),
        inside=float((density * cells.length).sum()),
    )


def _limit(capacity: Floats, cells: Cells, incidents: list[Incident], now: float) -> Floats:
    limit = capacity.copy()
    for incident in incidents:
        if incident.begin <= now < incident.end:
            middle = (cells.first[incident.link] + cells.last[incident.link] + 1) // 2
            limit[middle] *= incident.factor
    return limit


def _means(
    network: Network, cells: Cells, driven: Floats, present: Floats
) -> tuple[Floats, Floats]:
    """Edie's means over a link and a slot: distance driven over time spent, and flow."""
    links = len(network)
    distance = np.bincount(cells.link, driven * cells.length, links)
    time = np.bincount(cells.link, present * cells.length, links)
    road = np.bincount(cells.link, cells.length, links)
    speed = np.where(time > 1e-9, distance / np.maximum(time, 1e-9), network.free_speed)
    return np.minimum(speed, network.free_speed), distance / road / STEPS_A_SLOT
