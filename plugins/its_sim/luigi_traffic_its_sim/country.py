"""A country: more links than one network can be run with, so its towns are drawn from a few.

`MODEL_TOWNS` towns of `TOWN_LINKS` links are run. Each town of the country is one of them under
ids of its own. It differs from that model, and from day to day, in when its rush hours are and how
slow they make it, and each link in its free speed, its slowness and its sensors. A jam spreads
within a town, never into the next one. Seven towns are a region.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from luigi_traffic_its import ULSAN_LINKS
from luigi_traffic_its_sim.files import Report, Simulated
from luigi_traffic_its_sim.network import Floats, Network, link_ids
from luigi_traffic_its_sim.places import link_lines, wkt
from luigi_traffic_its_sim.rows import DayText
from luigi_traffic_its_sim.sensors import measured, outages, present_slots, reported
from luigi_traffic_its_sim.settings import FIRST_REGION, REGION_LINKS, ItsSimSettings
from luigi_traffic_its_sim.town import NODE_LINK_HEADER, Town, node_link_lines

MODEL_TOWNS, TOWN_LINKS = 4, 2000
#: Rush hours of a town are up to so many slots earlier or later than those of its model.
_MOST_SHIFT = 3
#: The first of the links of Ulsan, which lie side by side, away from the edge of the first town.
_ULSAN_AT = 288
_LINKS_A_TEXT = 50_000
#: To run a model town takes about as long as to write so many rows: for reports of progress.
_ROWS_A_TOWN = 10_000_000


class Country(Simulated):
    """A country of more than `REGION_LINKS` links, among them `ULSAN_LINKS`."""

    quick = True

    @cached_property
    def models(self) -> list[Town]:
        """The towns that are run."""
        seeds = self.rng(5).integers(2**31, size=MODEL_TOWNS).tolist()
        update = {"links_count": TOWN_LINKS}
        return [Town(self.settings.model_copy(update=update | {"seed": seed})) for seed in seeds]

    @cached_property
    def link_id(self) -> NDArray[np.bytes_]:
        """Ids (N,), S10, town by town; in a town in the order of its model's links."""
        ids = np.array(link_ids(self.settings.links_count, self.rng(6)), "S10")
        for place, wanted in enumerate(np.array(ULSAN_LINKS, "S10"), _ULSAN_AT):
            ids[ids == wanted] = ids[place]
            ids[place] = wanted
        return ids

    def texts(self, day: date, report: Report) -> Iterator[bytes]:
        """The rows of the day's CSV. What they come from takes 200 bytes a link."""
        slots = present_slots(self.settings.seed, day, self.faults.missing_slots)
        rows, simulated = len(slots) * self.settings.links_count, 0
        total = rows + MODEL_TOWNS * _ROWS_A_TOWN
        runs = []
        for town in self.models:
            runs.append(town.speeds(day))
            simulated += _ROWS_A_TOWN
            report(simulated / total)
        traffic = _Traffic(self, day, np.stack(runs))
        for n, slot in enumerate(slots.tolist(), 1):
            yield from traffic.texts(slot)
            report((simulated + n * self.settings.links_count) / total)

    def node_links(self) -> Iterator[str]:
        """The node-link table, town by town. No two towns have a node in common."""
        yield NODE_LINK_HEADER
        ids = self.link_id.astype(str).tolist()
        ends = [_node_numbers(town.network) for town in self.models]
        for first in range(0, len(ids), TOWN_LINKS):
            mine, town = ids[first : first + TOWN_LINKS], first // TOWN_LINKS
            model = town % MODEL_TOWNS
            region, at = divmod(first, REGION_LINKS)
            nodes = (FIRST_REGION + region) * 10**7 + at // TOWN_LINKS * 10**6 + ends[model]
            yield from node_link_lines(self.models[model].network, mine, *nodes.tolist())

    def lines(self) -> Iterator[tuple[str, str]]:
        """Each link and its line, town by town."""
        ids = self.link_id.astype(str).tolist()
        for first in range(0, len(ids), TOWN_LINKS):
            lines = link_lines(TOWN_LINKS, first // TOWN_LINKS)
            yield from wkt(ids[first : first + TOWN_LINKS], lines)

    def rng(self, purpose: int, *more: int) -> np.random.Generator:
        """Random numbers for one purpose; those below 5 are a town's."""
        return np.random.default_rng([self.settings.seed, purpose, *more])


class _Traffic:
    """A day of all towns, from runs (models, 288, links) of their models in km/h.

    Links are in the order of the file, by their ids. Link n is slower than its free speed by
    `_factor[n]` times what the link of its model is, which `_slower` has at `_start[n]` and
    from there on slot by slot, `TOWN_LINKS` apart.
    """

    def __init__(self, country: Country, day: date, runs: Floats) -> None:
        self._country, self._day = country, day
        links = country.settings.links_count
        rng = country.rng(7, day.toordinal())
        towns = -(-links // TOWN_LINKS)
        shift = rng.integers(0, 2 * _MOST_SHIFT + 1, towns)
        slowness = np.clip(rng.normal(1.0, 0.2, towns), 0.5, 1.5)
        order = np.argsort(country.link_id)
        town, link = np.divmod(order, TOWN_LINKS)
        model = town % MODEL_TOWNS
        networks = [each.network for each in country.models]
        free = np.stack([network.free_speed * 3.6 for network in networks])
        # Nights are free: the first and the last slot stand for those before and after the day.
        edge = ((0, 0), (_MOST_SHIFT, _MOST_SHIFT), (0, 0))
        slower = np.pad(free[:, None] - runs, edge, mode="edge")
        self._slower = slower.ravel()
        self._start = (model * slower.shape[1] + shift[town]) * TOWN_LINKS + link
        self._factor = slowness[town] * np.exp(rng.normal(0.0, 0.1, links))
        self._free = free[model, link] * country.rng(8).uniform(0.97, 1.03, links)
        self._limit = np.stack([network.limit_kmh for network in networks])[model, link]
        self._out, self._back = outages(rng, links, country.faults)
        length = np.stack([network.length for network in networks])[model, link]
        self._text = DayText(day, country.link_id[order], length)

    def texts(self, slot: int) -> Iterator[bytes]:
        """The rows of that slot."""
        faults = self._country.faults
        for first in range(0, len(self._free), _LINKS_A_TEXT):
            part = slice(first, first + _LINKS_A_TEXT)
            rng = self._country.rng(9, self._day.toordinal(), slot, first)
            seen = (slot < self._out[part]) | (slot >= self._back[part])
            seen &= rng.random(len(seen)) >= faults.dropout
            link = first + reported(rng, seen, faults)
            slower = self._slower.take(self._start[link] + slot * TOWN_LINKS)
            true = self._free[link] - self._factor[link] * slower
            speed = measured(rng, true, self._limit[link], faults)
            yield self._text.rows(slot, link, speed)


def _node_numbers(network: Network) -> NDArray[np.int64]:
    """Start and end nodes (2, N) of the links, as numbers from 0."""
    ends = np.array([network.start_node, network.end_node])
    return np.unique(ends, return_inverse=True)[1].reshape(ends.shape)


def simulated(settings: ItsSimSettings) -> Simulated:
    """The town or country of those settings."""
    return (Country if settings.links_count > REGION_LINKS else Town)(settings)
