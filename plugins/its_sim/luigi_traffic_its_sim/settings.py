"""Settings of the simulated ITS. Each day's bytes follow from them and from the date alone."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

from luigi_traffic import setting
from luigi_traffic_its import ItsFileSettings

#: Raise it when the same settings give other bytes.
SIMULATOR_VERSION = "2"
#: Names of the files in a town's folder.
ARCHIVE = "{date}_5Min.zip"
NODE_LINKS = "MOCT_LINK.csv"
#: The first three digits of a link's id are its region; more links than a region has are a country.
FIRST_REGION, REGION_LINKS = 192, 14_000
MOST_LINKS = (1000 - FIRST_REGION) * REGION_LINKS
#: Raise it when the same settings give other bytes of a country.
COUNTRY_VERSION = "1"
#: Settings that decide the bytes of a day.
_BYTES = (
    "links_count", "seed", "incidents_per_100_links", "noise", "missing_slots", "dropout",
    "duplicates", "implausible",
)  # fmt: skip


class ItsSimSettings(ItsFileSettings):
    """Settings of `its_sim`: conf/datasets/its_sim.yml, LUIGI_TRAFFIC__DATASETS__ITS_SIM__<KEY>."""

    links_count: int = setting(
        40,
        stage="raw",
        ge=2,
        le=MOST_LINKS,
        description=(
            f"Number of directed links; more than {REGION_LINKS:,} are a country of many towns"
        ),
    )
    seed: int = setting(
        0,
        stage="raw",
        ge=0,
        description="Random seed; another seed gives another town and other days",
    )
    start: date | None = setting(
        None, stage="raw", description="First day of the source; empty: it has every day"
    )
    incidents_per_100_links: float = setting(
        8.0,
        stage="raw",
        ge=0,
        le=1000,
        description="Expected number of incidents a day for each 100 links",
    )
    noise: float = setting(
        0.03, stage="raw", ge=0, lt=0.5, description="Sensor noise as a share of the speed"
    )
    missing_slots: bool = setting(
        True,
        stage="raw",
        description="Leave out time slots as the real source does; false: all 288",
    )
    dropout: float = setting(
        0.01, stage="raw", ge=0, lt=1, description="Share of single observations that are lost"
    )
    duplicates: float = setting(
        0.002, stage="raw", ge=0, lt=1, description="Share of observations that come twice"
    )
    implausible: float = setting(
        0.001, stage="raw", ge=0, lt=1, description="Share of observations that say 0 or 999 km/h"
    )
    slow_from: date | None = setting(
        None,
        stage="raw",
        description="Day from which all speeds are slower for good; empty: never",
    )
    slow_factor: float = setting(
        0.7, stage="raw", gt=0, le=1, description="Factor of all speeds from `slow_from` on"
    )
    folder: Path | None = setting(
        # The same bytes wherever they lie: no stage.
        None, stage=None, description="Folder of the archives; empty: <home>/its_sim"
    )  # fmt: skip

    def recipe(self) -> dict[str, Any]:
        """What decides the bytes of a day, as JSON values."""
        values = self.model_dump(mode="json", include=set(_BYTES))
        if self.links_count > REGION_LINKS:
            values["country"] = COUNTRY_VERSION
        if self.slow_from is not None:
            values |= {"slow_from": self.slow_from.isoformat(), "slow_factor": self.slow_factor}
        return {"simulator": SIMULATOR_VERSION, **values}
