"""The simulated ITS as a dataset: days are made when they are asked for, then downloaded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, time
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import quote

from luigi_traffic import (
    DatasetSettings,
    HttpZip,
    LinkTable,
    Source,
    SourceAbsent,
    SourceError,
    Stream,
    home,
    refuse_unsettled,
)
from luigi_traffic_its import Its
from luigi_traffic_its_sim.settings import ARCHIVE, NODE_LINKS, ItsSimSettings


class SimulatedArchives(Source):
    """The archives of a simulated town, made on demand, opened as those of the real source are."""

    def __init__(self, settings: ItsSimSettings) -> None:
        self.settings = settings

    def recipe(self) -> dict[str, Any]:
        """The simulation's parameters and its version; where the files lie changes nothing."""
        start = self.settings.start
        return {
            "kind": "its_sim",
            "start": start.isoformat() if start else None,
            **self.settings.recipe(),
        }

    @property
    def folder(self) -> Path:
        """Where these settings' files lie: other parameters, other folder."""
        return town_folder(self.settings)

    @contextmanager
    def open(self, day: date) -> Iterator[Iterator[Stream]]:
        """One stream: the day's archive. `SourceAbsent` before `start`, `DayNotOver` for a day
        that is not over: the real source has none either."""
        refuse_unsettled(ItsSim, day)
        start = self.settings.start
        if start and day < start:
            raise SourceAbsent(f"the simulated source begins on {start} (setting start)")
        from luigi_traffic_its_sim.country import simulated

        with _writing(self.folder):
            simulated(self.settings).write_day(self.folder, day)
        with self._archives().open(day) as streams:
            yield streams

    def look(self, day: date) -> list[Mapping[str, str | int]] | None:
        """Size and time of the day's archive."""
        return self._archives().look(day)

    def _archives(self) -> HttpZip:
        return HttpZip("file://" + quote(str(self.folder)) + "/" + ARCHIVE)


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as e:
        raise SourceError(
            f"cannot write the simulated town to {folder}: {e.strerror}. Free space there, or set "
            "datasets.its_sim.folder to a folder that can be written"
        ) from e


def town_folder(settings: ItsSimSettings) -> Path:
    """The folder of one simulated town, named by what it is and a hash of its recipe."""
    import hashlib
    import json

    recipe = json.dumps(settings.recipe(), sort_keys=True)
    town = hashlib.sha256(recipe.encode()).hexdigest()[:12]
    parent = settings.folder.expanduser().absolute() if settings.folder else home() / "its_sim"
    return parent / f"{settings.links_count}-links-{town}"


class ItsSim(Its):
    """ITS in every respect but the roads: a made-up town whose traffic obeys a flow model."""

    name: ClassVar[str] = "its_sim"
    version: ClassVar[str] = "2"
    Settings: ClassVar[type[DatasetSettings]] = ItsSimSettings

    def source(self) -> Source:
        """Archives in the real format, behind a `file://` template."""
        return SimulatedArchives(self.settings)

    def expected_slots(self, day: date) -> list[time] | None:
        """As the real source; all intervals if `missing_slots` is off."""
        if self.settings.missing_slots:
            return super().expected_slots(day)
        return self.day_slots()

    def links(self) -> LinkTable | None:
        """What the node-link table says, and lines of a town that is nowhere."""
        table = super().links()
        if table is None:
            return None
        from luigi_traffic_its_sim.country import simulated

        lines = dict(simulated(self.settings).lines())
        return LinkTable(tuple(replace(link, geometry=lines[link.link_id]) for link in table))

    def node_links(self) -> Path | None:
        """The node-link table of the town, written when it is not there yet."""
        folder = town_folder(self.settings)
        path = folder / NODE_LINKS
        if path.exists():  # asked for in every run: numpy is imported where it has work to do
            return path
        from luigi_traffic_its_sim.country import simulated

        with _writing(folder):
            return simulated(self.settings).write_node_links(folder)
