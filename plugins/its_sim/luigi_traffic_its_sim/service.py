"""What a town reports at a moment: the newest report of each link, as the ITS OpenAPI gives it."""

from __future__ import annotations

import threading
from datetime import date, datetime, time, timedelta
from functools import cached_property
from zoneinfo import ZoneInfo

import numpy as np

from luigi_traffic import SettingsError
from luigi_traffic_its import Its
from luigi_traffic_its_sim.day import SLOTS_A_DAY
from luigi_traffic_its_sim.network import Floats, Ints, Road
from luigi_traffic_its_sim.rows import travel_time
from luigi_traffic_its_sim.sensors import Observations
from luigi_traffic_its_sim.settings import REGION_LINKS, ItsSimSettings
from luigi_traffic_its_sim.town import Town

#: What a link says: all values are text.
Item = dict[str, str]
_DAY = timedelta(days=1)
_SLOT = _DAY // SLOTS_A_DAY
#: How long after its start a slot is reported: almost all of it is measured by then.
REPORTED_AFTER = timedelta(minutes=4, seconds=30)
#: When the slots of a day (288,) are reported: HHMMSS as numbers.
_MIDNIGHT = datetime(2000, 1, 1)
_TIMES = np.array(
    [int(f"{_MIDNIGHT + n * _SLOT + REPORTED_AFTER:%H%M%S}") for n in range(SLOTS_A_DAY)]
)
#: Days this far from one that is asked for are kept: the day before, and the next, made ahead.
_KEPT = timedelta(days=2)


def last_slot(at: datetime) -> tuple[date, int]:
    """Day and number of the newest slot that is due by then; `at` is aware, or wall time of the
    roads."""
    if at.tzinfo:
        at = at.astimezone(ZoneInfo(Its.timezone)).replace(tzinfo=None)
    at -= REPORTED_AFTER
    return at.date(), (at - datetime.combine(at, time())) // _SLOT


class Service:
    """The present of the town that the settings describe. Any number of threads may ask.

    `silent` links, drawn by the seed, report nothing from the day `silent_from` on: their newest
    report stays the last one before it. Raises `SettingsError` for a country, and for more silent
    links than the town has.
    """

    def __init__(
        self, settings: ItsSimSettings, silent: int = 0, silent_from: date = date.max
    ) -> None:
        links = settings.links_count
        if links > REGION_LINKS:
            raise SettingsError(
                f"datasets.its_sim.links_count is {links:,}, which is a country. The present can "
                f"be simulated of a town: {REGION_LINKS:,} links or fewer"
            )
        if not 0 <= silent <= links:
            raise SettingsError(f"{silent:,} silent links: expected 0 to {links:,}, all links")
        self._town, self._silent_from = Town(settings), silent_from
        rng = np.random.default_rng([settings.seed, 10])
        self._silent = rng.choice(links, silent, replace=False)
        self._days: dict[date, Observations] = {}
        self._simulating = threading.Lock()

    def items(self, at: datetime) -> list[Item]:
        """The newest report of each link at that moment, in the order of link ids.

        They change with `last_slot(at)`. A link without a report on that day and the day before
        is left out. A day is simulated when it is asked for first.
        """
        day, slot = last_slot(at)
        created, speed = self._newest(day, slot)
        if self._silent.size and day >= self._silent_from:
            created[self._silent], speed[self._silent] = self._last_words
        travel = travel_time(self._town.network.length, speed)
        values = zip(created.tolist(), speed.tolist(), travel.tolist(), strict=True)
        return [
            {**link, "speed": str(kmh), "travelTime": str(seconds), "createdDate": str(made)}
            for link, (made, kmh, seconds) in zip(self._links, values, strict=True)
            if made
        ]

    def observations(self, day: date) -> Observations:
        """All reports of a day. It is simulated when it is asked for first, and none before the
        setting `start` has any."""
        found = self._days.get(day)
        if found is None:
            with self._simulating:
                found = self._days.get(day) or self._simulated(day)
                near = {d: rows for d, rows in self._days.items() if abs(d - day) <= _KEPT}
                # A dict of its own: threads that read the one before are not disturbed.
                self._days = {**near, day: found}
        return found

    def _simulated(self, day: date) -> Observations:
        start = self._town.settings.start
        if start and day < start:
            none = np.empty(0, np.int64)
            return Observations(none, none, none.astype(np.float64))
        return self._town.observations(day)

    def _newest(self, day: date, slot: int) -> tuple[Ints, Floats]:
        """When the newest report of each link up to that slot was made (N,), as the number
        YYYYMMDDHHMMSS or 0 if there is none, and its speed (N,), km/h."""
        created, speed = self._of_day(day, slot)
        none = np.flatnonzero(created == 0)
        if len(none):
            before = self._of_day(day - _DAY, SLOTS_A_DAY - 1)
            created[none], speed[none] = before[0][none], before[1][none]
        return created, speed

    def _of_day(self, day: date, slot: int) -> tuple[Ints, Floats]:
        """As `_newest`, of that day alone."""
        rows = self.observations(day)
        until = np.searchsorted(rows.slot, slot, "right")
        newest = np.full(len(self._links), -1)
        np.maximum.at(newest, rows.link[:until], np.arange(until))
        there = newest >= 0
        created, speed = np.zeros(len(newest), np.int64), np.zeros(len(newest))
        created[there] = int(f"{day:%Y%m%d}") * 10**6 + _TIMES[rows.slot[newest[there]]]
        speed[there] = rows.speed[newest[there]]
        return created, speed

    @cached_property
    def _last_words(self) -> tuple[Ints, Floats]:
        """The newest reports of the silent links, as `_newest` gives them."""
        created, speed = self._newest(self._silent_from - _DAY, SLOTS_A_DAY - 1)
        return created[self._silent], speed[self._silent]

    @cached_property
    def _links(self) -> list[Item]:
        """What never changes of the links (N)."""
        net = self._town.network
        links = zip(net.road.tolist(), net.link_id, net.start_node, net.end_node, strict=True)
        return [
            {"roadName": Road(road).name.title(), "linkId": link, "startNodeId": start,
             "endNodeId": end}
            for road, link, start, end in links
        ]  # fmt: skip
