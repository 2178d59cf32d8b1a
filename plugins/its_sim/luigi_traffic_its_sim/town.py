"""One simulated town: each of its links is part of one network, on which all traffic is run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from functools import cached_property

import numpy as np

from luigi_traffic_its_sim.day import WARM_UP_SLOTS, plan_day
from luigi_traffic_its_sim.files import Report, Simulated
from luigi_traffic_its_sim.network import Floats, Network, build_network
from luigi_traffic_its_sim.places import link_lines, wkt
from luigi_traffic_its_sim.rows import DayText
from luigi_traffic_its_sim.sensors import Observations, observe
from luigi_traffic_its_sim.traffic import simulate

NODE_LINK_HEADER = "LINK_ID,F_NODE,T_NODE,LENGTH,MAX_SPD\n"
_ROWS_A_TEXT = 50_000


class Town(Simulated):
    """A town of up to `REGION_LINKS` links."""

    @cached_property
    def network(self) -> Network:
        """The links."""
        return build_network(self.settings.links_count, self.settings.seed)

    def speeds(self, day: date) -> Floats:
        """True space-mean speeds of the day, (288, N), km/h."""
        settings = self.settings
        expected = settings.incidents_per_100_links * len(self.network) / 100
        plan = plan_day(self.network, settings.seed, day, expected)
        run = simulate(self.network, plan.demand, plan.incidents, plan.weather)
        slow = settings.slow_from is not None and day >= settings.slow_from
        return run.speed[WARM_UP_SLOTS:] * 3.6 * (settings.slow_factor if slow else 1.0)

    def observations(self, day: date) -> Observations:
        """What the sensors report of that day."""
        limits = self.network.limit_kmh
        return observe(self.speeds(day), limits, self.settings.seed, day, self.faults)

    def texts(self, day: date, report: Report) -> Iterator[bytes]:
        """The rows of the day's CSV."""
        rows = self.observations(day)
        report(0.9)  # about what simulating takes of the time
        text = DayText(day, np.array(self.network.link_id, "S10"), self.network.length)
        for start in range(0, len(rows.slot), _ROWS_A_TEXT):
            part = slice(start, start + _ROWS_A_TEXT)
            yield text.rows(rows.slot[part], rows.link[part], rows.speed[part])
        report(1.0)

    def node_links(self) -> Iterator[str]:
        """The node-link table."""
        net = self.network
        yield NODE_LINK_HEADER
        yield from node_link_lines(net, net.link_id, net.start_node, net.end_node)

    def lines(self) -> Iterator[tuple[str, str]]:
        """Each link and its line."""
        return wkt(self.network.link_id, link_lines(len(self.network)))


def node_link_lines(
    network: Network, link: Sequence[str], start: Sequence[object], end: Sequence[object]
) -> Iterator[str]:
    """Rows of a node-link table for the first links of the network, under those ids."""
    lengths, limits = network.length.astype(int).tolist(), network.limit_kmh.tolist()
    # Not strict: a country's last town may be a part of its model.
    for row in zip(link, start, end, lengths, limits, strict=False):
        yield ",".join(map(str, row)) + "\n"
