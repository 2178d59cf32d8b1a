"""What a day brings: who wants to drive when, the weather, the incidents. By (seed, day) alone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np

from luigi_traffic_its_sim.network import Floats, Network
from luigi_traffic_its_sim.traffic import STEP, STEPS_A_SLOT, Incident

SLOT_HOURS = STEP * STEPS_A_SLOT / 3600
SLOTS_A_DAY = round(24 / SLOT_HOURS)
#: Each day is run on its own, from an empty town at 23:00 the day before: at night the roads
#: are free, so an hour fills them and the seam at midnight is small.
WARM_UP_SLOTS = round(1 / SLOT_HOURS)


@dataclass(frozen=True)
class Plan:
    """Input of one run: `demand` (slots, N) in veh/s, `weather` (slots,), incidents."""

    demand: Floats
    weather: Floats
    incidents: list[Incident]


def plan_day(network: Network, seed: int, day: date, incidents_a_day: float) -> Plan:
    """Demand with a morning and an evening peak on working days and one flat hump on others."""
    rng = np.random.default_rng([seed, 2, day.toordinal()])
    slots = WARM_UP_SLOTS + SLOTS_A_DAY
    hour: Floats = (np.arange(slots, dtype=np.float64) - WARM_UP_SLOTS + 0.5) * SLOT_HOURS % 24
    links = len(network)
    base = 0.05 + 0.30 * _hump(hour, 13.5, 5.0)
    if day.weekday() < 5:
        # Friday evening is the week's busiest hour, Monday morning comes close.
        early = 1.06 if day.weekday() == 0 else 1.0
        late = 1.08 if day.weekday() == 4 else 1.0
        first, second = rng.normal(8.0, 0.3), rng.normal(18.0, 0.4)
        am = early * _hump(hour, first, 0.85) * 1.42
        pm = late * _hump(hour, second, 1.1) * 1.42
        profile = base[:, None] + np.outer(am, network.morning) + np.outer(pm, 1 - network.morning)
    else:
        busy = 0.42 * _hump(hour, rng.normal(14.5, 0.5), 3.2)
        profile = np.repeat((base + busy)[:, None], links, axis=1)
    town = np.clip(rng.normal(1.0, 0.09), 0.7, 1.25)
    place = np.exp(rng.normal(0.0, 0.15, links))
    wander = np.exp(_wander(rng, slots, links, hours=3.0, spread=0.15))
    demand = network.demand * profile * town * place * wander
    return Plan(demand, _weather(rng, hour), _incidents(rng, network, incidents_a_day))


def _hump(hour: Floats, centre: float, width: float) -> Floats:
    away = (hour - centre + 12) % 24 - 12
    return np.asarray(np.exp(-0.5 * (away / width) ** 2))


def _wander(
    rng: np.random.Generator, slots: int, links: int, hours: float, spread: float
) -> Floats:
    """An Ornstein-Uhlenbeck path a link (slots, links): demand that drifts within the day."""
    keep = np.exp(-SLOT_HOURS / hours)
    shock = rng.normal(0.0, spread * np.sqrt(1 - keep**2), (slots, links))
    shock[0] = rng.normal(0.0, spread, links)
    for slot in range(1, slots):
        shock[slot] += keep * shock[slot - 1]
    return shock


def _weather(rng: np.random.Generator, hour: Floats) -> Floats:
    """Capacity factor: on one day in five rain takes 8 to 15 % for some hours."""
    rains, begin, lasts, takes = rng.random(), rng.uniform(0, 20), rng.uniform(2, 8), rng.random()
    if rains > 0.2:
        return np.ones(len(hour))
    wet = (hour >= begin) & (hour < begin + lasts)
    return np.where(wet, 0.92 - 0.07 * takes, 1.0)


def _incidents(rng: np.random.Generator, network: Network, expected: float) -> list[Incident]:
    """20 to 60 minutes each, where and when vehicles drive: by length, between 6 and 22 h."""
    found = []
    for _ in range(rng.poisson(expected)):
        link = int(rng.choice(len(network), p=network.length / network.length.sum()))
        begin = WARM_UP_SLOTS * SLOT_HOURS * 3600 + 60 * round(rng.uniform(6, 21) * 60)
        lasts = 60 * round(rng.uniform(20, 60))
        found.append(Incident(link, begin, begin + lasts, float(rng.uniform(0.25, 0.5))))
    return found
